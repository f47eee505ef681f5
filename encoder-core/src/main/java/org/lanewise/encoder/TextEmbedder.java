package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.batch.Batches;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.head.SentenceHead;
import org.lanewise.encoder.head.SentenceModule;
import org.lanewise.encoder.model.Activations;
import org.lanewise.encoder.model.TransformerEncoder;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.tokenizer.Truncation;

/**
 * Turns texts into vectors, as {@code SentenceTransformer.encode} does.
 *
 * {@snippet :
 * try (TextEmbedder embedder =
 *     TextEmbedder.open(ModelDirectory.open(path), EmbedderOptions.defaults())) {
 *   List<Embedding> answers = embedder.embed(List.of("first text", "second text"));
 *   float[] vector = answers.getFirst().vector();
 * }
 * }
 *
 * <p>Thread-safe: any number of threads may call any method at once. The same text gives the same
 * vector, to 1e-6, alone or in any batch, in any order and on any number of threads; where {@link
 * #deviceChoice} sends bulks to a device and single texts to the processor, to a cosine of 0.9996.
 * Weights and activations are native memory, released by {@link #close()}; calls after that throw
 * {@link IllegalStateException}.
 */
public final class TextEmbedder implements AutoCloseable {
  /** Tokens that activations hold at least, unless batches are smaller by choice. */
  private static final int LEAST_CAPACITY = 64;

  /** The same where a batch has more than that: the next batches will have other lengths. */
  private static final int USUAL_CAPACITY = 512;

  private final ModelDirectory directory;
  private final EmbedderOptions options;
  private final Workers workers;
  private final Backend shared;
  private final Backend alone;
  private final ModelMemory memory;
  private final TransformerEncoder encoder;
  private final Optional<SentenceHead> head;
  private final int dimensions;
  private final ConcurrentLinkedDeque<Activations> idle = new ConcurrentLinkedDeque<>();
  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private final Optional<DeviceFailover<TextEmbedder>> failover;

  /** What {@link #tryDevice} found, before anybody else has the embedder. */
  private Optional<DeviceChoice> choice = Optional.empty();

  /** The same model on a device, which has this one as stand-in; empty where none is used. */
  private Optional<TextEmbedder> device = Optional.empty();

  private boolean closed;

  /**
   * Prepares the model.
   *
   * @param alone computes on the calling thread, or on a device
   * @param memory takes weights and activations; the embedder closes it with itself
   * @param failover of the device that computes
   */
  private TextEmbedder(
      ModelDirectory directory,
      EmbedderOptions options,
      Backend alone,
      ModelMemory memory,
      Workers workers,
      Optional<DeviceFailover<TextEmbedder>> failover) {
    this.directory = directory;
    this.options = options;
    this.alone = alone;
    this.memory = memory;
    this.workers = workers;
    shared = Backends.helped(alone, workers);
    this.failover = failover;
    encoder =
        memory.allocate(
            arena -> new TransformerEncoder(alone, arena, directory.weights(), directory.config()));
    List<SentenceModule> modules = modules(directory.sentenceModules(), options);
    int width = directory.config().hiddenSize();
    head =
        modules.isEmpty()
            ? Optional.empty()
            : Optional.of(memory.allocate(arena -> new SentenceHead(alone, arena, modules, width)));
    dimensions = head.map(h -> dimensions(h.dimensions(), directory, options)).orElse(0);
  }

  /**
   * Returns an embedder over the directory, which it closes with itself; if it cannot be opened,
   * the directory is closed too.
   *
   * <p>Backend {@code auto} opens the model on the processor, and on a GPU where there is one and a
   * trial shows that it gives the same vectors: {@link #deviceChoice} says what it computes.
   *
   * @throws IllegalArgumentException if the backend cannot start or an option does not fit the
   *     model
   */
  public static TextEmbedder open(ModelDirectory directory, EmbedderOptions options) {
    return open(directory, options, 1);
  }

