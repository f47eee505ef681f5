package org.lanewise.benchmarks;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.management.JMException;
import javax.management.ObjectName;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.model.EncoderSizes;
import org.lanewise.encoder.tokenizer.Tokenizer;

/**
 * What only concerns ours: opening, memory, allocation, long texts, tokenizing; and how fast one
 * processor reads memory and multiplies, which bounds how fast a single text and a bulk can be.
 */
final class OwnFigures {
  private static final int OPENINGS = 7;
  private static final int ALLOCATION_RUNS = 20;
  private static final int TOKENIZED_TEXTS = 256;
  private static final int TOKENIZING_ROUNDS = 7;
  private static final int WARM_UP_ROUNDS = 5;
  private static final int[] LONG = {128, 512, 2048, 8192};
  private static final int[] LONG_REPEATS = {16, 8, 3, 2};

  /** Until then the JIT compiles: a text of 128 tokens took thrice its later time before. */
  private static final long LONG_WARM_UP_NANOS = 4_000_000_000L;

  private static final double NANOS = 1e9;

  /** The option of a JVM in which native memory can be measured. */
  static final String TRACKING = "-XX:NativeMemoryTracking=summary";

  /** What the JVM's own report says of memory that Java code allocates. */
  private static final Pattern OTHER = Pattern.compile("Other \\(reserved=\\d+, committed=(\\d+)");

  /** A constant, or the JIT would not know how wide the vectors are. */
  private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

  /** Independent sums: enough to keep all of a processor's outstanding reads busy. */
  private static final int SUMS = 8;

  /**
   * Opening and memory of one model.
   *
   * @param firstOpen seconds of the first opening in a fresh JVM
   * @param open seconds of later ones
   * @param weightBytes the layers' weights at the precision
   * @param nativeBytes native memory that opening and one short text took, files in memory aside
   * @param heapBytesPerToken heap allocated in steady state, answers included
   * @param answerBytesPerToken what the answers alone are
   */
  record Opened(
      String precision,
      double firstOpen,
      double open,
      long weightBytes,
      long nativeBytes,
      double heapBytesPerToken,
      double answerBytesPerToken) {}

  /** One text of so many tokens. */
  record LongText(int tokens, double seconds, double operations, long memory) {}

  /** Tokens per second of both tokenizers on one thread. */
  record Tokenizing(double ours, double theirs) {}

  /** How fast one processor reads a model's weights. */
  record Streaming(String shape, String precision, long bytes, double bandwidth) {}

  private final PrintStream log;
  private final List<Opened> opened = new ArrayList<>();
  private final List<Streaming> streaming = new ArrayList<>();
  private final List<LayerProducts.Speed> products = new ArrayList<>();
  private List<LongText> longTexts = List.of();
  private Tokenizing tokenizing;

  /** Prepares to say on {@code log} what is measured. */
  OwnFigures(PrintStream log) {
    this.log = log;
  }

  /** Returns what was measured of opening, for each precision that runs. */
  List<Opened> opened() {
    return opened;
  }

  /** Returns what was measured of long texts. */
  List<LongText> longTexts() {
    return longTexts;
  }

  /** Returns what was measured of tokenizing. */
  Tokenizing tokenizing() {
    return tokenizing;
  }

  /** Returns what was measured of reading weights. */
  List<Streaming> streaming() {
    return streaming;
  }

  /** Returns what was measured of products alone. */
  List<LayerProducts.Speed> products() {
    return products;
  }

  /**
   * Measures everything; meant for a JVM that has done nothing else.
   *
   * @param directory a minilm
   * @param longDirectory the same with 8192 positions
   */
  void measure(Path directory, Path longDirectory, int threads) throws IOException {
    for (Precision precision : List.of(Precision.FP32, Precision.BF16, Precision.INT8)) {
      try {
        opened.add(open(directory, precision));
      } catch (IllegalArgumentException | UnsupportedOperationException e) {
        log.println(precision.label() + " is not available: " + e.getMessage());
      }
    }
    longTexts = longTexts(longDirectory, threads);
    tokenizing = tokenizing(directory);
  }

  /** Measures how fast one processor reads as much as the model's weights, and multiplies. */
  void limits(String shape, EncoderSizes sizes) {
    for (Precision precision : Precision.values()) {
      log.printf(Locale.ROOT, "limits of %s, %s%n", shape, precision.label());
      long bytes = layerWeights(sizes) * bytes(precision);
      streaming.add(new Streaming(shape, precision.label(), bytes, bandwidth(bytes)));
      products.add(LayerProducts.measure(shape, sizes, precision));
    }
  }

