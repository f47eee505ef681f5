package org.lanewise.plugin.models;

import static org.hamcrest.Matchers.containsString;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.lucene.tests.util.LuceneTestCase;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.ResourceNotFoundException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.PlainActionFuture;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.test.ESTestCase;
import org.junit.Before;
import org.lanewise.encoder.ModelFiles;
import org.lanewise.plugin.TestEncoder;
import org.lanewise.plugin.TestOpener;
import org.lanewise.plugin.TestTagger;

@LuceneTestCase.SuppressFileSystems("ExtrasFS") // it adds directories, which are models here
public class ModelRegistryTests extends ESTestCase {
  private final Queue<Runnable> forked = new ArrayDeque<>();
  private Path configured;
  private Path bundled;
  private ModelRegistry registry;
  private final TestOpener opener = new TestOpener();

  @Before
  public void createRegistry() {
    configured = createTempDir().resolve("config");
    bundled = createTempDir().resolve("bundled");
    registry = new ModelRegistry(configured, bundled, opener, forked::add, ModelCluster.NONE);
  }

  private void runForked() {
    while (!forked.isEmpty()) {
      forked.remove().run();
    }
  }

  private OpenModel open(String id) {
    PlainActionFuture<OpenModel> future = new PlainActionFuture<>();
    registry.open(id, future);
    runForked();
    return future.actionGet();
  }

  private TestEncoder encoder(String id) {
    return (TestEncoder) open(id).model();
  }

  private Exception failure(String id) {
    return expectThrows(Exception.class, () -> open(id));
  }

  private List<ModelInfo> list() {
    PlainActionFuture<List<ModelInfo>> future = new PlainActionFuture<>();
    registry.list(future);
    runForked();
    return future.actionGet();
  }

  private String fingerprint(String id) {
    Path own = configured.resolve(id);
    return ModelFiles.of(Files.exists(own) ? own : bundled.resolve(id)).fingerprint();
  }

  private ModelInfo info(String id) {
    PlainActionFuture<ModelInfo> future = new PlainActionFuture<>();
    registry.info(id, future);
    runForked();
    return future.actionGet();
  }

  public void testTheAdministratorsModelWins() throws Exception {
    TestEncoder.create(bundled, "m", 8, 10, Map.of());
    TestEncoder.create(bundled, "n", 8, 10, Map.of());
    TestEncoder.create(configured, "m", 16, 10, Map.of());
    assertEquals(16, encoder("m").dimensions().orElse(0));
    assertEquals(8, encoder("n").dimensions().orElse(0));
    assertEquals(ModelInfo.Source.CONFIG, info("m").source());
    assertEquals(ModelInfo.Source.BUNDLED, info("n").source());
  }

  public void testOpenedOnceAndOffTheCallersThread() throws Exception {
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    PlainActionFuture<OpenModel> first = new PlainActionFuture<>();
    PlainActionFuture<OpenModel> second = new PlainActionFuture<>();
    registry.open("m", first);
    registry.open("m", second);
    assertEquals(0, opener.tried.size());
    assertFalse(first.isDone());
    runForked();
    assertSame(first.actionGet(), second.actionGet());
    assertSame(first.actionGet(), open("m"));
    assertEquals(1, opener.tried.size());
  }

  public void testIdsCannotLeaveTheDirectory() throws Exception {
    TestEncoder.create(configured.resolveSibling("secret"), "m", 8, 10, Map.of());
    for (String id :
        List.of(
            "", "..", "../secret/m", "a..b", "a/b", "a\\b", "M", "_m", ".m", "m\u0000", "m\n")) {
      Exception e = failure(id);
      assertTrue(e.toString(), e instanceof IllegalArgumentException);
      assertThat(e.getMessage(), containsString("model id [" + id + "] must have"));
    }
    ModelRegistry.checkId("a".repeat(128));
    expectThrows(IllegalArgumentException.class, () -> ModelRegistry.checkId("a".repeat(129)));
    assertTrue(forked.isEmpty());
  }

  public void testUnknownModel() throws Exception {
    TestEncoder.create(bundled, "b", 8, 10, Map.of());
    TestEncoder.create(configured, "a", 8, 10, Map.of());
    Exception e = failure("c");
    assertTrue(e instanceof ResourceNotFoundException);
    assertEquals(
        "Could not find model [c] in ["
            + configured
            + "] or ["
            + bundled
            + "], nor was it uploaded; the models on the disk of this node are [a, b]",
        e.getMessage());
    TestEncoder.create(configured, "c", 8, 10, Map.of());
    assertEquals(8, encoder("c").dimensions().orElse(0));
  }