  /**
   * Like {@link #open(ModelDirectory, EmbedderOptions)}, for callers with threads of their own.
   *
   * @param callers threads that call at once: a device has to be faster than all of them
   */
  public static TextEmbedder open(ModelDirectory directory, EmbedderOptions options, int callers) {
    try {
      TextEmbedder embedder =
          open(
              directory,
              options,
              Backends.create(options.backend(), options.precision(), new Workers(1)));
      try {
        embedder.tryDevice(
            () -> Backends.device(options.backend(), options.precision()),
            (processor, device) ->
                DeviceTrial.run(processor, device, callers, device.alone().batchTokens().fewest()));
        return embedder;
      } catch (Error e) {
        embedder.close();
        throw e;
      }
    } catch (DeviceException e) {
      directory.close();
      throw new IllegalArgumentException(
          "backend [" + options.backend() + "] cannot start because " + e.getMessage(), e);
    } catch (RuntimeException | Error e) {
      directory.close();
      throw e;
    }
  }

  /** Returns an embedder on a backend that is open; the directory stays open if that fails. */
  static TextEmbedder open(ModelDirectory directory, EmbedderOptions options, Backend alone) {
    return open(
        directory,
        options,
        alone,
        alone.computesElsewhere()
            ? Optional.of(
                new DeviceFailover<>(
                    () -> onProcessor(directory, options.withThreads(1), alone.precision()),
                    TextEmbedder::close))
            : Optional.empty());
  }

  private static TextEmbedder open(
      ModelDirectory directory,
      EmbedderOptions options,
      Backend alone,
      Optional<DeviceFailover<TextEmbedder>> failover) {
    ModelMemory memory = new ModelMemory(options.memory());
    Workers workers = new Workers(options.threads());
    try {
      return new TextEmbedder(directory, options, alone, memory, workers, failover);
    } catch (RuntimeException | Error e) {
      workers.close();
      memory.close();
      throw e;
    }
  }

  /**
   * Opens the model on a device, too, and keeps it there where a trial speaks for it. Whatever goes
   * wrong, the model stays on the processor and {@link #deviceChoice} says why.
   *
   * @param opener opens the device, where there is one
   * @param trial is given this model and the one on the device
   */
  void tryDevice(
      Supplier<Optional<Backend>> opener,
      BiFunction<TextEmbedder, TextEmbedder, DeviceChoice> trial) {
    List<TextEmbedder> opened = new ArrayList<>();
    try {
      choice = opener.get().map(backend -> tried(backend, trial, opened));
    } catch (RuntimeException e) {
      choice = Optional.of(DeviceChoice.refused("cuda", String.valueOf(e.getMessage())));
    } finally {
      if (choice.isPresent() && choice.get().usesDevice()) {
        device = Optional.of(opened.getFirst());
      } else {
        opened.forEach(TextEmbedder::closeModel);
      }
    }
  }

  private DeviceChoice tried(
      Backend backend,
      BiFunction<TextEmbedder, TextEmbedder, DeviceChoice> trial,
      List<TextEmbedder> opened) {
    if (head.isEmpty()) {
      return DeviceChoice.refused(
          backend.name(), "the model states no pooling, so there are no vectors to compare");
    }
    if (alone.name().equals("scalar")) {
      return DeviceChoice.refused(
          backend.name(),
          "a trial against backend [scalar] would take minutes; " + Backends.VECTOR_API_CURE);
    }
    int bulkTokens = Math.max(options.batchTokens(), backend.batchTokens().fewest());
    opened.add(
        open(
            directory,
            options.withBatchTokens(bulkTokens),
            backend,
            Optional.of(new DeviceFailover<>(() -> this, _ -> {}))));
    return trial.apply(this, opened.getFirst());
  }

  /** The same model on the processor, for what a device cannot do, over the same directory. */
  private static TextEmbedder onProcessor(
      ModelDirectory directory, EmbedderOptions options, Precision precision) {
    Backend backend = Backends.create("auto", Optional.of(precision), new Workers(1));
    return open(directory, options, backend);
  }

  /** The directory's modules with the caller's pooling and normalisation in place of its own. */
  private static List<SentenceModule> modules(
      List<SentenceModule> stated, EmbedderOptions options) {
    List<SentenceModule> modules = new ArrayList<>(stated);
    if (options.pooling().isPresent()) {
      boolean includePrompt = true;
      if (!modules.isEmpty() && modules.getFirst() instanceof SentenceModule.Pooling own) {
        includePrompt = own.includePrompt();
        modules.removeFirst();
      }
      PoolingMode mode = options.pooling().get();
      modules.addFirst(new SentenceModule.Pooling(List.of(mode), includePrompt));
    }
    if (options.normalize().isPresent() && !options.normalize().get()) {
      modules.removeIf(module -> module instanceof SentenceModule.Normalize);
    }
    return modules;
  }

