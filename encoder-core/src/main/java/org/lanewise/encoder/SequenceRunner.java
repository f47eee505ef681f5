package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.batch.Batches;
import org.lanewise.encoder.model.SequenceActivations;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceInputs;
import org.lanewise.encoder.model.SequenceModel;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.weights.Weights;

/**
 * What a tagger and a classifier have in common: an open directory, its model without the head, and
 * batches of texts that are run through it. Thread-safe until it is closed.
 */
final class SequenceRunner implements AutoCloseable {
  /** Below this many words one batch on all threads is faster than a batch for each thread. */
  private static final int SHARED_WORDS = 64;

  /** Words that activations hold at least, unless batches are smaller by choice. */
  private static final int LEAST_CAPACITY = 256;

  /** A text counts as at least so many words, which bounds the sequences of a batch. */
  private static final int LEAST_WORDS = 4;

  private static final int WARM_UP_TEXTS = 24;
  private static final int WARM_UP_ROUNDS = 10;
  private static final long WARM_UP_NANOS = 1_000_000_000;

  private final SequenceModelDirectory directory;
  private final EmbedderOptions options;
  private final Arena arena;
  private final ModelMemory memory;
  private final Workers workers;
  private final Backend alone;
  private final Backend shared;
  private final SequenceModel model;
  private final SequenceInputs inputs;
  private final SequenceInputs helpedInputs;
  private final ConcurrentLinkedDeque<SequenceActivations> idle = new ConcurrentLinkedDeque<>();
  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private final Optional<DeviceFailover<SequenceRunner>> failover;
  private boolean closed;

  /** Takes the states of one batch. */
  @FunctionalInterface
  interface Body {
    /**
     * Takes the states.
     *
     * @param computed what computed them: the runner that was asked, or its stand-in
     * @param texts positions of the batch's texts, in its order
     * @param states (words, states), for the time of the call
     */
    void accept(SequenceRunner computed, List<Integer> texts, int[] sequenceStarts, Matrix states);
  }

  /**
   * Prepares the model.
   *
   * @param arena holds the directory
   * @param named computes on the calling thread, or on a device
   */
  private SequenceRunner(
      SequenceModelDirectory directory,
      Arena arena,
      EmbedderOptions options,
      Optional<TextEmbedder> encoder,
      Backend named) {
    this.directory = directory;
    this.arena = arena;
    this.options = options;
    alone = named;
    failover =
        named.computesElsewhere()
            ? Optional.of(
                new DeviceFailover<>(
                    () ->
                        new SequenceRunner(
                            directory,
                            arena,
                            options.withThreads(1),
                            encoder,
                            backend("auto", options)),
                    SequenceRunner::closeModel))
            : Optional.empty();
    memory = new ModelMemory(options.memory());
    model =
        memory.allocate(
            weights -> new SequenceModel(named, weights, directory.weights(), directory.config()));
    inputs =
        new SequenceInputs(
            directory.config(),
            directory.vocabularies(),
            encoder.map(each -> new WordEmbedder(each, false)).orElse(null));
    helpedInputs = inputs.withEncoder(encoder.map(WordEmbedder::new).orElse(null));
    workers = new Workers(options.threads());
    shared = Backends.helped(alone, workers);
  }

  /**
   * Opens a directory.
   *
   * @param encoders finds the encoder of an id
   * @param backend what {@link #backend} returned
   * @throws ModelException naming what is wrong and the cure
   */
  static SequenceRunner open(
      Path path,
      SequenceModelDirectory.Kind kind,
      EmbedderOptions options,
      Function<String, TextEmbedder> encoders,
      Backend backend) {
    Arena arena = Arena.ofShared();
    boolean opened = false;
    try {
      SequenceModelDirectory directory = SequenceModelDirectory.open(path, arena);
      if (directory.kind() != kind) {
        throw new ModelException(
            path,
            List.of(
                "it holds a ["
                    + directory.kind().modelType()
                    + "], expected a ["
                    + kind.modelType()
                    + "]"));
      }
      SequenceRunner runner =
          new SequenceRunner(directory, arena, options, encoder(directory, encoders), backend);
      opened = true;
      return runner;
    } catch (DeviceException e) {
      throw new IllegalArgumentException(
          "backend [" + options.backend() + "] cannot start because " + e.getMessage(), e);
    } finally {
      if (!opened) {
        arena.close();
      }
    }
  }

