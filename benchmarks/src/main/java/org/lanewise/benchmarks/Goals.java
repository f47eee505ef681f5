package org.lanewise.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/** What the encoder is to reach, and whether a race shows it. */
final class Goals {
  /**
   * One goal.
   *
   * @param text what it is about
   * @param least whether the number may not be below the limit, rather than not above
   * @param limit the limit
   * @param found the number, empty where the race did not measure it
   */
  record Goal(String text, boolean least, double limit, OptionalDouble found) {
    /** Returns {@code met}, {@code not met} or {@code not measured}. */
    String verdict() {
      if (found.isEmpty()) {
        return "not measured";
      }
      return (least ? found.getAsDouble() >= limit : found.getAsDouble() <= limit)
          ? "met"
          : "not met";
    }
  }

  private static final String MINILM = "minilm";
  private static final String BASE = "base";
  private static final String SINGLE = "1x12";
  private static final List<String> BULKS = List.of("32x128", "8x512");
  private static final String MIX = "mix";
  private static final String LONG_MIX = "long mix";

  /** What ends the names of workloads that begin with strings. */
  private static final String STRINGS = " text";

  private static final String FP32 = "tiles-fp32";
  private static final String VECTOR_BF16 = "vector-bf16";
  private static final String VECTOR_INT8 = "vector-int8";
  private static final String TILES_BF16 = "tiles-bf16";
  private static final String TILES_INT8 = "tiles-int8";
  private static final String ORT_FP32 = "ort-fp32";
  private static final String ORT_INT8 = "ort-int8";
  private static final String TORCH_BF16 = "torch-bf16";
  private static final String CUDA_BF16 = "cuda-bf16";
  private static final String TORCH_CUDA_BF16 = "torch-cuda-bf16";

  private final List<Timing> timings;
  private final List<Goal> goals = new ArrayList<>();

  private Goals(List<Timing> timings) {
    this.timings = timings;
  }

  /** Returns all goals with what the race found. */
  static List<Goal> of(Race race, Optional<OwnFigures> own) {
    if (race.timings().stream().anyMatch(t -> t.contender().equals(CUDA_BF16))) {
      return onDevice(race.timings());
    }
    Goals goals = new Goals(race.timings());
    goals.races(race.agreements());
    own.ifPresent(goals::own);
    return goals.goals;
  }

  /** Returns the goals of the shapes that were raced on a GPU, from strings to vectors. */
  static List<Goal> onDevice(List<Timing> timings) {
    Goals goals = new Goals(timings);
    int threads = timings.stream().mapToInt(Timing::threads).max().orElse(1);
    if (goals.raced(MINILM)) {
      goals.faster("GPU 1", MINILM, threads, MIX + STRINGS, CUDA_BF16, TORCH_CUDA_BF16, 2);
      Optional<Timing> strings = goals.timing(MINILM, threads, MIX + STRINGS, CUDA_BF16);
      Optional<Timing> ids = goals.timing(MINILM, threads, MIX, CUDA_BF16);
      goals.add(
          "GPU 3. minilm, mix: time of " + CUDA_BF16 + " from strings over that from tokens",
          false,
          1.1,
          strings.isPresent() && ids.isPresent()
              ? OptionalDouble.of(strings.get().seconds() / ids.get().seconds())
              : OptionalDouble.empty());
      goals.add(
          "GPU 4. minilm, one text: milliseconds of " + CUDA_BF16,
          false,
          1,
          goals
              .timing(MINILM, threads, SINGLE + STRINGS, CUDA_BF16)
              .map(t -> OptionalDouble.of(t.seconds() * 1e3))
              .orElse(OptionalDouble.empty()));
    }
    if (goals.raced(BASE)) {
      goals.faster("GPU 1", BASE, threads, LONG_MIX + STRINGS, CUDA_BF16, TORCH_CUDA_BF16, 1.2);
    }
    return goals.goals;
  }

  private boolean raced(String shape) {
    return timings.stream().anyMatch(t -> t.shape().equals(shape));
  }

  private void races(List<Race.Agreement> agreements) {
    int most = timings.stream().mapToInt(Timing::threads).max().orElse(1);
    for (String shape : List.of(MINILM, BASE)) {
      if (!raced(shape)) {
        continue;
      }
      boolean small = shape.equals(MINILM);
      for (String bulk : BULKS) {
        faster("1", shape, most, bulk, FP32, ORT_FP32, small ? 1.1 : 1.0);
      }
      faster("1", shape, most, MIX, FP32, ORT_FP32, 1.4);
      faster("1", shape, most, SINGLE, FP32, ORT_FP32, 1);
      for (String bulk : BULKS) {
        faster("2", shape, most, bulk, TILES_BF16, TORCH_BF16, 1.5);
        faster("2", shape, most, bulk, TILES_BF16, ORT_INT8, 3);
      }
      faster("2", shape, most, MIX, TILES_BF16, TORCH_BF16, 2.5);
      faster("2", shape, most, MIX, TILES_BF16, ORT_INT8, 3.5);
      add(
          "2. " + shape + ": least cosine of tiles-bf16 to fp32",
          true,
          0.9999,
          agreements.stream()
              .filter(a -> a.shape().equals(shape) && a.contender().equals(TILES_BF16))
              .mapToDouble(Race.Agreement::leastCosine)
              .findFirst());
      slower("3", shape, TILES_BF16, ORT_INT8, small ? 1.0 : 1.15);
      slower("3", shape, TILES_INT8, ORT_INT8, 0.8);
      for (String bulk : BULKS) {
        faster("4", shape, most, bulk, VECTOR_BF16, ORT_FP32, small ? 1.15 : 1.0);
      }
      faster("4", shape, 1, SINGLE, VECTOR_BF16, ORT_FP32, 1.3);
      faster("4", shape, 1, SINGLE, VECTOR_INT8, VECTOR_BF16, 1);
      for (String contender : List.of(FP32, VECTOR_BF16, TILES_BF16, TILES_INT8)) {
        Optional<Timing> one = timing(shape, 1, BULKS.getFirst(), contender);
        Optional<Timing> two = timing(shape, 2, BULKS.getFirst(), contender);
        add(
            "5. " + shape + ", " + BULKS.getFirst() + ": two threads of " + contender + " over one",
            true,
            1.85,
            one.isPresent() && two.isPresent()
                ? OptionalDouble.of(one.get().seconds() / two.get().seconds())
                : OptionalDouble.empty());
      }
    }
  }