  private static int dimensions(int size, ModelDirectory directory, EmbedderOptions options) {
    int asked = options.dimensions().orElse(directory.truncateDimensions().orElse(0));
    if (asked < 0 || asked > size) {
      throw new IllegalArgumentException(
          "dimensions is [" + asked + "] but the model's vectors have " + size);
    }
    return asked == 0 ? size : asked;
  }

  /**
   * Returns the length of the vectors.
   *
   * @throws ModelException if the directory states no pooling and none was given
   */
  public int dimensions() {
    head();
    return dimensions;
  }

  /** Returns whether the directory or the caller says how token vectors become one. */
  boolean pools() {
    return head.isPresent();
  }

  private SentenceHead head() {
    return head.orElseThrow(
        () ->
            new ModelException(
                directory.path(),
                List.of(
                    "it states no pooling (modules.json with a Pooling module is missing), so it"
                        + " gives token vectors but no text vector; choose a pooling: "
                        + Arrays.stream(PoolingMode.values()).map(PoolingMode::label).toList())));
  }

  /**
   * Refuses a model whose vectors are not means of token vectors.
   *
   * @throws ModelException if that is so
   */
  void requireMean() {
    List<PoolingMode> modes = head().pooling();
    if (!modes.equals(List.of(PoolingMode.MEAN))) {
      throw new ModelException(
          directory.path(),
          List.of(
              "late chunking takes the mean of a chunk's tokens, but this model's pooling is "
                  + modes.stream().map(PoolingMode::label).toList()
                  + ", expected [mean]; cut texts without late chunking, or take another model"));
    }
  }

  /** Returns the directory that was opened. */
  public ModelDirectory directory() {
    return directory;
  }

  /** Returns the most tokens of one text, prompt and special tokens included. */
  public int maxLength() {
    return directory.maxLength();
  }

  /** Returns the model's prompts. */
  public Prompts prompts() {
    return directory.prompts();
  }

  /** Returns what computes on one thread. */
  Backend alone() {
    return alone;
  }

  /** Returns the threads that one call may use, the caller's included. */
  int threads() {
    return workers.threads();
  }

  /** Returns the most tokens of one packed batch: what was asked for, and no more than pays. */
  int batchTokens() {
    return Math.min(options.batchTokens(), alone.batchTokens().most());
  }

  /** Returns the most tokens of one packed batch of a bulk of vectors. */
  public int bulkTokens() {
    return bulks().batchTokens();
  }

  /** Returns the most tokens of one packed batch of vectors of so many tokens together. */
  int batchTokens(long tokens) {
    return of(tokens).batchTokens();
  }

  /** Returns what computes bulks of vectors. */
  private TextEmbedder bulks() {
    return device.filter(_ -> choice.orElseThrow().bulks()).orElse(this);
  }

  /** Returns what computes vectors of so many tokens together. */
  private TextEmbedder of(long tokens) {
    return device.filter(_ -> choice.orElseThrow().onDevice(tokens)).orElse(this);
  }

  private TextEmbedder of(List<EncodedText> texts) {
    return device.isEmpty() ? this : of(texts.stream().mapToLong(EncodedText::length).sum());
  }

  /**
   * Returns what backend {@code auto} uses a device for, and why; empty where there is none, or
   * where a backend was named.
   */
  public Optional<DeviceChoice> deviceChoice() {
    return choice;
  }

  /**
   * Returns what the device that computes could not do; empty where there is none, or where the
   * processor was named.
   */
  public Optional<DeviceReport> deviceReport() {
    if (choice.isEmpty()) {
      return failover.map(DeviceFailover::report);
    }
    Optional<String> text = choice.map(DeviceChoice::text);
    return Optional.of(
        device
            .flatMap(each -> each.failover)
            .map(each -> each.report(text))
            .orElse(new DeviceReport(0, 0, Optional.empty(), text)));
  }

  /**
   * Returns the name of the backend that computes bulks of vectors: {@code vector}, {@code scalar}
   * or {@code cuda}.
   */
  public String backend() {
    return bulks().alone.name();
  }

