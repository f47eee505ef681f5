package org.lanewise.benchmarks;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.LongBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.lanewise.benchmarks.OnnxGraph.Form;
import org.lanewise.benchmarks.OnnxGraph.Numbers;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.ModelDirectory;

/**
 * ONNX Runtime, tokenizing with the tokenizers library, in its best setting: texts sorted by length
 * in batches of a size that suits it, every thread in one run or as many runs as threads, and the
 * form of the graph that is fastest. {@link #prepare} finds these by trying.
 */
final class OnnxContender implements Contender {
  private static final int[] BATCHES = {1, 2, 4, 8, 16, 32};
  private static final int FIRST_BATCH = 8;

  /** A setting that takes so many times as long as the fastest is not tried again. */
  private static final double HOPELESS = 1.3;

  /**
   * How texts are computed.
   *
   * @param form empty for a graph from outside
   * @param parallel whether each thread runs batches alone
   */
  private record Setting(Optional<Form> form, Numbers numbers, boolean parallel, int batch) {}

  private record SessionKey(Optional<Form> form, Numbers numbers, int threads) {}

  private final String name;
  private final Path directory;
  private final Path scratch;
  private final Optional<Path> graph;
  private final List<Numbers> numbers;
  private final int threads;
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final HuggingFaceTokenizer tokenizer;
  private final ExecutorService pool;
  private final Map<SessionKey, OrtSession> sessions = new HashMap<>();
  private final IdentityHashMap<List<EncodedText>, Setting> tuned = new IdentityHashMap<>();
  private Setting setting;
  private Workload workload;
  private float[][] vectors;

  /**
   * Opens the contender.
   *
   * @param name {@code ort-fp32}, {@code ort-int8} or any name for a graph from outside
   * @param scratch directory for graphs
   * @param graph a graph from outside with the inputs {@code input_ids}, {@code attention_mask} and
   *     {@code token_type_ids} and hidden states or vectors as its first output
   */
  OnnxContender(String name, Path directory, Path scratch, Optional<Path> graph, int threads)
      throws IOException {
    this.name = name;
    this.directory = directory;
    this.scratch = scratch;
    this.graph = graph;
    this.threads = threads;
    numbers =
        name.equals("ort-int8")
            ? List.of(Numbers.INT8, Numbers.INT8_PER_CHANNEL)
            : List.of(Numbers.FP32);
    tokenizer = tokenizer(directory);
    pool = Executors.newFixedThreadPool(threads);
  }

