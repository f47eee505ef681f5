package org.lanewise.plugin.store;

import static org.hamcrest.Matchers.containsString;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.apache.http.entity.ByteArrayEntity;
import org.apache.http.entity.ContentType;
import org.apache.lucene.tests.util.LuceneTestCase;
import org.elasticsearch.client.Request;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.xcontent.XContentHelper;
import org.elasticsearch.env.NodeEnvironment;
import org.elasticsearch.test.ESIntegTestCase;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.lanewise.encoder.ModelFiles;
import org.lanewise.encoder.ModelFiles.ModelFile;
import org.lanewise.plugin.RestTestCase;
import org.lanewise.plugin.TestEncoder;

/** Uploading models to a cluster of two nodes over HTTP, and what becomes of them there. */
@ESIntegTestCase.ClusterScope(
    scope = ESIntegTestCase.Scope.TEST,
    numDataNodes = 2,
    numClientNodes = 0,
    supportsDedicatedMasters = false)
@LuceneTestCase.SuppressFileSystems("ExtrasFS") // it adds directories, which are models here
public class ModelStoreRestTests extends RestTestCase {
  private static final String MODELS = "/_lanewise/models/";
  private static final int PART = ModelIndex.PART_BYTES;
  private static final Map<Integer, Path> CONFIGS = new ConcurrentHashMap<>();

  @Override
  protected Path nodeConfigPath(int nodeOrdinal) {
    return CONFIGS.computeIfAbsent(nodeOrdinal, node -> createTempDir());
  }

  @Override
  protected Settings nodeSettings(int nodeOrdinal, Settings otherSettings) {
    return Settings.builder()
        .put(super.nodeSettings(nodeOrdinal, otherSettings))
        .put("path.repo", repository())
        .build();
  }

  private static Path repository;

  private static synchronized Path repository() {
    if (repository == null) {
      repository = createTempDir();
    }
    return repository;
  }

  /** Returns a model directory with a file of three parts, the last of which is short. */
  private static Path model(int dimensions) throws IOException {
    Path directory = TestEncoder.create(createTempDir(), "any", dimensions, 12, Map.of());
    byte[] weights = new byte[2 * PART + 5];
    random().nextBytes(weights);
    Files.createDirectories(directory.resolve("1_Pooling"));
    Files.write(directory.resolve("1_Pooling/model.safetensors"), weights);
    Files.writeString(directory.resolve("empty.txt"), "");
    return directory;
  }

  private static String manifest(ModelFiles files) {
    List<String> each = new ArrayList<>();
    for (Map.Entry<String, ModelFile> file : files.byName().entrySet()) {
      each.add(
          String.format(
              Locale.ROOT,
              "\"%s\":{\"bytes\":%d,\"sha256\":\"%s\"}",
              file.getKey(),
              file.getValue().bytes(),
              file.getValue().sha256()));
    }
    return "{\"files\":{" + String.join(",", each) + "}}";
  }

  private static Map<String, Object> begin(String id, Path directory) throws IOException {
    return call("PUT", MODELS + id, manifest(ModelFiles.of(directory)));
  }

  private static Map<String, Object> send(String id, String file, long offset, byte[] bytes)
      throws IOException {
    Request request = new Request("PUT", MODELS + id + "/_part");
    request.addParameter("file", file);
    request.addParameter("offset", Long.toString(offset));
    request.setEntity(new ByteArrayEntity(bytes, ContentType.APPLICATION_OCTET_STREAM));
    return XContentHelper.convertToMap(
        JsonXContent.jsonXContent,
        getRestClient().performRequest(request).getEntity().getContent(),
        true);
  }

  private static void sendMissing(String id, Path directory, List<?> missing) throws IOException {
    for (Object each : missing) {
      Map<?, ?> part = (Map<?, ?>) each;
      int offset = ((Number) part.get("offset")).intValue();
      int bytes = ((Number) part.get("bytes")).intValue();
      byte[] all = Files.readAllBytes(directory.resolve((String) part.get("file")));
      send(id, (String) part.get("file"), offset, Arrays.copyOfRange(all, offset, offset + bytes));
    }
  }

