package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The bundled model against what sentence-transformers computed with its fp32 weights. */
class BundledModelTest {
  private static final double SMALLEST = 0.9999;

  @ParameterizedTest
  @ValueSource(strings = {"fp32", "bf16"})
  void idsAndVectorsAreSentenceTransformers(String precision) throws IOException {
    JsonNode items =
        Run.JSON
            .readTree(BundledModels.locate("lanewise-mini-en").resolve("expected.json").toFile())
            .get("items");
    assertEquals(20, items.size());
    StringBuilder lines = new StringBuilder();
    for (JsonNode item : items) {
      ObjectNode line = Run.JSON.createObjectNode();
      line.set("text", item.get("text"));
      lines.append(line).append('\n');
    }
    String model = "lanewise-mini-en";
    List<JsonNode> tokens =
        Run.of(lines.toString(), "tokenize", "--model", model, "--jsonl", "--max-length", "512")
            .answers();
    List<JsonNode> vectors =
        Run.of(lines.toString(), "embed", "--model", model, "--jsonl", "--precision", precision)
            .answers();
    double smallest = 1;
    for (int i = 0; i < items.size(); i++) {
      JsonNode item = items.get(i);
      assertEquals(item.get("input_ids"), tokens.get(i).get("ids"), item.get("text").textValue());
      smallest =
          Math.min(
              smallest,
              cosine(Run.floats(item.get("vector")), Run.floats(vectors.get(i).get("embedding"))));
    }
    System.out.printf(
        Locale.ROOT,
        "lanewise-mini-en in %s: smallest cosine to the fp32 weights %.6f%n",
        precision,
        smallest);
    assertTrue(smallest >= SMALLEST, "smallest cosine " + smallest);
  }

  private static double cosine(float[] a, float[] b) {
    assertEquals(a.length, b.length);
    double product = 0;
    double squaresA = 0;
    double squaresB = 0;
    for (int i = 0; i < a.length; i++) {
      product += (double) a[i] * b[i];
      squaresA += (double) a[i] * a[i];
      squaresB += (double) b[i] * b[i];
    }
    return product / Math.sqrt(squaresA * squaresB);
  }
}