  /** Returns the backend of that name for a model like this. */
  static Backend backend(String name, EmbedderOptions options) {
    // The weights of such small models are in the cache: bf16 makes nothing faster.
    Precision precision = options.precision().orElse(Precision.FP32);
    return Backends.create(name, Optional.of(precision), new Workers(1));
  }

  private static Optional<TextEmbedder> encoder(
      SequenceModelDirectory directory, Function<String, TextEmbedder> encoders) {
    List<SequenceInput.EncoderVectors> wanted =
        directory.config().inputs().stream()
            .filter(SequenceInput.EncoderVectors.class::isInstance)
            .map(SequenceInput.EncoderVectors.class::cast)
            .toList();
    if (wanted.isEmpty()) {
      return Optional.empty();
    }
    String id = wanted.getFirst().model();
    TextEmbedder encoder = encoders.apply(id);
    int size = encoder.directory().config().hiddenSize();
    int layers = encoder.directory().config().layers();
    String fingerprint = encoder.directory().weightsFingerprint();
    List<String> problems = new ArrayList<>();
    for (SequenceInput.EncoderVectors input : wanted) {
      if (!input.model().equals(id)) {
        problems.add("it reads two encoders, [" + id + "] and [" + input.model() + "]");
      } else if (!input.fingerprint().equals(fingerprint)) {
        problems.add(
            "it was trained on an encoder ["
                + id
                + "] whose weights have the SHA-256 ["
                + input.fingerprint()
                + "], found ["
                + encoder.directory().path()
                + "] with ["
                + fingerprint
                + "]: provide that encoder, or train the model again on this one");
      } else if (input.size() != size || input.layer() > layers) {
        problems.add(
            "it reads "
                + input.size()
                + " numbers of layer "
                + input.layer()
                + " of encoder ["
                + id
                + "], which has "
                + layers
                + " layers of "
                + size);
      }
    }
    if (!problems.isEmpty()) {
      throw new ModelException(directory.path(), problems);
    }
    return Optional.of(encoder);
  }

  SequenceModelConfig config() {
    return directory.config();
  }

  Path path() {
    return directory.path();
  }

  Weights weights() {
    return directory.weights();
  }

  /** The backend for what belongs to one thread. */
  Backend alone() {
    return alone;
  }

  /** Returns what the device that computes could not do; empty where the processor computes. */
  Optional<DeviceReport> deviceReport() {
    return failover.map(DeviceFailover::report);
  }

  /** Returns a head, prepared on the device, or on the processor where that has no room for it. */
  <H> PreparedHead<SequenceRunner, H> prepare(BiFunction<Backend, Arena, H> head) {
    return PreparedHead.prepare(
        each -> each.memory.allocate(weights -> head.apply(each.alone, weights)), this, failover);
  }

  /** Runs the body for 0 to {@code count - 1} on all threads. */
  void forEach(int count, IntConsumer body) {
    workers.forEach(count, body);
  }

  /**
   * Runs texts through the model: sorted by length into batches, a batch for each thread, or one on
   * all of them where there are few words.
   *
   * @param texts of at least one word each
   */
  void run(List<SegmentedText> texts, Body body) {
    Lock reading = lock.readLock();
    reading.lock();
    try {
      if (closed) {
        throw new IllegalStateException("the model of [" + path() + "] is closed");
      }
      List<List<Integer>> batches = batches(texts);
      if (batches.size() == 1) {
        run(true, texts, batches.getFirst(), body);
      } else {
        workers.forEach(batches.size(), i -> run(false, texts, batches.get(i), body));
      }
    } finally {
      reading.unlock();
    }
  }

