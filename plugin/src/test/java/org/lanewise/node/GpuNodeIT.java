package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.lanewise.node.Requests.assertIndexed;
import static org.lanewise.node.Requests.body;
import static org.lanewise.node.Requests.bulk;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.backend.Precision;

/**
 * A node whose GPU is simulated: the driver's library is one of ours, which runs the kernels on the
 * processor, and the node finds it by its name as it would find NVIDIA's.
 */
final class GpuNodeIT {
  private static final Path SOURCES = Path.of("..", "encoder-core", "src");
  private static final Path GOLDENS = SOURCES.resolve("test/resources/goldens.zip");

  /** A shell's status where there is no such command. */
  private static final int MISSING = 127;

  private static final Map<String, String> TEXTS =
      new TreeMap<>(
          Map.of(
              "rust", "Iron turns to rust where water and air meet it.",
              "tide", "The pull of the moon lifts the sea twice a day.",
              "yeast", "Yeast eats sugar and gives off the gas that makes dough rise."));

  @Test
  void aNodeOnAGpuHasTheProcessorsVectors() throws IOException, InterruptedException {
    try (NodeHome home = NodeHome.assemble("gpu-node")) {
      Path driver = Files.createDirectories(home.path().resolve("gpu"));
      compile(driver.resolve("libcuda.so.1"));
      Path tiny = home.config().resolve("lanewise/models/tiny");
      Files.createDirectories(tiny.getParent());
      try (FileSystem archive = FileSystems.newFileSystem(GOLDENS)) {
        Directories.copy(archive.getPath("encoders/bert_auto_model_prefix"), tiny, file -> true);
      }
      NodeOptions options =
          NodeOptions.defaults()
              .withSetting("lanewise.backend", "cuda")
              .withVariable("LD_LIBRARY_PATH", driver.toString());
      try (ElasticsearchNode node = ElasticsearchNode.start(home, options);
          TextEmbedder library =
              TextEmbedder.open(
                  ModelDirectory.open(tiny),
                  EmbedderOptions.defaults()
                      .withBackend("scalar")
                      .withPrecision(Precision.FP32)
                      .withThreads(1))) {
        Http http = node.http();
        http.put(
                "/_ingest/pipeline/embed",
                "{\"processors\": [{\"lanewise_embed\": {\"field\": \"body\", \"model_id\":"
                    + " \"tiny\"}}]}")
            .orThrow();
        http.put(
                "/texts",
                String.format(
                    Locale.ROOT,
                    """
                    {"settings": {"number_of_replicas": 0},
                     "mappings": {"properties": {"body_vector":
                       {"type": "dense_vector", "dims": %d, "index": false}}}}
                    """,
                    library.dimensions()))
            .orThrow();
        Map<String, ObjectNode> documents = new TreeMap<>();
        TEXTS.forEach((id, text) -> documents.put(id, body(text)));
        assertIndexed(bulk(http, "texts", "embed", documents));
        for (Map.Entry<String, String> text : TEXTS.entrySet()) {
          JsonNode vector =
              http.get("/texts/_doc/" + text.getKey() + "?_source_exclude_vectors=false")
                  .orThrow()
                  .json()
                  .at("/_source/body_vector");
          float[] expected = library.embed(List.of(text.getValue())).getFirst().vector();
          double cosine = cosine(expected, vector);
          assertTrue(cosine >= 0.9999, () -> text + " has cosine " + cosine);
        }
        JsonNode stats =
            http.get("/_lanewise/stats").orThrow().json().path("nodes").iterator().next();
        JsonNode model = stats.path("models").path("tiny");
        assertEquals("cuda", model.path("backend").asText(), stats::toPrettyString);
        assertEquals("bf16", model.path("precision").asText());
        assertEquals("tensor_cores_bf16", model.path("kernels").asText());
        assertEquals(3, model.path("texts").asInt());
        assertEquals(0, model.path("failures").asInt());
      }
    }
  }

  private static void compile(Path library) throws IOException, InterruptedException {
    assumeTrue(
        System.getProperty("os.name").equals("Linux")
            && System.getProperty("os.arch").equals("amd64"),
        "the simulated GPU runs on Linux on x86-64 only");
    Process compiler =
        new ProcessBuilder(
                SOURCES.resolve("test/cuda/library.sh").toString(),
                "driver.cpp",
                library.toAbsolutePath().toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(compiler.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int status = compiler.waitFor();
    assumeTrue(status != MISSING, () -> "the simulated GPU needs g++: " + said);
    assertEquals(0, status, said);
  }

  private static double cosine(float[] expected, JsonNode actual) {
    assertEquals(expected.length, actual.size());
    double dot = 0;
    double left = 0;
    double right = 0;
    for (int i = 0; i < expected.length; i++) {
      double number = actual.get(i).asDouble();
      dot += expected[i] * number;
      left += expected[i] * expected[i];
      right += number * number;
    }
    return dot / Math.sqrt(left * right);
  }
}