  public void testBrokenModelWorksOnceRepaired() throws Exception {
    Files.createDirectories(configured.resolve("m"));
    Exception e = failure("m");
    assertEquals(RestStatus.CONFLICT, ExceptionsHelper.status(e));
    assertThat(e.getMessage(), containsString("Could not open model [m]: "));
    assertThat(e.getMessage(), containsString("[test.txt] is missing"));
    failure("m");
    assertEquals(1, opener.tried.size());
    ModelInfo failed = info("m");
    assertEquals(ModelInfo.State.FAILED, failed.state());
    assertThat(failed.reason().get(), containsString("[test.txt] is missing"));
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    assertBusy(
        () -> {
          try {
            assertEquals(8, encoder("m").dimensions().orElse(0));
          } catch (ElasticsearchStatusException stillRemembered) {
            throw new AssertionError(stillRemembered);
          }
        },
        5,
        TimeUnit.SECONDS);
    assertEquals(ModelInfo.State.OPEN, info("m").state());
  }

  public void testListOpensNothing() throws Exception {
    assertEquals(List.of(), list());
    TestEncoder.create(configured, "b", 8, 10, Map.of());
    TestEncoder.create(configured, "a", 8, 10, Map.of("query", "q"));
    Files.createDirectories(configured.resolve("Not-An-Id"));
    Files.writeString(configured.resolve("file"), "");
    assertEquals(List.of("a", "b"), list().stream().map(ModelInfo::id).toList());
    assertEquals(0, opener.tried.size());
    open("a");
    assertEquals(
        "{\"model_id\":\"a\",\"source\":\"config\",\"state\":\"open\",\"kind\":\"encoder\",\"fingerprint\":\""
            + fingerprint("a")
            + "\",\"family\":\"test\","
            + "\"outputs\":[\"dense\",\"sparse\",\"multi_vector\"],\"dimensions\":8,\"max_length\":10,\"backend\":\"scalar\",\"precision\":\"fp32\","
            + "\"prompts\":[\"query\"]}",
        Strings.toString(list().get(0)));
    assertEquals(
        "{\"model_id\":\"b\",\"source\":\"config\",\"state\":\"not_opened\",\"kind\":\"encoder\"}",
        Strings.toString(list().get(1)));
  }

  public void testStateWhileOpening() throws Exception {
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    registry.open("m", ActionListener.noop());
    Runnable opening = forked.remove();
    assertEquals(ModelInfo.State.OPENING, list().getFirst().state());
    opening.run();
    assertEquals(ModelInfo.State.OPEN, list().getFirst().state());
  }

  public void testTaggersShareTheOneEncoderThatIsOpen() throws Exception {
    TestEncoder.create(bundled, "e", 8, 10, Map.of());
    TestTagger.create(configured, "t", ModelKind.TAGGER, "e");
    TestTagger.create(configured, "c", ModelKind.CLASSIFIER, "e");
    TestTagger tagger = (TestTagger) open("t").model();
    TestTagger classifier = (TestTagger) open("c").model();
    assertSame(encoder("e"), tagger.encoder("e"));
    assertSame(encoder("e"), classifier.encoder("e"));
    assertEquals(3, opener.tried.size());
    assertEquals(
        "{\"model_id\":\"t\",\"source\":\"config\",\"state\":\"open\",\"kind\":\"tagger\","
            + "\"fingerprint\":\""
            + fingerprint("t")
            + "\",\"labels\":[\"PER\",\"ORG\"],\"encoders\":[\"e\"],\"backend\":\"scalar\","
            + "\"precision\":\"fp32\"}",
        Strings.toString(info("t")));
  }

  public void testTaggerWhoseEncoderIsBeingOpenedWaitsForIt() throws Exception {
    TestEncoder.create(bundled, "e", 8, 10, Map.of());
    TestTagger.create(configured, "t", ModelKind.TAGGER, "e");
    PlainActionFuture<OpenModel> encoder = new PlainActionFuture<>();
    PlainActionFuture<OpenModel> tagger = new PlainActionFuture<>();
    registry.open("e", encoder);
    Runnable opening = forked.remove();
    registry.open("t", tagger);
    runForked();
    assertFalse(tagger.isDone());
    assertEquals(ModelInfo.State.OPENING, list().getLast().state());
    opening.run();
    assertSame(encoder.actionGet().model(), ((TestTagger) tagger.actionGet().model()).encoder("e"));
  }

