package org.lanewise.benchmarks;

import java.util.ArrayList;
import java.util.Formatter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** A race as a Markdown page and a chart. */
final class Report {
  private static final List<String> RIVALS =
      List.of("ort-fp32", "ort-int8", "onnx", "torch-fp32", "torch-bf16", "torch-cuda-bf16");

  private final Race race;
  private final Optional<OwnFigures> own;

  /** Every line begins with its end, so that a format ends where its line does. */
  private final Formatter page = new Formatter(Locale.ROOT);

  private Report(Race race, Optional<OwnFigures> own) {
    this.race = race;
    this.own = own;
  }

  /**
   * Returns the page.
   *
   * @param command what was run, so that anybody can run it again
   * @param facts lines on the machine and the versions
   */
  static String markdown(
      Race race, Optional<OwnFigures> own, String command, Map<String, String> facts) {
    Report report = new Report(race, own);
    report.head(command, facts);
    report.goals();
    report.contenders();
    report.races();
    report.own.ifPresent(report::own);
    return report.page.toString().strip() + "\n";
  }

  private void table(String... columns) {
    page.format("\n");
    page.format("\n| %s |", String.join(" | ", columns));
    page.format("\n|%s", "---|".repeat(columns.length));
  }

  private void head(String command, Map<String, String> facts) {
    page.format("\n# Race");
    page.format("\n");
    page.format("\n`%s`", command);
    table("machine", "");
    facts.forEach((name, value) -> page.format("\n| %s | %s |", name, value));
  }

  private void goals() {
    page.format("\n");
    page.format("\n## Goals");
    table("goal", "limit", "found", "");
    for (Goals.Goal goal : Goals.of(race, own)) {
      page.format(
          "\n| %s | %s %s | %s | %s |",
          goal.text(),
          goal.least() ? "at least" : "at most",
          number(goal.limit()),
          goal.found().isPresent() ? number(goal.found().getAsDouble()) : "",
          goal.verdict());
    }
  }

  private static String number(double value) {
    return String.format(
        Locale.ROOT, value < 0.1 || (value > 0.999 && value < 1) ? "%.4f" : "%.2f", value);
  }

  private void contenders() {
    page.format("\n");
    page.format("\n## Agreement with %s", Race.REFERENCE);
    table("model", "contender", "texts", "least cosine", "largest difference");
    for (Race.Agreement each : race.agreements()) {
      page.format(
          "\n| %s | %s | %d | %.7f | %.1e |",
          each.shape(), each.contender(), each.texts(), each.leastCosine(), each.error());
    }
    for (Race.Absence each : race.absences()) {
      page.format(
          "\n| %s | %s | not available: %s | | |", each.shape(), each.contender(), each.reason());
    }
  }

  /** The timings of one table, by model, threads and workload. */
  private static Map<String, List<Timing>> tables(List<Timing> timings) {
    Map<String, List<Timing>> tables = new LinkedHashMap<>();
    for (Timing timing : timings) {
      tables
          .computeIfAbsent(
              String.format(
                  Locale.ROOT,
                  "%s, %s, %d thread%s",
                  timing.shape(),
                  timing.workload(),
                  timing.threads(),
                  timing.threads() == 1 ? "" : "s"),
              key -> new ArrayList<>())
          .add(timing);
    }
    return tables;
  }

  private void races() {
    page.format("\n");
    page.format("\n## Races");
    page.format("\n");
    page.format(
        "\n"
            + "Milliseconds of one run: the median of the rounds, and the fastest and slowest"
            + " round. The last columns say how many times as fast as a rival a contender is: the"
            + " median over the rounds, and the least and the most.");
    tables(race.timings())
        .forEach(
            (title, timings) -> {
              page.format("\n");
              page.format("\n### %s", title);
              page.format("\n");
              page.format(
                  "\n%d tokens. Other programs used %.2f processors meanwhile.",
                  timings.getFirst().tokens(), timings.getFirst().others());
              List<Timing> rivals =
                  timings.stream().filter(t -> RIVALS.contains(t.contender())).toList();
              List<String> columns =
                  new ArrayList<>(List.of("contender", "ms", "ms, from – to", "tokens/s"));
              rivals.forEach(rival -> columns.add("× " + rival.contender()));
              columns.add("setting");
              table(columns.toArray(String[]::new));
              for (Timing timing : timings) {
                row(timing, rivals);
              }
            });
  }

  private void row(Timing timing, List<Timing> rivals) {
    StringBuilder ratios = new StringBuilder();
    for (Timing rival : rivals) {
      double[] times = timing.timesAsFastAs(rival);
      ratios.append(
          timing.contender().equals(rival.contender())
              ? "| "
              : String.format(
                  Locale.ROOT,
                  "| %.2f (%.2f–%.2f) ",
                  Timing.median(times),
                  times[0],
                  times[times.length - 1]));
    }
    page.format(
        "\n| %s | %.3f | %.3f – %.3f | %,.0f %s| %s |",
        timing.contender(),
        timing.seconds() * 1e3,
        timing.least() * 1e3,
        timing.most() * 1e3,
        timing.tokens() / timing.seconds(),
        ratios,
        timing.setting());
  }