  private static void upload(String id, Path directory) throws IOException {
    sendMissing(id, directory, (List<?>) begin(id, directory).get("missing"));
    assertEquals("complete", call("POST", MODELS + id + "/_complete", null).get("state"));
  }

  private static Map<String, Object> embed(String id) throws IOException {
    return call("POST", "/_lanewise/embed/" + id, "{\"input\":\"a text\"}");
  }

  private static void putPipeline(String body) throws IOException {
    call("PUT", "/_ingest/pipeline/p", "{\"processors\":[" + body + "]}");
  }

  private static void setAlias(String alias, String id) throws IOException {
    call(
        "PUT",
        "/_cluster/settings",
        String.format(
            Locale.ROOT,
            "{\"persistent\":{\"lanewise.alias.%s\":%s}}",
            alias,
            id == null ? "null" : "\"" + id + "\""));
  }

  private static Path copies(String node) {
    return internalCluster()
        .getInstance(NodeEnvironment.class, node)
        .nodeDataPaths()[0]
        .resolve("lanewise");
  }

  /** Asks every node for a vector of the model, as an ingest node would make it. */
  private static void assertEveryNodeEmbeds(String id) throws IOException {
    Map<String, Object> loaded = call("POST", MODELS + id + "/_load", null);
    assertEquals(loaded.toString(), 2, at(loaded, "_nodes.successful"));
    Map<?, ?> nodes = (Map<?, ?>) loaded.get("nodes");
    assertEquals(2, nodes.size());
    nodes.values().forEach(node -> assertEquals("open", ((Map<?, ?>) node).get("state")));
    embed(id);
  }

  public void testUploadInPartsInterruptedResumedAndUsedOnEveryNode() throws Exception {
    Path directory = model(8);
    Map<String, Object> begun = begin("up", directory);
    assertEquals("uploading", begun.get("state"));
    List<?> missing = (List<?>) begun.get("missing");
    assertEquals(5, missing.size());
    sendMissing("up", directory, missing.subList(0, 3));
    assertError(
        409,
        "the upload of model [up] is not complete",
        "POST",
        "/_lanewise/embed/up",
        "{\"input\":\"a\"}");
    assertError(400, "is missing; upload it", "POST", MODELS + "up/_complete", null);

    Map<String, Object> resumed = begin("up", directory);
    assertEquals(missing.subList(3, 5), resumed.get("missing"));
    sendMissing("up", directory, (List<?>) resumed.get("missing"));
    assertEquals(List.of(), begin("up", directory).get("missing"));
    Map<String, Object> complete = call("POST", MODELS + "up/_complete", null);
    assertEquals("complete", complete.get("state"));
    assertEquals("encoder", complete.get("kind"));
    assertEquals(ModelFiles.of(directory).fingerprint(), complete.get("fingerprint"));

    assertEveryNodeEmbeds("up");
    for (String node : internalCluster().getNodeNames()) {
      Path copy = copies(node).resolve("up").resolve((String) complete.get("fingerprint"));
      assertEquals(ModelFiles.of(directory), ModelFiles.of(copy));
    }
    Map<String, Object> described = call("GET", MODELS + "up", null);
    assertEquals(List.of("index"), at(described, "models.source"));
    assertEquals(List.of(complete.get("fingerprint")), at(described, "models.fingerprint"));
    // What is complete can be begun and completed again, and nothing happens.
    assertEquals("complete", begin("up", directory).get("state"));
    assertEquals("complete", call("POST", MODELS + "up/_complete", null).get("state"));
  }