  public void testTaggerWithoutItsEncoder() throws Exception {
    TestTagger.create(configured, "t", ModelKind.TAGGER, "e");
    Exception e = failure("t");
    assertEquals(RestStatus.CONFLICT, ExceptionsHelper.status(e));
    assertThat(
        e.getMessage(),
        containsString(
            "Could not open model [t]: its encoder [e] cannot be used: Could not find model [e]"));
    assertEquals(0, opener.tried.size());
    Files.createDirectories(configured.resolve("b"));
    TestTagger.create(configured, "u", ModelKind.TAGGER, "b");
    assertThat(
        failure("u").getMessage(), containsString("[b] cannot be used: Could not open model [b]"));
    TestTagger.create(configured, "v", ModelKind.TAGGER, "../x");
    assertThat(failure("v").getMessage(), containsString("model id [../x] must have"));
    ModelInfo failed = info("t");
    assertEquals(ModelInfo.State.FAILED, failed.state());
    assertEquals(ModelKind.TAGGER, failed.kind().get());
  }

  public void testModelsThatNameEachOtherDoNotWaitForEver() throws Exception {
    TestTagger.create(configured, "a", ModelKind.TAGGER, "b");
    TestTagger.create(configured, "b", ModelKind.CLASSIFIER, "b");
    assertThat(failure("a").getMessage(), containsString("[b] is a classifier, expected an enc"));
    assertThat(failure("b").getMessage(), containsString("[b] is a classifier, expected an enc"));
  }

  public void testClose() throws Exception {
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    TestEncoder.create(configured, "late", 8, 10, Map.of());
    TestEncoder encoder = encoder("m");
    PlainActionFuture<OpenModel> late = new PlainActionFuture<>();
    registry.open("late", late);
    registry.close();
    assertTrue(encoder.closed);
    runForked();
    expectThrows(EsRejectedExecutionException.class, late::actionGet);
  }

  public void testTaggersAreClosedBeforeTheirEncoders() throws Exception {
    TestEncoder.create(configured, "e", 8, 10, Map.of());
    TestTagger.create(configured, "t", ModelKind.TAGGER, "e");
    TestEncoder encoder = encoder("e");
    TestTagger tagger = (TestTagger) open("t").model();
    encoder.onClose = () -> assertTrue(tagger.closed);
    registry.close();
    assertTrue(encoder.closed);
  }

  private <T> T run(Consumer<ActionListener<T>> call) {
    PlainActionFuture<T> future = new PlainActionFuture<>();
    call.accept(future);
    runForked();
    return future.actionGet();
  }

  public void testUnloadedWhenItsWorkIsDone() throws Exception {
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    OpenModel open = open("m");
    TestEncoder encoder = (TestEncoder) open.model();
    assertTrue(open.tryIncRef());
    assertTrue(this.<Boolean>run(asker -> registry.unload("m", asker)));
    assertFalse(encoder.closed);
    assertEquals(ModelInfo.State.NOT_OPENED, list().getFirst().state());
    open.decRef();
    assertTrue(encoder.closed);
    assertFalse(open.tryIncRef());
    assertFalse(this.<Boolean>run(asker -> registry.unload("m", asker)));
    assertNotSame(open, open("m"));
  }

  public void testModelThatIsBeingOpenedIsUnloadedAfterwards() throws Exception {
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    PlainActionFuture<OpenModel> opened = new PlainActionFuture<>();
    registry.open("m", opened);
    assertTrue(this.<Boolean>run(asker -> registry.unload("m", asker)));
    assertTrue(((TestEncoder) opened.actionGet().model()).closed);
  }

  public void testReloadReadsTheFilesAgainAndKeepsTheOldModelWhereItCannot() throws Exception {
    Path directory = TestEncoder.create(configured, "m", 8, 10, Map.of());
    OpenModel old = open("m");
    TestEncoder encoder = (TestEncoder) old.model();
    Files.writeString(directory.resolve(TestEncoder.FILE), "");
    expectThrows(Exception.class, () -> this.<OpenModel>run(asker -> registry.reload("m", asker)));
    assertSame(old, open("m"));
    assertFalse(encoder.closed);

    TestEncoder.create(configured, "m", 16, 10, Map.of());
    assertTrue(old.tryIncRef());
    OpenModel fresh = run(asker -> registry.reload("m", asker));
    assertSame(fresh, open("m"));
    assertEquals(16, ((TestEncoder) fresh.model()).dimensions().orElse(0));
    assertNotEquals(old.fingerprint(), fresh.fingerprint());
    assertFalse(encoder.closed);
    old.decRef();
    assertTrue(encoder.closed);
  }

