package org.lanewise.benchmarks.retrieval;

import java.util.ArrayList;
import java.util.Formatter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * How good each way to search was on one collection.
 *
 * @param collection what was searched
 * @param qualities by the names of runs, in order
 */
public record Evaluation(TestCollection collection, Map<String, Quality> qualities) {

  /**
   * Returns several evaluations as a Markdown page.
   *
   * @param command what was run, so that anybody can run it again
   * @param facts lines on the machine and the versions
   * @param models lines on the models, by their role
   * @param how sentences on the settings
   */
  public static String markdown(
      String command,
      Map<String, String> facts,
      Map<String, String> models,
      String how,
      List<Evaluation> evaluations) {
    Formatter page = new Formatter(Locale.ROOT);
    page.format("# Retrieval\n\n`%s`\n\n| machine |  |\n|---|---|\n", command);
    facts.forEach((name, value) -> page.format("| %s | %s |\n", name, value));
    page.format("\n| model |  |\n|---|---|\n");
    models.forEach((name, value) -> page.format("| %s | %s |\n", name, value));
    page.format("\n%s\n", how);
    page.format("\n| collection | documents | characters of one | queries | judgements |");
    page.format("\n|---|---|---|---|---|\n");
    for (Evaluation each : evaluations) {
      TestCollection of = each.collection;
      page.format(
          "| %s | %,d | %,.0f | %,d | %,d |\n",
          of.name(),
          of.documents().size(),
          of.documents().stream().mapToInt(String::length).average().orElse(0),
          of.queries().size(),
          of.judgements().stream().mapToInt(Map::size).sum());
    }
    page.format("\n%s", table(evaluations));
    return page.toString();
  }

  /** Returns the qualities as a Markdown table; of several collections also the means. */
  public static String table(List<Evaluation> evaluations) {
    Formatter table = new Formatter(Locale.ROOT);
    table.format(
        "| collection | search | nDCG@10 | recall@100 | MRR@10 |\n|---|---|---|---|---|\n");
    Map<String, List<Quality>> byRun = new LinkedHashMap<>();
    for (Evaluation each : evaluations) {
      each.qualities.forEach(
          (run, quality) -> {
            row(table, each.collection.name(), run, quality);
            byRun.computeIfAbsent(run, name -> new ArrayList<>()).add(quality);
          });
    }
    if (evaluations.size() > 1) {
      byRun.forEach((run, qualities) -> row(table, "*mean*", run, Quality.mean(qualities)));
    }
    return table.toString();
  }

  private static void row(Formatter table, String collection, String run, Quality quality) {
    table.format(
        "| %s | %s | %.4f | %.4f | %.4f |\n",
        collection, run, quality.ndcg(), quality.recall(), quality.mrr());
  }
}
