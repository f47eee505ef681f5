package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code sparse}, {@code rerank}, {@code embed --per-token}, {@code tag} and {@code classify}. */
class HeadCommandsTest {
  @TempDir private Path heads;

  @BeforeEach
  void unpack() {
    GoldenModels.unpackHeads("heads", heads);
  }

  private String model(String name) {
    return heads.resolve(name).toString();
  }

  private JsonNode golden(String name) throws IOException {
    return Run.JSON.readTree(Files.readString(heads.resolve(name).resolve("golden.json")));
  }

  private static String line(JsonNode item) {
    ObjectNode line = Run.JSON.createObjectNode();
    line.set("text", item.isArray() ? item.get(0) : item);
    if (item.isArray()) {
      line.set("pair", item.get(1));
    }
    return line + "\n";
  }

  @Test
  void rerankRanksAsTheReference() throws IOException {
    for (String name : List.of("cross_encoder_identity", "xlm_roberta_reranker")) {
      JsonNode rank = golden(name).get("rank");
      StringBuilder lines = new StringBuilder();
      for (JsonNode document : rank.get("documents")) {
        ObjectNode line = Run.JSON.createObjectNode();
        line.set("text", rank.get("query"));
        line.set("pair", document);
        lines.append(line).append('\n');
      }
      List<JsonNode> answers =
          Run.of(
                  lines.toString(),
                  "rerank",
                  "--model",
                  model(name),
                  "--jsonl",
                  "--precision",
                  "fp32")
              .answers();
      assertEquals(rank.get("documents").size(), answers.size());
      for (JsonNode result : rank.get("result")) {
        JsonNode answer = answers.get(result.get("corpus_id").intValue());
        assertEquals(result.get("score").doubleValue(), answer.get("score").doubleValue(), 2e-4);
        assertEquals(1, answer.size());
      }
    }
    String complaint =
        Run.of("alone\n", "rerank", "--model", model("cross_encoder_sigmoid")).complaint();
    assertTrue(complaint.contains("[alone] has no [pair]"), complaint);
    complaint = Run.of("", "rerank", "--model", model("masked_lm_splade")).complaint();
    assertTrue(complaint.contains("[sequence_classification]"), complaint);
  }

  @Test
  void sparseWeighsTokensTheHeaviestFirst() throws IOException {
    StringBuilder lines = new StringBuilder();
    golden("masked_lm_splade").get("items").forEach(item -> lines.append(line(item)));
    String model = model("masked_lm_splade");
    List<JsonNode> all = Run.of(lines.toString(), "sparse", "--model", model, "--jsonl").answers();
    List<JsonNode> cut =
        Run.of(lines.toString(), "sparse", "--model", model, "--jsonl", "--top-k", "3").answers();
    for (int i = 0; i < all.size(); i++) {
      List<Double> weights =
          all.get(i).get("embedding").valueStream().map(JsonNode::doubleValue).toList();
      assertTrue(weights.size() > 3);
      for (int j = 1; j < weights.size(); j++) {
        assertTrue(weights.get(j) <= weights.get(j - 1) && weights.get(j) > 0);
      }
      assertEquals(
          weights.subList(0, 3),
          cut.get(i).get("embedding").valueStream().map(JsonNode::doubleValue).toList());
    }
    String complaint = Run.of("", "sparse", "--model", model, "--top-k", "0").complaint();
    assertTrue(complaint.contains("[top_k] is 0"), complaint);
  }

  @Test
  void vectorsOfTokensAreThoseOfQueriesOrDocuments() {
    String model = model("colbert_stanford");
    int query = vectors(model, "--prompt", "query");
    int document = vectors(model, "--prompt", "document");
    int plain = vectors(model);
    assertEquals(18, query);
    assertTrue(document < plain + 1, "a marker more, punctuation less");
    String complaint =
        Run.of("a", "embed", "--per-token", "--model", model, "--prompt", "x").complaint();
    assertTrue(complaint.contains("expected query or document"), complaint);
  }

  private static int vectors(String model, String... more) {
    String[] arguments = new String[more.length + 4];
    System.arraycopy(new String[] {"embed", "--per-token", "--model", model}, 0, arguments, 0, 4);
    System.arraycopy(more, 0, arguments, 4, more.length);
    JsonNode vectors =
        Run.of("in the garden; reading.\n", arguments).answers().getFirst().get("token_embeddings");
    assertEquals(9, vectors.get(0).size());
    return vectors.size();
  }

  @Test
  void fineTunedEncodersTagAndClassify() throws IOException {
    JsonNode golden = golden("sequence_classification_5");
    StringBuilder lines = new StringBuilder();
    golden.get("items").forEach(item -> lines.append(line(item)));
    String classes = model("sequence_classification_5");
    List<JsonNode> answers =
        Run.of(
                lines.toString(),
                "classify",
                "--model",
                classes,
                "--jsonl",
                "--top",
                "2",
                "--precision",
                "fp32")
            .answers();
    for (int i = 0; i < answers.size(); i++) {
      assertEquals(golden.get("labels").get(i), answers.get(i).get("predicted_value"));
      assertEquals(2, answers.get(i).get("top_classes").size());
    }
    String text = golden("token_classification").get("items").get(1).textValue();
    JsonNode entities =
        Run.of(text + "\n\n", "tag", "--model", model("token_classification"))
            .answers()
            .getFirst()
            .get("entities");
    assertTrue(entities.size() > 0);
    for (JsonNode entity : entities) {
      int start = entity.get("start_pos").intValue();
      int end = entity.get("end_pos").intValue();
      assertEquals(text.substring(start, end), entity.get("entity").textValue());
      assertTrue(List.of("LOC", "MISC").contains(entity.get("class_name").textValue()));
    }
    String complaint = Run.of("", "tag", "--model", classes).complaint();
    assertTrue(complaint.contains("[token_classification]"), complaint);
  }

  @Test
  void inspectNamesTheHeads() {
    JsonNode report =
        Run.of("", "inspect", "--json", "--model", model("pretraining_nsp")).answers().getFirst();
    assertEquals("[\"masked_lm\",\"next_sentence\"]", report.get("heads").toString());
    report =
        Run.of("", "inspect", "--json", "--model", model("colbert_stanford")).answers().getFirst();
    assertEquals("[\"late_interaction\"]", report.get("heads").toString());
  }
}