  public void testEncoderStaysOpenForTheTaggerThatReadsIt() throws Exception {
    TestEncoder.create(configured, "e", 8, 10, Map.of());
    TestTagger.create(configured, "t", ModelKind.TAGGER, "e");
    TestTagger tagger = (TestTagger) open("t").model();
    TestEncoder encoder = encoder("e");
    assertTrue(this.<Boolean>run(asker -> registry.unload("e", asker)));
    assertFalse(encoder.closed);
    assertTrue(this.<Boolean>run(asker -> registry.unload("t", asker)));
    assertTrue(tagger.closed);
    assertTrue(encoder.closed);
  }

  /** A cluster of one alias, one uploaded model and one other node. */
  private final class OtherNodes implements ModelCluster {
    private final Path copy;
    private String refused = "";

    /** Whether they refuse a model only when they are asked again. */
    private boolean late;

    OtherNodes(Path copy) {
      this.copy = copy;
    }

    @Override
    public String resolve(String name) {
      return name.equals("default") ? "m" : name;
    }

    @Override
    public SortedSet<String> aliases(String id) {
      return id.equals("m") ? new TreeSet<>(Set.of("default")) : new TreeSet<>();
    }

    private UploadedModel uploaded() {
      return new UploadedModel("up", ModelFiles.of(copy), Optional.of(ModelKind.ENCODER));
    }

    @Override
    public void find(String id, ActionListener<Optional<UploadedModel>> listener) {
      listener.onResponse(id.equals("up") ? Optional.of(uploaded()) : Optional.empty());
    }

    @Override
    public void list(ActionListener<List<UploadedModel>> listener) {
      listener.onResponse(List.of(uploaded()));
    }

    @Override
    public void fetch(UploadedModel model, ActionListener<Path> listener) {
      if (model.id().equals(refused)) {
        listener.onFailure(
            new ElasticsearchStatusException("no room", RestStatus.INSUFFICIENT_STORAGE));
      } else {
        forked.add(() -> listener.onResponse(copy));
      }
    }

    @Override
    public void agree(
        String id, String fingerprint, boolean settled, ActionListener<Void> listener) {
      assertEquals(settled, registry.held(id).orElseThrow().open());
      if (id.equals(refused) && settled == late) {
        listener.onFailure(new ElasticsearchStatusException("node [n2]", RestStatus.CONFLICT));
      } else {
        listener.onResponse(null);
      }
    }
  }

  public void testAliasesAndUploadedModels() throws Exception {
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    OtherNodes others = new OtherNodes(TestEncoder.create(createTempDir(), "x", 16, 10, Map.of()));
    registry = new ModelRegistry(configured, bundled, opener, forked::add, others);
    assertSame(open("m"), open("default"));
    assertEquals("m", info("default").id());
    assertEquals(Set.of("default"), info("m").aliases());
    assertEquals(List.of("m", "up"), list().stream().map(ModelInfo::id).toList());
    assertEquals(ModelInfo.Source.INDEX, list().getLast().source());
    assertEquals(Optional.of(ModelKind.ENCODER), list().getLast().kind());
    assertEquals(16, encoder("up").dimensions().orElse(0));
    assertEquals(others.uploaded().files().fingerprint(), info("up").fingerprint().get());
  }

  public void testModelThatOtherNodesHaveOtherFilesOfIsNotOpened() throws Exception {
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    for (boolean late : List.of(false, true)) {
      OtherNodes others = new OtherNodes(createTempDir());
      others.refused = "m";
      others.late = late;
      registry = new ModelRegistry(configured, bundled, opener, forked::add, others);
      Exception e = failure("m");
      assertEquals(RestStatus.CONFLICT, ExceptionsHelper.status(e));
      assertEquals("Could not open model [m]: node [n2]", e.getMessage());
      assertEquals(0, opener.tried.size());
      assertTrue(registry.held("m").isEmpty());
    }
  }

  public void testModelThatCannotBeFetchedSaysWhy() throws Exception {
    OtherNodes others = new OtherNodes(TestEncoder.create(createTempDir(), "x", 16, 10, Map.of()));
    others.refused = "up";
    registry = new ModelRegistry(configured, bundled, opener, forked::add, others);
    Exception e = failure("up");
    assertEquals(RestStatus.INSUFFICIENT_STORAGE, ExceptionsHelper.status(e));
    assertEquals("Could not open model [up]: no room", e.getMessage());
    assertEquals(ModelInfo.State.FAILED, info("up").state());
    others.refused = "";
    assertEquals(
        16,
        ((TestEncoder) this.<OpenModel>run(asker -> registry.load("up", asker)).model())
            .dimensions()
            .orElse(0));
  }
}