  /**
   * Runs made-up texts until they get no faster, or for a second: by then the JIT has compiled the
   * kernels, and all that feeds them.
   */
  void warmUp(Consumer<List<String>> reader) {
    alone.warmUp();
    List<String> texts = new ArrayList<>();
    for (int i = 1; i <= WARM_UP_TEXTS; i++) {
      StringBuilder text = new StringBuilder();
      for (int word = 0; word < i; word++) {
        text.append(Long.toString(i * 7919L + word * 104_729L, 36)).append(' ');
      }
      texts.add(text.toString());
    }
    long began = System.nanoTime();
    long fastest = Long.MAX_VALUE;
    int slower = 0;
    while (slower < WARM_UP_ROUNDS && System.nanoTime() - began < WARM_UP_NANOS) {
      long start = System.nanoTime();
      reader.accept(texts);
      long nanos = System.nanoTime() - start;
      slower = nanos < 0.9 * fastest ? 0 : slower + 1;
      fastest = Math.min(fastest, nanos);
    }
  }

  private void run(boolean helped, List<SegmentedText> texts, List<Integer> batch, Body body) {
    if (failover.isEmpty()) {
      runHere(helped, texts, batch, body);
      return;
    }
    failover
        .get()
        .compute(
            this,
            batch,
            (runner, positions) -> {
              runner.runHere(helped, texts, positions, body);
              return List.of();
            });
  }

  private void runHere(
      boolean helped, List<SegmentedText> texts, List<Integer> positions, Body body) {
    SequenceInputs reader = helped ? helpedInputs : inputs;
    SequenceInputs.Batch batch = reader.read(positions.stream().map(texts::get).toList());
    SequenceActivations state = borrow(batch.words(), positions.size());
    try {
      Matrix states = model.forward(helped ? shared : alone, batch, state);
      body.accept(this, positions, batch.sequenceStarts(), states);
    } finally {
      idle.addFirst(state);
    }
  }

  private List<List<Integer>> batches(List<SegmentedText> texts) {
    int[] costs = texts.stream().mapToInt(SequenceRunner::cost).toArray();
    long perThread = Math.ceilDiv(IntStream.of(costs).asLongStream().sum(), workers.threads());
    long budget = Math.min(options.batchTokens(), Math.max(perThread, SHARED_WORDS));
    return Batches.longestFirst(costs, budget);
  }

  private static int cost(SegmentedText text) {
    return Math.max(LEAST_WORDS, text.words());
  }

  /**
   * Returns activations that nobody uses. Those that are too small are left to {@link #close()}, as
   * {@link TextEmbedder} does, for the same reason.
   */
  private SequenceActivations borrow(int words, int sequences) {
    SequenceActivations state = idle.pollFirst();
    if (state != null && state.words() >= words && state.sequences() >= sequences) {
      return state;
    }
    int capacity = Math.min(options.batchTokens(), LEAST_CAPACITY);
    while (capacity < words || capacity / LEAST_WORDS + 1 < sequences) {
      capacity *= 2;
    }
    int wordsAtOnce = capacity;
    try {
      return memory.allocate(
          activations ->
              SequenceActivations.allocate(
                  alone, activations, config(), wordsAtOnce, wordsAtOnce / LEAST_WORDS + 1));
    } catch (RuntimeException e) {
      if (state != null) {
        idle.addFirst(state);
      }
      throw e;
    }
  }

  /** Releases memory and threads; calls that are running finish first. */
  @Override
  public void close() {
    Lock writing = lock.writeLock();
    writing.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      failover.ifPresent(DeviceFailover::close);
      closeModel();
      arena.close();
    } finally {
      writing.unlock();
    }
  }

  private void closeModel() {
    workers.close();
    idle.clear();
    memory.close();
  }
}