  /** Returns the precision of {@link #backend}. */
  public Precision precision() {
    return bulks().alone.precision();
  }

  /** Returns what multiplies matrices there: {@link Backend#kernels()}. */
  public String kernels() {
    return bulks().alone.kernels();
  }

  /**
   * Returns the tokens of prompt and text, cut to {@link #maxLength()}.
   *
   * @param prompt goes in front of the text as it is; empty for none
   */
  public EncodedText encode(String text, String prompt) {
    return encode(text, Optional.empty(), prompt);
  }

  /**
   * Returns the tokens of prompt, text and pair, cut to {@link #maxLength()}: the longer of the two
   * texts loses its end first.
   *
   * @param pair the second text, with token type 1
   * @param prompt goes in front of the first text as it is; empty for none
   * @throws IllegalArgumentException if there is a pair and the model has no token type for it
   */
  public EncodedText encode(String text, Optional<String> pair, String prompt) {
    Tokens tokens = tokens(prompt + text, pair, Truncation.to(maxLength()));
    return new EncodedText(tokens, promptTokens(prompt));
  }

  /** Returns the tokens of text and pair, cut as is said. */
  Tokens tokens(String text, Optional<String> pair, Truncation truncation) {
    Tokens tokens =
        directory
            .tokenizer()
            .encode(cased(text), pair.map(this::cased), true, Optional.of(truncation));
    int types = directory.config().typeVocabularySize();
    for (int typeId : tokens.typeIds()) {
      if (types > 0 && typeId >= types) {
        throw new IllegalArgumentException(
            "a token has type ["
                + typeId
                + "] but [type_vocab_size] is "
                + types
                + ": this model takes no pairs of texts");
      }
    }
    return tokens;
  }

  /** Returns the ids of a text's tokens without special ones, cut to the model's length. */
  int[] queryTokens(String text) {
    return directory
        .tokenizer()
        .encode(cased(text), Optional.empty(), false, Optional.of(Truncation.to(maxLength())))
        .ids();
  }

  /** Returns the tokens of a text uncut, special tokens included. */
  Tokens allTokens(String text) {
    return directory.tokenizer().encode(cased(text));
  }

  /**
   * Returns how many tokens prompt and text have uncut, special tokens included.
   *
   * @param prompt goes in front of the text as it is; empty for none
   */
  public int countTokens(String text, String prompt) {
    return allTokens(prompt + text).length();
  }

  /**
   * Returns the tokens of two texts of which only the second may be cut.
   *
   * @param name what the first one is called
   * @param overlap tokens that windows over the second share, where it is read to its end
   * @throws IllegalArgumentException if the first leaves no room for the second
   */
  Tokens pair(String name, String first, String second, OptionalInt overlap) {
    int alone =
        directory
            .tokenizer()
            .encode(cased(first), Optional.of(""), true, Optional.empty())
            .length();
    if (alone >= maxLength()) {
      throw new IllegalArgumentException(
          "the "
              + name
              + " has ["
              + alone
              + "] tokens with the special ones and leaves no room for a text, as the model reads ["
              + maxLength()
              + "] at once: shorten it");
    }
    return tokens(
        first,
        Optional.of(second),
        new Truncation(
            maxLength(), overlap, Truncation.Strategy.ONLY_SECOND, Truncation.Direction.RIGHT));
  }

  /** Lower-cases where the model asks for it, keeping every unit in its place. */
  String casedInPlace(String text) {
    if (!directory.lowerCase()) {
      return text;
    }
    String lower = text.toLowerCase(Locale.ROOT);
    if (lower.length() == text.length()) {
      return lower;
    }
    StringBuilder units = new StringBuilder(text);
    for (int i = 0; i < text.length(); i++) {
      units.setCharAt(i, Character.toLowerCase(text.charAt(i)));
    }
    return units.toString();
  }

  private String cased(String text) {
    return directory.lowerCase() ? text.toLowerCase(Locale.ROOT) : text;
  }

