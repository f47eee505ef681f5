package org.lanewise.encoder;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.lanewise.encoder.tokenizer.Tokens;

/**
 * Tries a model on a device before {@code auto} trusts it: the same made-up texts on the processor
 * and on the device, compared, and then both timed.
 */
final class DeviceTrial {
  /**
   * Two vectors that each keep a cosine of 0.9999 to the exact one are no further apart: the angles
   * add.
   */
  private static final double LEAST_COSINE = 0.9996;

  /** Around the borders of the tiles of attention; together they fill tiles of products. */
  private static final int[] LENGTHS = {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 512};

  private static final int SINGLE_TOKENS = 12;
  private static final int BULK_TEXT_TOKENS = 128;

  /** What a thread of the processor gets of a bulk, whose rate does not depend on its size. */
  private static final int BULK_TOKENS_PER_THREAD = 512;

  /** As long as the JIT wants to see a short text before it compiles what reads it. */
  private static final long TIMED_NANOS = 250_000_000;

  private static final int TIMED_RUNS = 5;
  private static final long SEED = 20_26;

  private final TextEmbedder processor;
  private final TextEmbedder device;
  private final Random random = new Random(SEED);

  private DeviceTrial(TextEmbedder processor, TextEmbedder device) {
    this.processor = processor;
    this.device = device;
  }

  /**
   * Returns what the device may compute.
   *
   * @param callers threads that call at once
   * @param bulkTokens tokens of a batch for the device
   */
  static DeviceChoice run(
      TextEmbedder processor, TextEmbedder device, int callers, int bulkTokens) {
    DeviceTrial trial = new DeviceTrial(processor, device);
    Optional<String> flaw = trial.flaw();
    return flaw.isPresent()
        ? DeviceChoice.refused(device.alone().name(), flaw.get())
        : trial.timed(callers, bulkTokens);
  }

  /** Returns what is wrong with the device's vectors. */
  private Optional<String> flaw() {
    List<EncodedText> texts = Arrays.stream(LENGTHS).mapToObj(this::text).toList();
    float[][] expected = processor.embedEncoded(texts);
    float[][] vectors = device.vectorsHere(texts);
    float[][] again = device.vectorsHere(texts);
    for (int i = 0; i < vectors.length; i++) {
      String text = "a text of [" + texts.get(i).length() + "] tokens";
      Optional<String> flaw =
          flaw(expected[i], vectors[i]).map(each -> text + " among others " + each);
      if (flaw.isPresent()) {
        return flaw;
      }
      if (!Arrays.equals(vectors[i], again[i])) {
        return Optional.of(text + " gets another vector each time");
      }
    }
    for (int i = 0; i < vectors.length; i++) {
      String text = "a text of [" + texts.get(i).length() + "] tokens alone ";
      Optional<String> flaw =
          flaw(expected[i], device.vectorsHere(List.of(texts.get(i)))[0]).map(text::concat);
      if (flaw.isPresent()) {
        return flaw;
      }
    }
    return Optional.empty();
  }

  private static Optional<String> flaw(float[] expected, float[] actual) {
    double dot = 0;
    double squares = 0;
    double expectedSquares = 0;
    for (int i = 0; i < actual.length; i++) {
      if (!Float.isFinite(actual[i])) {
        return Optional.of("gets a vector with [" + actual[i] + "] in it");
      }
      dot += (double) expected[i] * actual[i];
      squares += (double) actual[i] * actual[i];
      expectedSquares += (double) expected[i] * expected[i];
    }
    double cosine = dot / Math.sqrt(squares * expectedSquares);
    // Not below: a vector of zeros has no cosine.
    return cosine >= LEAST_COSINE
        ? Optional.empty()
        : Optional.of(
            String.format(
                Locale.ROOT,
                "gets a vector with a cosine of [%.6f] to the processor's, expected at least %s",
                cosine,
                LEAST_COSINE));
  }

  private DeviceChoice timed(int callers, int bulkTokens) {
    processor.warmUp();
    EncodedText single = text(SINGLE_TOKENS);
    List<EncodedText> bulk = new ArrayList<>();
    int tokens = 0;
    while (tokens < bulkTokens) {
      bulk.add(text(BULK_TEXT_TOKENS));
      tokens += bulk.getLast().length();
    }
    int share = processor.threads() * BULK_TOKENS_PER_THREAD / bulk.getFirst().length();
    List<EncodedText> part = bulk.subList(0, Math.clamp(share, 1, bulk.size()));
    int partTokens = part.stream().mapToInt(EncodedText::length).sum();
    DeviceChoice.Figures figures =
        new DeviceChoice.Figures(
            processor.alone().name(),
            device.alone().name(),
            callers * partTokens / seconds(() -> processor.embedEncoded(part)),
            tokens / seconds(() -> device.vectorsHere(bulk)),
            1e3 * seconds(() -> processor.vectorsHere(List.of(single))),
            1e3 * seconds(() -> device.vectorsHere(List.of(single))));
    return DeviceChoice.of(figures, single.length(), tokens);
  }

  /**
   * Returns the median of the last runs of a quarter of a second, or of the one that takes more.
   */
  private static double seconds(Runnable run) {
    run.run();
    long began = System.nanoTime();
    Deque<Long> nanos = new ArrayDeque<>();
    do {
      long start = System.nanoTime();
      run.run();
      nanos.add(Math.max(1, System.nanoTime() - start));
      if (nanos.size() > TIMED_RUNS) {
        nanos.remove();
      }
    } while (System.nanoTime() - began < TIMED_NANOS);
    return nanos.stream().sorted().toList().get(nanos.size() / 2) / 1e9;
  }

  /** Returns a made-up text of the length, or of the model's. */
  private EncodedText text(int length) {
    int most = Math.min(length, processor.maxLength());
    int vocabulary =
        Math.min(
            processor.directory().config().vocabularySize(),
            processor.directory().tokenizer().vocabularySize());
    int[] ids = IntStream.range(0, most).map(_ -> random.nextInt(vocabulary)).toArray();
    int[] none = new int[most];
    return new EncodedText(
        new Tokens(ids, none, none, none, new boolean[most], false, List.of()), 0);
  }
}
