package org.lanewise.encoder;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** The table of families in the README: its rows, and its text between two markers. */
public final class SupportTable {
  private static final String BEGIN = "<!-- families: the text of SupportTable -->\n";
  private static final String END = "<!-- end of families -->\n";

  private SupportTable() {}

  /**
   * A row.
   *
   * @param types what {@code model_type} says
   * @param models what people load
   * @param tokenizer what their directories carry
   * @param goldens tiny models that PyTorch ran; none where nothing could be compared
   * @param error no number of theirs is further from PyTorch's on any backend
   * @param note what stands in for goldens
   */
  public record Row(
      List<String> types,
      String models,
      String tokenizer,
      List<String> goldens,
      double error,
      String note) {}

  private static Row row(
      List<String> types, String models, String tokenizer, double error, String... goldens) {
    return new Row(types, models, tokenizer, List.of(goldens), error, "");
  }

  /** Returns the rows in the order of the table. */
  public static List<Row> rows() {
    return List.of(
        row(
            List.of("bert"),
            "MiniLM, bge-*-en, e5-*-v2, gte v1, mxbai, arctic, LaBSE",
            "WordPiece",
            3e-5,
            Goldens.list("encoders", "bert_").toArray(String[]::new)),
        row(
            List.of("roberta", "camembert"),
            "all-distilroberta, CamemBERT",
            "byte-level BPE; Unigram",
            8e-6,
            "roberta"),
        row(
            List.of("xlm-roberta"),
            "multilingual-e5, bge-m3, arctic-l-v2",
            "Unigram",
            7e-6,
            "xlm_roberta"),
        row(List.of("distilbert"), "distiluse, tas-b", "WordPiece", 6e-5, "distilbert"),
        row(List.of("mpnet"), "all-mpnet-base-v2, multi-qa-mpnet", "WordPiece", 4e-6, "mpnet"),
        row(List.of("electra"), "ELECTRA", "WordPiece", 2e-5, "electra"),
        row(List.of("albert"), "paraphrase-albert", "Unigram", 2e-5, "albert"),
        row(
            List.of("modernbert"),
            "gte-modernbert, modernbert-embed, granite-r2, mmBERT",
            "byte-level BPE",
            2e-4,
            "modernbert",
            "modernbert_bias"),
        row(
            List.of("nomic_bert"),
            "nomic-embed-text v1 and v1.5; not v2-moe",
            "WordPiece",
            5e-5,
            "nomic_bert"),
        row(
            List.of("new", "gte"),
            "gte-*-v1.5, gte-multilingual, arctic-m-v2",
            "WordPiece or Unigram",
            2e-5,
            "gte_new",
            "gte_new_no_types"),
        new Row(
            List.of("bert"),
            "jina-embeddings-v2, v2-code",
            "WordPiece; byte-level BPE",
            List.of(),
            0,
            "not verified: only the formulas of the published code"),
        row(
            List.of("deberta-v2"),
            "DeBERTa v2 and v3",
            "Unigram",
            7e-6,
            "deberta_v2_conv",
            "deberta_v3"),
        row(List.of("eurobert"), "EuroBERT", "byte-level BPE", 3e-5, "eurobert"),
        row(List.of("qwen3"), "Qwen3-Embedding", "byte-level BPE", 3e-5, "qwen3_embedding"),
        row(
            List.of("gemma3_text"),
            "EmbeddingGemma",
            "BPE with byte fallback",
            2e-5,
            "gemma3_embedding"));
  }

  /** Returns the largest error that the row of a golden states. */
  public static double error(String golden) {
    return rows().stream()
        .filter(row -> row.goldens.contains(golden))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no row has golden [" + golden + "]"))
        .error;
  }

  /** Returns what the README has between its markers, both included. */
  public static String text() {
    return BEGIN
        + "| `model_type` | for instance | tokenizer | verified against | largest error |\n"
        + "|---|---|---|---|---|\n"
        + rows().stream().map(SupportTable::line).collect(Collectors.joining())
        + END;
  }

  private static String line(Row row) {
    String types =
        row.types.stream().map(type -> "`" + type + "`").collect(Collectors.joining(", "));
    int goldens = row.goldens.size();
    String verified =
        goldens == 0
            ? row.note
            : "PyTorch, " + goldens + (goldens == 1 ? " tiny model" : " tiny models");
    String error = goldens == 0 ? "-" : String.format(Locale.ROOT, "%.0e", row.error);
    return "| " + String.join(" | ", types, row.models, row.tokenizer, verified, error) + " |\n";
  }

  /** Returns the README's text between its markers, both included; empty where one is missing. */
  static String between(String readme) {
    int begin = readme.indexOf(BEGIN);
    int end = readme.indexOf(END);
    return begin < 0 || end < begin ? "" : readme.substring(begin, end + END.length());
  }
}