  /**
   * The prompt tokenized alone, without the special token that ends it, as the reference counts.
   */
  private int promptTokens(String prompt) {
    boolean included =
        directory.sentenceModules().isEmpty()
            || !(directory.sentenceModules().getFirst() instanceof SentenceModule.Pooling pooling)
            || pooling.includePrompt();
    if (included || prompt.isEmpty()) {
      return 0;
    }
    Tokens tokens = allTokens(prompt);
    int last = tokens.length() - 1;
    return last >= 0 && tokens.special()[last] ? last : tokens.length();
  }

  /**
   * Returns the vectors of one packed batch, computed on the calling thread alone, or on a device.
   * The batch is not split: the caller chooses its size. Throughput is best when several threads
   * call this at once with a few hundred tokens each, or with {@link #bulkTokens} for a device.
   */
  public float[][] forward(List<EncodedText> texts) {
    TextEmbedder chosen = of(texts);
    return chosen.forward(chosen.alone, texts);
  }

  /** Like {@link #forward}, with the embedder's idle threads helping: for single queries. */
  public float[][] forwardShared(List<EncodedText> texts) {
    TextEmbedder chosen = of(texts);
    return chosen.forward(chosen.shared, texts);
  }

  /** Returns the vectors of one packed batch, or throws what a device throws. */
  float[][] vectorsHere(List<EncodedText> texts) {
    return answerHere(shared, texts, this, TextEmbedder::vectors).toArray(float[][]::new);
  }

  private float[][] forward(Backend backend, List<EncodedText> texts) {
    head();
    return answer(backend, texts, Function.identity(), TextEmbedder::vectors)
        .toArray(float[][]::new);
  }

  /**
   * Returns what the body makes of the texts with this model or, where its device cannot, with the
   * same model on the processor.
   */
  <S, T> List<T> compute(List<S> texts, BiFunction<TextEmbedder, List<S>, List<T>> body) {
    return failover.isPresent()
        ? failover.get().compute(this, texts, body)
        : body.apply(this, texts);
  }

  /** Returns the vectors of a batch. */
  List<float[]> vectors(Backend backend, Arena call, Matrix hidden, PackedBatch batch) {
    return vectors(backend, head().forward(backend, call, hidden, batch));
  }

  /** Returns the vectors of ranges of tokens of a batch, which {@link #requireMean} allows. */
  List<float[]> vectors(
      Backend backend, Arena call, Matrix hidden, List<SentenceHead.Range> ranges) {
    return vectors(backend, head().forward(backend, call, hidden, ranges));
  }

  private List<float[]> vectors(Backend backend, Matrix pooled) {
    if (options.normalize().orElse(false)) {
      // After the cut, as encode(normalize_embeddings=True) does.
      backend.normalize(pooled.firstColumns(dimensions));
    }
    return Arrays.asList(backend.read(pooled, dimensions));
  }

  /** What a head makes of the hidden states of a batch. */
  @FunctionalInterface
  interface HeadPass<H, T> {
    /**
     * Returns an answer for each sequence.
     *
     * @param head prepared for the model that computed the states
     * @param call memory for the time of the call, see {@link Backend#callMemory}
     * @param hidden (tokens, hiddenSize), which may be changed
     */
    List<T> apply(H head, Backend backend, Arena call, Matrix hidden, PackedBatch batch);
  }

  /**
   * Returns a head, its weights prepared in memory that lives as long as the embedder: on its
   * device, or on the processor where that has no room for them.
   *
   * @throws ModelException if the directory has no such head
   */
  <H> PreparedHead<TextEmbedder, H> prepare(BiFunction<Backend, Arena, H> head) {
    return PreparedHead.prepare(embedder -> embedder.prepareHere(head), this, failover);
  }

  private <H> H prepareHere(BiFunction<Backend, Arena, H> head) {
    Lock reading = lock.readLock();
    reading.lock();
    try {
      requireOpen();
      return memory.allocate(arena -> head.apply(alone, arena));
    } catch (IllegalArgumentException e) {
      throw new ModelException(directory.path(), List.of(String.valueOf(e.getMessage())));
    } finally {
      reading.unlock();
    }
  }

  /** Runs the body for 0 to {@code count - 1} on all threads. */
  void forEach(int count, IntConsumer body) {
    workers.forEach(count, body);
  }