  public void testBadUploadsAreRefusedWithTheReason() throws Exception {
    Path directory = model(8);
    begin("up", directory);
    String up = MODELS + "up";
    assertError(400, "[files] is empty", "PUT", MODELS + "x", "{\"files\":{}}");
    for (String name : List.of("../x", "/x", "a//b", ".x", "a/../b", "a\\\\b", "a/b/c/d/e", "")) {
      assertError(
          400,
          "must be a path below the model's directory",
          "PUT",
          MODELS + "x",
          String.format(
              Locale.ROOT,
              "{\"files\":{\"%s\":{\"bytes\":1,\"sha256\":\"%s\"}}}",
              name,
              "0".repeat(64)));
    }
    assertError(
        400,
        "must be 64 hexadecimal digits",
        "PUT",
        MODELS + "x",
        "{\"files\":{\"a\":{\"bytes\":1,\"sha256\":\"../\"}}}");
    assertError(
        400,
        "but [lanewise.model_copies_size] is [10gb]",
        "PUT",
        MODELS + "x",
        String.format(
            Locale.ROOT,
            "{\"files\":{\"a\":{\"bytes\":11000000000,\"sha256\":\"%s\"}}}",
            "0".repeat(64)));
    assertError(409, "was uploaded with other files", "PUT", up, manifest(ModelFiles.of(model(4))));
    assertError(
        400, "model id [UP] must have", "PUT", MODELS + "UP", manifest(ModelFiles.of(directory)));
    assertError(404, "Could not find an upload", "POST", MODELS + "zz/_complete", null);
    assertError(404, "Could not find an upload", "DELETE", MODELS + "zz", null);
    assertError(400, "[file] is missing", "PUT", up + "/_part", "{}");
    assertError(400, "has no file [b]", "PUT", up + "/_part?file=b", "{}");
    assertError(400, "is none of file", "PUT", up + "/_part?file=empty.txt", "{}");
    assertError(400, "is none of file", "PUT", up + "/_part?file=empty.txt&offset=-1", "{}");
    assertError(
        400,
        "changed on its way",
        "PUT",
        up + "/_part?file=test.txt&sha256=" + "0".repeat(64),
        "{}");
    // Of the announced lengths, but not of the announced content.
    for (Object each : (List<?>) begin("up", directory).get("missing")) {
      Map<?, ?> part = (Map<?, ?>) each;
      send(
          "up",
          (String) part.get("file"),
          ((Number) part.get("offset")).longValue(),
          new byte[((Number) part.get("bytes")).intValue()]);
    }
    assertError(400, "was announced; DELETE the model", "POST", up + "/_complete", null);
    for (String node : internalCluster().getNodeNames()) {
      assertNoCopies(node);
    }
  }

  private static void assertNoCopies(String node) throws IOException {
    if (Files.exists(copies(node))) {
      try (Stream<Path> files = Files.walk(copies(node))) {
        assertEquals(List.of(), files.filter(Files::isRegularFile).toList());
      }
    }
  }

  public void testDeleteIsRefusedWhileSomethingNeedsTheModel() throws Exception {
    upload("up", model(8));
    assertEveryNodeEmbeds("up");
    setAlias("default", "up");
    embed("default");
    putPipeline("{\"lanewise_embed\":{\"model_id\":\"default\",\"field\":\"a\"}}");
    assertError(409, "because of its aliases [default]", "DELETE", MODELS + "up", null);
    assertError(
        409,
        "[default] is an alias of model [up]",
        "PUT",
        MODELS + "default",
        manifest(ModelFiles.of(model(4))));
    setAlias("default", null);
    putPipeline(
        "{\"lanewise_embed\":{\"model_id\":\"x\",\"field\":\"a\",\"on_failure\":[{\"lanewise_embed\":"
            + "{\"model_id\":\"up\",\"field\":\"a\"}}]}}");
    assertError(409, "because of the pipelines [p]", "DELETE", MODELS + "up", null);
    assertEquals(true, call("DELETE", MODELS + "up?force=true", null).get("acknowledged"));
    assertError(
        404, "Could not find model [up]", "POST", "/_lanewise/embed/up", "{\"input\":\"a\"}");
    for (String node : internalCluster().getNodeNames()) {
      assertNoCopies(node);
    }
    upload("up", model(4));
    assertEquals(4, ((List<?>) at(embed("up"), "text_embedding.embedding")).size());
    call("DELETE", "/_ingest/pipeline/p", null);
  }