  private static int bytes(Precision precision) {
    return switch (precision) {
      case FP32 -> 4;
      case BF16 -> 2;
      case INT8 -> 1;
    };
  }

  private static EmbedderOptions options(Precision precision, int threads) {
    return EmbedderOptions.defaults()
        .withBackend("vector")
        .withPrecision(Optional.of(precision))
        .withThreads(threads)
        .withBatchTokens(1 << 14);
  }

  private Opened open(Path directory, Precision precision) {
    log.printf(Locale.ROOT, "opening %s%n", precision.label());
    EmbedderOptions options = options(precision, 1).withBatchTokens(4096);
    double[] seconds = new double[OPENINGS];
    for (int i = 0; i < OPENINGS; i++) {
      long began = System.nanoTime();
      TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(directory), options);
      seconds[i] = (System.nanoTime() - began) / NANOS;
      if (i == 0) {
        // Compiled code and its data must not count as the next model's memory.
        embedder.warmUp();
        embedder.embed(List.of("text"));
      }
      embedder.close();
    }
    long before = nativeMemory();
    try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(directory), options)) {
      embedder.embed(List.of("text"));
      long after = nativeMemory();
      Workload mix =
          new RaceTexts(embedder.directory().tokenizer())
              .cut("mix", false, RaceTexts.mixedLengths(64, 1));
      for (int i = 0; i < ALLOCATION_RUNS; i++) {
        embedder.embedEncoded(mix.encoded());
      }
      ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
      long allocated = threads.getTotalThreadAllocatedBytes();
      for (int i = 0; i < ALLOCATION_RUNS; i++) {
        embedder.embedEncoded(mix.encoded());
      }
      double tokens = (double) ALLOCATION_RUNS * mix.tokens();
      return new Opened(
          precision.label(),
          seconds[0],
          Timing.median(Arrays.copyOfRange(seconds, 1, OPENINGS)),
          layerWeights(embedder.directory().config().sizes()) * bytes(precision),
          after - before,
          (threads.getTotalThreadAllocatedBytes() - allocated) / tokens,
          (double) mix.texts().size() * embedder.dimensions() * Float.BYTES / mix.tokens());
    }
  }

  /** Bytes outside the heap that Java code allocated, files in memory aside. */
  private static long nativeMemory() {
    try {
      Object answer =
          ManagementFactory.getPlatformMBeanServer()
              .invoke(
                  new ObjectName("com.sun.management:type=DiagnosticCommand"),
                  "vmNativeMemory",
                  new Object[] {new String[] {"summary", "scale=B"}},
                  new String[] {String[].class.getName()});
      Matcher other = OTHER.matcher(String.valueOf(answer));
      if (!other.find()) {
        throw new IllegalStateException(
            "this JVM does not track native memory: start it with " + TRACKING);
      }
      return Long.parseLong(other.group(1));
    } catch (JMException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The numbers of all linear weights of the layers. */
  static long layerWeights(EncoderSizes sizes) {
    long hidden = sizes.hiddenSize();
    return sizes.layers() * (4 * hidden * hidden + 2 * hidden * sizes.intermediateSize());
  }

  private List<LongText> longTexts(Path directory, int threads) {
    List<LongText> found = new ArrayList<>();
    for (int i = 0; i < LONG.length; i++) {
      log.printf(Locale.ROOT, "one text of %d tokens%n", LONG[i]);
      found.add(longText(directory, threads, LONG[i], LONG_REPEATS[i]));
    }
    return found;
  }

  /** Opens a model for one length: it keeps the memory of texts that it has read. */
  private static LongText longText(Path directory, int threads, int length, int repeats) {
    try (TextEmbedder embedder =
        TextEmbedder.open(ModelDirectory.open(directory), options(Precision.BF16, threads))) {
      embedder.warmUp();
      EncoderSizes sizes = embedder.directory().config().sizes();
      RaceTexts book = new RaceTexts(embedder.directory().tokenizer());
      embedder.embedEncoded(book.cut("first", false, LONG[0]).encoded());
      long before = nativeMemory();
      Workload text = book.cut(length + " tokens", false, length);
      double[] seconds = new double[repeats];
      long warm = System.nanoTime() + LONG_WARM_UP_NANOS;
      do {
        embedder.embedEncoded(text.encoded());
      } while (System.nanoTime() < warm);
      for (int run = 0; run < repeats; run++) {
        long began = System.nanoTime();
        embedder.embedEncoded(text.encoded());
        seconds[run] = (System.nanoTime() - began) / NANOS;
      }
      double operations =
          2.0 * length * layerWeights(sizes)
              + 4.0 * sizes.layers() * sizes.hiddenSize() * length * length;
      return new LongText(length, Timing.median(seconds), operations, nativeMemory() - before);
    }
  }

  /** Both tokenizers on one thread, after checking that they find the same tokens. */
  private Tokenizing tokenizing(Path directory) throws IOException {
    log.println("tokenizing");
    Tokenizer ours = ModelDirectory.openTokenizer(directory);
    Workload mix = new RaceTexts(ours).cut("mix", true, RaceTexts.mixedLengths(TOKENIZED_TEXTS, 1));
    try (HuggingFaceTokenizer theirs = OnnxContender.tokenizer(directory)) {
      for (String text : mix.texts()) {
        long[] expected = theirs.encode(text).getIds();
        int[] found = ours.encode(text).ids();
        if (!Arrays.equals(expected, Arrays.stream(found).asLongStream().toArray())) {
          throw new IllegalStateException(
              "the tokenizers do not agree on [" + text + "]: " + Arrays.toString(found));
        }
      }
      double[] oursSeconds = new double[TOKENIZING_ROUNDS];
      double[] theirsSeconds = new double[TOKENIZING_ROUNDS];
      for (int round = -WARM_UP_ROUNDS; round < TOKENIZING_ROUNDS; round++) {
        double our = pass(() -> mix.texts().stream().mapToLong(t -> ours.encode(t).length()).sum());
        double their =
            pass(() -> mix.texts().stream().mapToLong(t -> theirs.encode(t).getIds().length).sum());
        if (round >= 0) {
          oursSeconds[round] = our;
          theirsSeconds[round] = their;
        }
      }
      return new Tokenizing(
          mix.tokens() / Timing.median(oursSeconds), mix.tokens() / Timing.median(theirsSeconds));
    }
  }

  /** Seconds of one pass, whose answer keeps the JIT from leaving it away. */
  private static double pass(LongSupplier body) {
    long expected = body.getAsLong();
    long began = System.nanoTime();
    int passes = 0;
    double elapsed = 0;
    while (elapsed < 0.2) {
      if (body.getAsLong() != expected) {
        throw new IllegalStateException("a tokenizer does not give the same tokens twice");
      }
      passes++;
      elapsed = (System.nanoTime() - began) / NANOS;
    }
    return elapsed / passes;
  }

  /** The bytes that one processor reads in a second out of a block of so many bytes. */
  private static double bandwidth(long bytes) {
    long step = (long) SUMS * SPECIES.vectorByteSize();
    long size = bytes / step * step;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment block = arena.allocate(size, 4096);
      double best = Double.POSITIVE_INFINITY;
      float sum = 0;
      for (int i = 0; i < 200; i++) {
        long began = System.nanoTime();
        sum += sum(block);
        best = Math.min(best, (System.nanoTime() - began) / NANOS);
      }
      if (sum != 0) {
        throw new IllegalStateException("zeros add up to " + sum);
      }
      return size / best;
    }
  }

  private static float sum(MemorySegment block) {
    int bytes = SPECIES.vectorByteSize();
    FloatVector s0 = FloatVector.zero(SPECIES);
    FloatVector s1 = s0;
    FloatVector s2 = s0;
    FloatVector s3 = s0;
    FloatVector s4 = s0;
    FloatVector s5 = s0;
    FloatVector s6 = s0;
    FloatVector s7 = s0;
    for (long at = 0; at < block.byteSize(); at += (long) SUMS * bytes) {
      s0 = s0.add(at(block, at));
      s1 = s1.add(at(block, at + bytes));
      s2 = s2.add(at(block, at + 2L * bytes));
      s3 = s3.add(at(block, at + 3L * bytes));
      s4 = s4.add(at(block, at + 4L * bytes));
      s5 = s5.add(at(block, at + 5L * bytes));
      s6 = s6.add(at(block, at + 6L * bytes));
      s7 = s7.add(at(block, at + 7L * bytes));
    }
    FloatVector all = s0.add(s1).add(s2).add(s3).add(s4).add(s5).add(s6).add(s7);
    return all.lane(0);
  }

  private static FloatVector at(MemorySegment block, long position) {
    return FloatVector.fromMemorySegment(SPECIES, block, position, ByteOrder.LITTLE_ENDIAN);
  }
}