  /**
   * Returns a head's answers to encoded texts, in order, using all of the embedder's threads.
   *
   * @param head finds the head of this embedder, or of the one that stands in for it
   */
  <H, T> List<T> answer(
      List<EncodedText> texts, Function<TextEmbedder, H> head, HeadPass<H, T> pass) {
    List<T> answers = new ArrayList<>(Collections.nCopies(texts.size(), null));
    List<List<Integer>> batches = batches(texts);
    Backend backend = batches.size() == 1 ? shared : alone;
    workers.forEach(
        batches.size(),
        i -> {
          List<Integer> positions = batches.get(i);
          List<EncodedText> batch = positions.stream().map(texts::get).toList();
          scatter(answer(backend, batch, head, pass), positions, answers);
        });
    return answers;
  }

  private static <T> void scatter(List<T> from, List<Integer> positions, List<T> to) {
    for (int i = 0; i < positions.size(); i++) {
      to.set(positions.get(i), from.get(i));
    }
  }

  private <H, T> List<T> answer(
      Backend backend,
      List<EncodedText> texts,
      Function<TextEmbedder, H> head,
      HeadPass<H, T> pass) {
    return compute(
        texts,
        (embedder, some) ->
            embedder == this
                ? answerHere(backend, some, head.apply(this), pass)
                : embedder.answerInTurn(some, head.apply(embedder), pass));
  }

  /** Returns answers to texts that are too many for one of this embedder's batches. */
  private <H, T> List<T> answerInTurn(List<EncodedText> texts, H head, HeadPass<H, T> pass) {
    List<T> answers = new ArrayList<>(Collections.nCopies(texts.size(), null));
    for (List<Integer> batch : batches(texts)) {
      List<EncodedText> some = batch.stream().map(texts::get).toList();
      scatter(answerHere(alone, some, head, pass), batch, answers);
    }
    return answers;
  }

  /** Returns answers to one packed batch, computed here and on the calling thread alone. */
  <T> List<T> answerAlone(List<EncodedText> texts, HeadPass<TextEmbedder, T> pass) {
    return answerHere(alone, texts, this, pass);
  }

  private <H, T> List<T> answerHere(
      Backend backend, List<EncodedText> texts, H head, HeadPass<H, T> pass) {
    return withState(
        backend,
        texts,
        directory.config().layers(),
        (batch, hidden) -> {
          // A few rows most often: not worth sharing.
          try (Arena call = alone.callMemory()) {
            return pass.apply(head, alone, call, hidden, batch);
          }
        });
  }

  /** Returns the last hidden state of every token of every text: [text][token][hiddenSize]. */
  public float[][][] forwardTokens(List<EncodedText> texts) {
    return forwardTokens(texts, directory.config().layers(), true);
  }

  /**
   * Returns the hidden state of every token of every text, [text][token][hiddenSize], after so many
   * layers.
   *
   * @param layers 0 for what the first layer reads; later layers are not computed
   * @param helped whether the embedder's idle threads help, or the calling thread works alone
   */
  float[][][] forwardTokens(List<EncodedText> texts, int layers, boolean helped) {
    return compute(texts, (embedder, some) -> embedder.statesHere(some, layers, helped))
        .toArray(float[][][]::new);
  }

  private List<float[][]> statesHere(List<EncodedText> texts, int layers, boolean helped) {
    return withState(
        helped ? shared : alone,
        texts,
        layers,
        (batch, hidden) -> {
          float[][] states = shared.read(hidden, hidden.columns());
          List<float[][]> answers = new ArrayList<>();
          for (int i = 0; i < texts.size(); i++) {
            answers.add(
                Arrays.copyOfRange(
                    states, batch.sequenceStarts()[i], batch.sequenceStarts()[i + 1]));
          }
          return answers;
        });
  }

  private interface Body<T> {
    T apply(PackedBatch batch, Matrix hidden);
  }

  private <T> T withState(Backend backend, List<EncodedText> texts, int layers, Body<T> body) {
    PackedBatch batch =
        PackedBatch.pack(
                texts.stream().map(EncodedText::tokens).toList(),
                texts.stream().mapToInt(EncodedText::promptTokens).toArray())
            .withUnread(texts.stream().mapToInt(EncodedText::unread).toArray());
    Lock reading = lock.readLock();
    reading.lock();
    try {
      requireOpen();
      Activations state = borrow(batch.tokens());
      try {
        Matrix hidden = encoder.forward(backend, batch, state.forTokens(batch.tokens()), layers);
        return body.apply(batch, hidden);
      } finally {
        idle.addFirst(state);
      }
    } finally {
      reading.unlock();
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the embedder of [" + directory.path() + "] is closed");
    }
  }