  public void testAliasIsSwitchedWithoutAnybodyNoticing() throws Exception {
    upload("small", model(4));
    upload("large", model(8));
    assertError(
        404,
        "Could not find model [default]",
        "POST",
        "/_lanewise/embed/default",
        "{\"input\":\"a\"}");
    setAlias("default", "small");
    assertEquals(4, ((List<?>) at(embed("default"), "text_embedding.embedding")).size());
    setAlias("default", "large");
    assertEquals(8, ((List<?>) at(embed("default"), "text_embedding.embedding")).size());
    setAlias("default", null);
    assertError(
        400,
        "model id [UP] must have",
        "PUT",
        "/_cluster/settings",
        "{\"persistent\":{\"lanewise.alias.default\":\"UP\"}}");
    assertError(
        400,
        "model id [A] must have",
        "PUT",
        "/_cluster/settings",
        "{\"persistent\":{\"lanewise.alias.A\":\"up\"}}");
  }

  public void testDamagedCopyIsMadeAnew() throws Exception {
    Path directory = model(8);
    upload("up", directory);
    assertEveryNodeEmbeds("up");
    call("POST", MODELS + "up/_unload", null);
    String fingerprint = ModelFiles.of(directory).fingerprint();
    for (String node : internalCluster().getNodeNames()) {
      Path file = copies(node).resolve("up").resolve(fingerprint).resolve("test.txt");
      Files.writeString(file, Files.readString(file).replace('8', '9'));
    }
    assertEveryNodeEmbeds("up");
    assertEquals(8, ((List<?>) at(embed("up"), "text_embedding.embedding")).size());
  }

  public void testNodesWithOtherFilesAreRefusedByName() throws Exception {
    for (Map.Entry<Integer, Path> node : CONFIGS.entrySet()) {
      TestEncoder.create(
          node.getValue().resolve("lanewise").resolve("models"),
          "own",
          8 + node.getKey(),
          12,
          Map.of());
    }
    Map<String, Object> loaded = call("POST", MODELS + "own/_load", null);
    assertEquals(loaded.toString(), 1, at(loaded, "_nodes.failed"));
    assertThat(loaded.toString(), containsString("put the same files on every node"));
    assertError(
        409,
        "has other files on some nodes, so nothing was reloaded",
        "POST",
        MODELS + "own/_reload",
        null);
    for (Path config : CONFIGS.values()) {
      TestEncoder.create(config.resolve("lanewise").resolve("models"), "own", 16, 12, Map.of());
    }
    assertEquals(2, at(call("POST", MODELS + "own/_reload", null), "_nodes.successful"));
    assertEquals(16, ((List<?>) at(embed("own"), "text_embedding.embedding")).size());
    assertError(
        409,
        "is on the disk of this node",
        "PUT",
        MODELS + "own",
        manifest(ModelFiles.of(model(4))));
  }

  public void testSnapshotBringsModelsBack() throws Exception {
    upload("up", model(8));
    call(
        "PUT",
        "/_snapshot/r",
        String.format(
            Locale.ROOT, "{\"type\":\"fs\",\"settings\":{\"location\":\"%s\"}}", repository()));
    String states = "{\"feature_states\":[\"lanewise\"],\"indices\":\"-*\"}";
    Map<String, Object> taken = call("PUT", "/_snapshot/r/s?wait_for_completion=true", states);
    assertEquals(taken.toString(), "SUCCESS", at(taken, "snapshot.state"));
    call("DELETE", MODELS + "up", null);
    call("POST", "/_snapshot/r/s/_restore?wait_for_completion=true", states);
    ensureGreen(ModelIndex.ALIAS);
    assertEveryNodeEmbeds("up");
    assertEquals(8, ((List<?>) at(embed("up"), "text_embedding.embedding")).size());
  }
}