  /** Returns the tokenizers library's own tokenizer, cutting and padding nothing. */
  static HuggingFaceTokenizer tokenizer(Path directory) throws IOException {
    return HuggingFaceTokenizer.newInstance(
        directory.resolve("tokenizer.json"), Map.of("truncation", "false", "padding", "false"));
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String setting() {
    return (setting.form.isEmpty()
            ? "given graph"
            : setting.form.get().name().toLowerCase(Locale.ROOT) + " graph")
        + (setting.numbers == Numbers.INT8_PER_CHANNEL ? " per channel" : "")
        + ", "
        + (setting.parallel
            ? threads + " runs of one thread"
            : threads + (threads == 1 ? " thread" : " threads"))
        + ", batches of "
        + setting.batch;
  }

  @Override
  public void prepare(Workload next) {
    workload = next;
    setting = tuned.get(next.encoded());
    if (setting == null) {
      setting = tune();
      tuned.put(next.encoded(), setting);
    }
  }

  private Setting tune() {
    int batch = Math.min(FIRST_BATCH, workload.texts().size());
    List<Setting> forms = new ArrayList<>();
    for (Numbers each : numbers) {
      if (graph.isPresent()) {
        forms.add(new Setting(Optional.empty(), each, false, batch));
      } else {
        for (Form form : Form.values()) {
          forms.add(new Setting(Optional.of(form), each, false, batch));
        }
      }
    }
    Setting best = fastest(forms);
    if (workload.single()) {
      return best;
    }
    if (threads > 1) {
      best = fastest(List.of(best, new Setting(best.form, best.numbers, true, batch)));
    }
    List<Setting> batches = new ArrayList<>();
    for (int size : BATCHES) {
      batches.add(new Setting(best.form, best.numbers, best.parallel, size));
    }
    return fastest(batches);
  }

  /** The first run of each opens its session; those that are far behind get one more. */
  private Setting fastest(List<Setting> candidates) {
    candidates.forEach(this::seconds);
    Map<Setting, Double> times = new HashMap<>();
    candidates.forEach(candidate -> times.put(candidate, seconds(candidate)));
    double first = Collections.min(times.values());
    for (Setting candidate : candidates) {
      if (times.get(candidate) < HOPELESS * first) {
        times.merge(candidate, seconds(candidate), Math::min);
      }
    }
    return Collections.min(times.entrySet(), Map.Entry.comparingByValue()).getKey();
  }

  private double seconds(Setting candidate) {
    setting = candidate;
    long began = System.nanoTime();
    run();
    return (System.nanoTime() - began) / 1e9;
  }

  private OrtSession session(Setting wanted) {
    int own = wanted.parallel ? 1 : threads;
    return sessions.computeIfAbsent(new SessionKey(wanted.form, wanted.numbers, own), this::open);
  }

  private OrtSession open(SessionKey key) {
    try (SessionOptions options = new SessionOptions()) {
      options.setOptimizationLevel(SessionOptions.OptLevel.ALL_OPT);
      options.setIntraOpNumThreads(key.threads);
      options.setInterOpNumThreads(1);
      Path file = graph.isPresent() ? graph.get() : written(key.form.orElseThrow(), key.numbers);
      return environment.createSession(file.toString(), options);
    } catch (OrtException e) {
      throw new IllegalStateException("ONNX Runtime refuses " + key + ": " + e.getMessage(), e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Path written(Form form, Numbers each) throws IOException {
    Path file = scratch.resolve((form + "-" + each + ".onnx").toLowerCase(Locale.ROOT));
    if (!Files.exists(file)) {
      try (ModelDirectory model = ModelDirectory.open(directory)) {
        OnnxGraph.write(file, model, form, each);
      }
    }
    return file;
  }

  @Override
  public void run() {
    long[][] ids = workload.fromStrings() ? tokenize() : ids();
    vectors = new float[ids.length][];
    List<int[]> batches = batches(ids);
    OrtSession session = session(setting);
    if (!setting.parallel) {
      batches.forEach(batch -> compute(session, ids, batch));
      return;
    }
    AtomicInteger next = new AtomicInteger();
    List<Future<?>> running = new ArrayList<>();
    for (int i = 0; i < threads; i++) {
      running.add(
          pool.submit(
              () -> {
                for (int b = next.getAndIncrement();
                    b < batches.size();
                    b = next.getAndIncrement()) {
                  compute(session, ids, batches.get(b));
                }
              }));
    }
    for (Future<?> each : running) {
      try {
        each.get();
      } catch (ExecutionException e) {
        throw new IllegalStateException(e.getCause());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      }
    }
  }

  private long[][] tokenize() {
    Encoding[] encodings =
        threads == 1
            ? workload.texts().stream().map(tokenizer::encode).toArray(Encoding[]::new)
            : tokenizer.batchEncode(workload.texts());
    return Arrays.stream(encodings).map(Encoding::getIds).toArray(long[][]::new);
  }

  private long[][] ids() {
    return workload.encoded().stream()
        .map(EncodedText::tokens)
        .map(tokens -> Arrays.stream(tokens.ids()).asLongStream().toArray())
        .toArray(long[][]::new);
  }

  /** Positions of the texts, longest first, cut into batches. */
  private List<int[]> batches(long[][] ids) {
    List<Integer> order =
        IntStream.range(0, ids.length)
            .boxed()
            .sorted(Comparator.comparingInt((Integer i) -> ids[i].length).reversed())
            .toList();
    boolean oneLength = setting.form.isPresent() && setting.form.get() == Form.FLASH;
    List<int[]> batches = new ArrayList<>();
    int first = 0;
    for (int i = 1; i <= order.size(); i++) {
      if (i == order.size()
          || i - first == setting.batch
          || (oneLength && ids[order.get(i)].length != ids[order.get(first)].length)) {
        batches.add(order.subList(first, i).stream().mapToInt(Integer::intValue).toArray());
        first = i;
      }
    }
    return batches;
  }

  private void compute(OrtSession session, long[][] ids, int[] batch) {
    int length = ids[batch[0]].length;
    long[] shape = {batch.length, length};
    long[] words = new long[batch.length * length];
    long[] mask = new long[words.length];
    for (int i = 0; i < batch.length; i++) {
      long[] text = ids[batch[i]];
      System.arraycopy(text, 0, words, i * length, text.length);
      Arrays.fill(mask, i * length, i * length + text.length, 1);
    }
    try (OnnxTensor inputIds = tensor(words, shape);
        OnnxTensor attentionMask = tensor(mask, shape);
        OnnxTensor types = tensor(new long[words.length], shape)) {
      Map<String, OnnxTensor> inputs = new HashMap<>();
      inputs.put("input_ids", inputIds);
      inputs.put("attention_mask", attentionMask);
      inputs.put("token_type_ids", types);
      inputs.keySet().retainAll(session.getInputNames());
      try (OrtSession.Result result = session.run(inputs)) {
        Object answer = result.get(0).getValue();
        for (int i = 0; i < batch.length; i++) {
          vectors[batch[i]] =
              answer instanceof float[][][] hidden
                  ? pooled(hidden[i], ids[batch[i]].length)
                  : ((float[][]) answer)[i];
        }
      }
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }

  private OnnxTensor tensor(long[] values, long[] shape) throws OrtException {
    return OnnxTensor.createTensor(environment, LongBuffer.wrap(values), shape);
  }

  /** The mean of the tokens' states, scaled to length 1. */
  private static float[] pooled(float[][] states, int tokens) {
    float[] sum = new float[states[0].length];
    for (int token = 0; token < tokens; token++) {
      for (int i = 0; i < sum.length; i++) {
        sum[i] += states[token][i];
      }
    }
    double squares = 0;
    for (float each : sum) {
      squares += (double) each * each;
    }
    for (int i = 0; i < sum.length; i++) {
      sum[i] /= (float) Math.sqrt(squares);
    }
    return sum;
  }

  @Override
  public float[][] vectors() {
    return vectors;
  }

  @Override
  public void close() {
    pool.shutdown();
    tokenizer.close();
    try {
      for (OrtSession session : sessions.values()) {
        session.close();
      }
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }
}