  private void own(OwnFigures own) {
    List<OwnFigures.LongText> texts = own.longTexts();
    OwnFigures.LongText first = texts.getFirst();
    OwnFigures.LongText last = texts.getLast();
    add(
        String.format(
            Locale.ROOT,
            "5. %d tokens: operations per second over those at %d",
            last.tokens(),
            first.tokens()),
        true,
        0.9,
        OptionalDouble.of(
            last.operations() / last.seconds() / (first.operations() / first.seconds())));
    add(
        String.format(
            Locale.ROOT,
            "5. %d tokens: memory per token over that at %d",
            last.tokens(),
            texts.get(texts.size() - 2).tokens()),
        false,
        1.1,
        OptionalDouble.of(
            (double) last.memory()
                / last.tokens()
                / ((double) texts.get(texts.size() - 2).memory()
                    / texts.get(texts.size() - 2).tokens())));
    OwnFigures.Tokenizing tokenizing = own.tokenizing();
    OptionalDouble tiles =
        timing(MINILM, 1, MIX, TILES_BF16).stream()
            .mapToDouble(t -> t.tokens() / t.seconds())
            .findFirst();
    add(
        "6. minilm, mix: tokenizing as a share of tiles-bf16, one thread",
        false,
        0.03,
        tiles.isPresent()
            ? OptionalDouble.of(
                1 / tokenizing.ours() / (1 / tokenizing.ours() + 1 / tiles.getAsDouble()))
            : OptionalDouble.empty());
    add(
        "6. tokenizing over the tokenizers library, one thread",
        true,
        5,
        OptionalDouble.of(tokenizing.ours() / tokenizing.theirs()));
    for (OwnFigures.Opened opened : own.opened()) {
      add(
          "7. minilm, " + opened.precision() + ": seconds to open",
          false,
          0.3,
          OptionalDouble.of(opened.open()));
      add(
          "7. minilm, " + opened.precision() + ": native memory over weights",
          false,
          1.1,
          OptionalDouble.of((double) opened.nativeBytes() / opened.weightBytes()));
      add(
          "7. minilm, " + opened.precision() + ": heap bytes per token, answers aside",
          false,
          1,
          OptionalDouble.of(opened.heapBytesPerToken() - opened.answerBytesPerToken()));
    }
  }

  private Optional<Timing> timing(String shape, int threads, String workload, String contender) {
    return timings.stream()
        .filter(
            t ->
                t.shape().equals(shape)
                    && t.threads() == threads
                    && t.workload().equals(workload)
                    && t.contender().equals(contender))
        .findFirst();
  }

  private OptionalDouble ratio(
      String shape, int threads, String workload, String ours, String theirs) {
    Optional<Timing> our = timing(shape, threads, workload, ours);
    Optional<Timing> their = timing(shape, threads, workload, theirs);
    return our.isPresent() && their.isPresent()
        ? OptionalDouble.of(Timing.median(our.get().timesAsFastAs(their.get())))
        : OptionalDouble.empty();
  }

  private void faster(
      String number,
      String shape,
      int threads,
      String workload,
      String ours,
      String theirs,
      double limit) {
    add(
        String.format(
            Locale.ROOT,
            "%s. %s, %s, threads %d: speed of %s over %s",
            number,
            shape,
            workload,
            threads,
            ours,
            theirs),
        true,
        limit,
        ratio(shape, threads, workload, ours, theirs));
  }

  private void slower(String number, String shape, String ours, String theirs, double limit) {
    OptionalDouble speed = ratio(shape, 1, SINGLE, ours, theirs);
    add(
        String.format(
            Locale.ROOT,
            "%s. %s, %s, threads 1: time of %s over %s",
            number,
            shape,
            SINGLE,
            ours,
            theirs),
        false,
        limit,
        speed.isPresent() ? OptionalDouble.of(1 / speed.getAsDouble()) : speed);
  }

  private void add(String text, boolean least, double limit, OptionalDouble found) {
    goals.add(new Goal(text, least, limit, found));
  }
}