  /**
   * Returns activations that nobody uses. Those that are too small are left to {@link #close()}:
   * closing shared memory throws running kernels of other threads back into the interpreter, and as
   * the next ones are twice as large, all that is left together is no larger than the last.
   */
  private Activations borrow(int tokens) {
    Activations state = idle.pollFirst();
    if (state != null && state.capacity() >= tokens) {
      return state;
    }
    // What fits into a device's memory should not fail for the room of what was not asked for.
    boolean few = tokens <= LEAST_CAPACITY || alone.computesElsewhere();
    int least = few ? LEAST_CAPACITY : USUAL_CAPACITY;
    int capacity = Math.min(options.batchTokens(), least);
    while (capacity < tokens) {
      capacity *= 2;
    }
    int tokensAtOnce = capacity;
    try {
      return memory.allocate(
          arena -> Activations.allocate(alone, arena, directory.config(), tokensAtOnce));
    } catch (RuntimeException e) {
      if (state != null) {
        idle.addFirst(state);
      }
      throw e;
    }
  }

  /**
   * Makes the first texts as fast as later ones; for servers, before they answer. Takes about a
   * second in a fresh JVM and next to nothing after that.
   */
  public void warmUp() {
    alone.warmUp();
  }

  /** Returns the vectors of the texts, in order, with the model's default prompt. */
  public List<Embedding> embed(List<String> texts) {
    return embed(texts, prompts().byDefault());
  }

  /**
   * Returns the vectors of the texts, in order, using all of the embedder's threads: texts are
   * sorted by length and packed into batches, so that results never depend on their neighbours.
   *
   * @param prompt goes in front of every text; empty for none
   */
  public List<Embedding> embed(List<String> texts, String prompt) {
    return embed(texts, Collections.nCopies(texts.size(), Optional.empty()), prompt);
  }

  /**
   * Like {@link #embed(List, String)}, for texts of which some have a second text.
   *
   * @param pairs the second text of each text; as many as texts
   */
  public List<Embedding> embed(List<String> texts, List<Optional<String>> pairs, String prompt) {
    requirePairs(texts, pairs);
    EncodedText[] encoded = new EncodedText[texts.size()];
    float[][] vectors = new float[texts.size()][];
    TextEmbedder chosen = device.isPresent() ? of(estimatedTokens(texts, pairs)) : this;
    if (chosen.alone.computesElsewhere()) {
      chosen.embedMeanwhile(texts, pairs, prompt, encoded, vectors);
    } else {
      encoded = encodeAll(texts, pairs, prompt).toArray(EncodedText[]::new);
      vectors = embedEncoded(Arrays.asList(encoded));
    }
    List<Embedding> embeddings = new ArrayList<>(encoded.length);
    for (int i = 0; i < vectors.length; i++) {
      Tokens tokens = encoded[i].tokens();
      embeddings.add(new Embedding(vectors[i], tokens.length(), tokens.truncated()));
    }
    return embeddings;
  }

  /** English has about as many characters for each token of a word-piece vocabulary. */
  private static final int CHARACTERS_PER_TOKEN = 4;

  /** Texts that a thread tokenizes at a time. */
  private static final int TOKENIZED_TEXTS = 16;

  /**
   * Tokenizes on all threads while a device computes: whoever tokenized the last text of a batch
   * hands the batch to the device, and the others go on with the next.
   */
  private void embedMeanwhile(
      List<String> texts,
      List<Optional<String>> pairs,
      String prompt,
      EncodedText[] encoded,
      float[][] vectors) {
    int[] estimates = new int[texts.size()];
    Arrays.setAll(estimates, i -> estimatedTokens(texts.get(i), pairs.get(i)));
    List<List<Integer>> batches =
        Batches.longestFirst(
            estimates, Math.min(options.batchTokens(), alone.batchTokens().fewest()));
    List<Piece> pieces = new ArrayList<>();
    for (List<Integer> batch : batches) {
      AtomicInteger left = new AtomicInteger(batch.size());
      for (int first = 0; first < batch.size(); first += TOKENIZED_TEXTS) {
        int end = Math.min(batch.size(), first + TOKENIZED_TEXTS);
        pieces.add(new Piece(batch.subList(first, end), batch, left));
      }
    }
    workers.forEach(
        pieces.size(),
        each -> {
          Piece piece = pieces.get(each);
          for (int i : piece.texts()) {
            encoded[i] = encode(texts.get(i), pairs.get(i), prompt);
          }
          if (piece.left().addAndGet(-piece.texts().size()) == 0) {
            forwardAll(piece.batch(), encoded, vectors);
          }
        });
  }