  private void own(OwnFigures figures) {
    page.format("\n");
    page.format("\n## Ours alone");
    page.format("\n");
    page.format("\nOpening a minilm directory in a fresh JVM, its files in the page cache:");
    table(
        "precision",
        "first, ms",
        "later, ms",
        "weights of the layers, MB",
        "native memory, MB",
        "heap bytes per token",
        "of these answers");
    for (OwnFigures.Opened each : figures.opened()) {
      page.format(
          "\n| %s | %.0f | %.0f | %.1f | %.1f | %.1f | %.1f |",
          each.precision(),
          each.firstOpen() * 1e3,
          each.open() * 1e3,
          each.weightBytes() / 1e6,
          each.nativeBytes() / 1e6,
          each.heapBytesPerToken(),
          each.answerBytesPerToken());
    }
    page.format("\n");
    page.format("\nOne long text through minilm, bf16:");
    table("tokens", "ms", "GFLOP", "GFLOP/s", "native memory since 128 tokens, MB");
    for (OwnFigures.LongText each : figures.longTexts()) {
      page.format(
          "\n| %d | %.1f | %.1f | %.0f | %.1f |",
          each.tokens(),
          each.seconds() * 1e3,
          each.operations() / 1e9,
          each.operations() / each.seconds() / 1e9,
          each.memory() / 1e6);
    }
    page.format("\n");
    page.format(
        "\n"
            + "Tokenizing the mix on one thread: %,.0f tokens/s; the tokenizers library through its"
            + " Java binding: %,.0f tokens/s.",
        figures.tokenizing().ours(), figures.tokenizing().theirs());
    page.format("\n");
    page.format(
        "\nA single text reads all weights of the layers once. One processor reads a block of that"
            + " size at the rate below, which bounds the time of 1x12 on one thread:");
    table("model", "weights", "MB", "GB/s", "bound, ms", "contender", "ms", "bound / time");
    for (OwnFigures.Streaming limit : figures.streaming()) {
      for (Timing timing : race.timings()) {
        if (timing.shape().equals(limit.shape())
            && timing.threads() == 1
            && timing.workload().equals("1x12")
            && timing.contender().endsWith(limit.precision())) {
          page.format(
              "\n| %s | %s | %.1f | %.1f | %.3f | %s | %.3f | %.2f |",
              limit.shape(),
              limit.precision(),
              limit.bytes() / 1e6,
              limit.bandwidth() / 1e9,
              limit.bytes() / limit.bandwidth() * 1e3,
              timing.contender(),
              timing.seconds() * 1e3,
              limit.bytes() / limit.bandwidth() / timing.seconds());
        }
      }
    }
    products(figures.products());
  }

  /** What bounds a bulk. */
  private void products(List<LayerProducts.Speed> speeds) {
    page.format("\n");
    page.format(
        "\nA bulk is products for the most part. One thread multiplies random numbers at the rates"
            + " below: where all of a product stays in the second cache, and through the weights of"
            + " all layers in turn, GELU included. The last column is what the latter would take of"
            + " a contender's time if nothing else were to be done:");
    table(
        "model",
        "weights",
        "in the second cache, GFLOP/s",
        "all layers, GFLOP/s",
        "contender",
        "texts",
        "ms",
        "products alone / time");
    for (LayerProducts.Speed speed : speeds) {
      for (Timing timing : race.timings()) {
        if (timing.shape().equals(speed.shape())
            && timing.threads() == 1
            && !timing.workload().startsWith("1x")
            && timing.contender().equals("tiles-" + speed.precision())) {
          double alone = timing.tokens() * speed.operations() / speed.layers();
          page.format(
              "\n| %s | %s | %.0f | %.0f | %s | %s | %.3f | %.2f |",
              speed.shape(),
              speed.precision(),
              speed.cached() / 1e9,
              speed.layers() / 1e9,
              timing.contender(),
              timing.workload(),
              timing.seconds() * 1e3,
              alone / timing.seconds());
        }
      }
    }
  }

  /** Returns a chart of tokens per second. */
  static String chart(Race race) {
    List<BarChart.Group> groups = new ArrayList<>();
    tables(race.timings())
        .forEach(
            (title, timings) ->
                groups.add(
                    new BarChart.Group(
                        title,
                        timings.stream()
                            .map(
                                t ->
                                    new BarChart.Bar(
                                        t.contender(),
                                        t.tokens() / t.seconds(),
                                        !RIVALS.contains(t.contender())))
                            .toList())));
    return BarChart.svg("Tokens per second", groups);
  }
}