  private static int estimatedTokens(String text, Optional<String> pair) {
    return 1 + (text.length() + pair.map(String::length).orElse(0)) / CHARACTERS_PER_TOKEN;
  }

  private long estimatedTokens(List<String> texts, List<Optional<String>> pairs) {
    long tokens = 0;
    for (int i = 0; i < texts.size(); i++) {
      tokens += Math.min(maxLength(), estimatedTokens(texts.get(i), pairs.get(i)));
    }
    return tokens;
  }

  /** Some texts of a batch, of which so many are still to be tokenized. */
  private record Piece(List<Integer> texts, List<Integer> batch, AtomicInteger left) {}

  /** Computes texts, which may have more tokens than was thought. */
  private void forwardAll(List<Integer> positions, EncodedText[] encoded, float[][] vectors) {
    int[] lengths = positions.stream().mapToInt(i -> encoded[i].length()).toArray();
    for (List<Integer> batch : Batches.longestFirst(lengths, batchTokens())) {
      List<Integer> chosen = batch.stream().map(positions::get).toList();
      scatter(forward(alone, chosen.stream().map(i -> encoded[i]).toList()), chosen, vectors);
    }
  }

  private static void requirePairs(List<String> texts, List<Optional<String>> pairs) {
    if (pairs.size() != texts.size()) {
      throw new IllegalArgumentException(
          "there are " + pairs.size() + " pairs, expected one for each of " + texts.size());
    }
  }

  /** Returns the tokens of all texts, on all threads. */
  List<EncodedText> encodeAll(List<String> texts, List<Optional<String>> pairs, String prompt) {
    requirePairs(texts, pairs);
    EncodedText[] encoded = new EncodedText[texts.size()];
    workers.forEach(encoded.length, i -> encoded[i] = encode(texts.get(i), pairs.get(i), prompt));
    return Arrays.asList(encoded);
  }

  /** Returns the vectors of encoded texts, in order, using all of the embedder's threads. */
  public float[][] embedEncoded(List<EncodedText> texts) {
    return of(texts).embedHere(texts);
  }

  private float[][] embedHere(List<EncodedText> texts) {
    float[][] vectors = new float[texts.size()][];
    List<List<Integer>> batches = batches(texts);
    if (batches.size() == 1) {
      scatter(forward(shared, texts), IntStream.range(0, texts.size()).boxed().toList(), vectors);
      return vectors;
    }
    workers.forEach(
        batches.size(),
        i -> {
          List<Integer> batch = batches.get(i);
          scatter(forward(alone, batch.stream().map(texts::get).toList()), batch, vectors);
        });
    return vectors;
  }

  private static void scatter(float[][] from, List<Integer> positions, float[][] to) {
    for (int i = 0; i < from.length; i++) {
      to[positions.get(i)] = from[i];
    }
  }

  private List<List<Integer>> batches(List<EncodedText> texts) {
    int[] lengths = texts.stream().mapToInt(EncodedText::length).toArray();
    long perThread = Math.ceilDiv(IntStream.of(lengths).asLongStream().sum(), workers.threads());
    long budget = Math.min(batchTokens(), Math.max(perThread, alone.batchTokens().fewest()));
    return Batches.longestFirst(lengths, budget);
  }

  /** Releases memory and threads; calls that are running finish first. */
  @Override
  public void close() {
    device.ifPresent(TextEmbedder::closeModel);
    closeModel();
    directory.close();
  }

  /** Releases everything but the directory. */
  private void closeModel() {
    Lock writing = lock.writeLock();
    writing.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      workers.close();
      idle.clear();
      failover.ifPresent(DeviceFailover::close);
      memory.close();
    } finally {
      writing.unlock();
    }
  }
}
