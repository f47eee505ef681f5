package org.lanewise.plugin.encode;

import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.equalTo;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.ResourceNotFoundException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.PlainActionFuture;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.test.ESTestCase;
import org.junit.After;
import org.junit.Before;
import org.lanewise.encoder.ChunkOptions;
import org.lanewise.encoder.ChunkOptions.Strategy;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.TextTagger.Entity;
import org.lanewise.plugin.TestEncoder;
import org.lanewise.plugin.TestService;
import org.lanewise.plugin.TestTagger;
import org.lanewise.plugin.encode.EncodeRequest.Chunking;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.encode.EncodeRequest.Truncate;
import org.lanewise.plugin.models.Encoded;
import org.lanewise.plugin.models.ModelKind;
import org.lanewise.plugin.models.Tags;

public class EncodeServiceTests extends ESTestCase {
  private static final TagSelection ALL = new TagSelection(0, Set.of(), 0);

  private TestService test;

  @Before
  public void createService() throws Exception {
    start(
        Settings.builder()
            .put("lanewise.threads", 1)
            .put("lanewise.queue_capacity", 200)
            .put("lanewise.batch_tokens", 100)
            .build());
  }

  private void start(Settings settings) throws Exception {
    Path models = createTempDir();
    TestEncoder.create(models, "m", 64, 12, Map.of("query", "asked ", "document", "told "));
    TestEncoder.create(models, "other", 8, 12, Map.of());
    Path bulky = TestEncoder.create(models, "bulky", 64, 12, Map.of());
    Files.writeString(
        bulky.resolve(TestEncoder.FILE), "bulk_tokens=40\n", StandardOpenOption.APPEND);
    TestTagger.create(models, "ner", ModelKind.TAGGER);
    TestTagger.create(models, "length", ModelKind.CLASSIFIER);
    test = new TestService(models, settings);
  }

  @After
  public void closeService() {
    TestEncoder.GATE.release(1000);
    test.close();
    TestEncoder.GATE.drainPermits();
  }

  /** Fills the one worker of the bulk lane until a permit is given. */
  private PlainActionFuture<List<Encoded>> block() throws Exception {
    PlainActionFuture<List<Encoded>> blocked = test.start("m", Side.INGEST, "blocked");
    assertBusy(() -> assertEquals(1, TestEncoder.BLOCKED.get()));
    return blocked;
  }

  private static Throwable failure(PlainActionFuture<?> future) {
    ExecutionException e =
        expectThrows(ExecutionException.class, () -> future.get(10, TimeUnit.SECONDS));
    return ExceptionsHelper.unwrapCause(e.getCause());
  }

  public void testEachSideHasItsPrompt() {
    List<Encoded> told = test.embed("m", Side.INGEST, "a b");
    List<Encoded> asked = test.embed("m", Side.SEARCH, "a b");
    assertEquals(5, told.getFirst().tokens());
    assertArrayEquals(
        test.embed("other", Side.SEARCH, "told a b").getFirst().vector(),
        test.embed("other", Side.INGEST, "told a b").getFirst().vector(),
        0);
    assertFalse(Arrays.equals(told.getFirst().vector(), asked.getFirst().vector()));
  }

  public void testPromptByName() {
    PlainActionFuture<List<Encoded>> named = new PlainActionFuture<>();
    test.service.embed(
        new EncodeRequest(
            "m",
            EncodeRequest.all(List.of("a"), Set.of(Output.DENSE)),
            Side.INGEST,
            Optional.of("query"),
            Truncate.FIRST),
        named);
    assertArrayEquals(
        test.embed("m", Side.SEARCH, "a").getFirst().vector(),
        named.actionGet().getFirst().vector(),
        0);
    PlainActionFuture<List<Encoded>> unknown = new PlainActionFuture<>();
    test.service.embed(
        new EncodeRequest(
            "m",
            EncodeRequest.all(List.of("a"), Set.of(Output.DENSE)),
            Side.INGEST,
            Optional.of("zz"),
            Truncate.FIRST),
        unknown);
    assertThat(failure(unknown).getMessage(), containsString("prompt [zz] is not one of"));
    assertThat(test.service.stats().bulk().queue(), equalTo(0L));
  }

  public void testTextsOfManyCallsShareBatches() throws Exception {
    PlainActionFuture<List<Encoded>> blocked = block();
    List<PlainActionFuture<List<Encoded>>> calls = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      calls.add(test.start("m", Side.INGEST, "text number n" + i));
    }
    assertEquals(100, test.service.stats().bulk().queue());
    TestEncoder.GATE.release();
    blocked.actionGet(10, TimeUnit.SECONDS);
    calls.forEach(call -> call.actionGet(10, TimeUnit.SECONDS));
    for (int i = 0; i < 100; i++) {
      float[] vector = calls.get(i).actionGet().getFirst().vector();
      assertArrayEquals(
          test.embed("m", Side.INGEST, "text number n" + i).getFirst().vector(), vector, 0);
    }
    // 6 tokens each, 16 texts to a batch of 100: 7 batches, then the 100 single ones above
    WorkStats work = test.stats("m").bulk();
    assertEquals(201, work.texts());
    assertEquals(1 + 7 + 100, work.batches());
    assertEquals(0, test.service.stats().bulk().queue());
  }

  public void testOneCallOfManyTextsIsSplit() {
    String[] texts = new String[150];
    for (int i = 0; i < texts.length; i++) {
      texts[i] = "n" + i;
    }
    List<Encoded> embeddings = test.embed("m", Side.INGEST, texts);
    assertEquals(150, embeddings.size());
    for (int i = 0; i < texts.length; i += 30) {
      assertArrayEquals(
          test.embed("m", Side.INGEST, texts[i]).getFirst().vector(),
          embeddings.get(i).vector(),
          0);
    }
    assertEquals(6 + 5, test.stats("m").bulk().batches());
  }

  public void testBatchesStayWithinTheBudgetAndNobodyOvertakes() throws Exception {
    test.close();
    start(Settings.builder().put("lanewise.threads", 1).put("lanewise.batch_tokens", 16).build());
    PlainActionFuture<List<Encoded>> blocked = block();
    List<PlainActionFuture<List<Encoded>>> calls = new ArrayList<>();
    for (String text : List.of("a b c d e f g h", "a b c d e f g h", "a b c d", "a b c d")) {
      calls.add(test.start("other", Side.INGEST, text));
    }
    // The model is opened by another thread, which queues the texts.
    assertBusy(() -> assertEquals(4, test.service.stats().bulk().queue()));
    TestEncoder.GATE.release();
    blocked.actionGet(10, TimeUnit.SECONDS);
    calls.forEach(call -> call.actionGet(10, TimeUnit.SECONDS));
    // 10 | 10 + 6 | 6; with overtaking it would be 10 + 6 | 10 + 6
    assertEquals(3, test.stats("other").bulk().batches());
    assertEquals(32, test.stats("other").bulk().tokens());
  }

  public void testBulksHaveTheSizeThatSuitsTheModelUnlessOneWasGiven() throws Exception {
    String[] texts = new String[150];
    Arrays.fill(texts, "text");
    // 3 tokens each: 33 to a batch of 100, 13 to one of 40, all to one of 512
    test.embed("bulky", Side.INGEST, texts);
    assertEquals(5, test.stats("bulky").bulk().batches());
    test.close();
    start(Settings.builder().put("lanewise.threads", 1).build());
    test.embed("bulky", Side.INGEST, texts);
    assertEquals(12, test.stats("bulky").bulk().batches());
  }

  public void testFullQueueRejectsAndAnswersEverybodyOnce() throws Exception {
    PlainActionFuture<List<Encoded>> blocked = block();
    AtomicInteger vectors = new AtomicInteger();
    AtomicInteger rejections = new AtomicInteger();
    CountDownLatch answers = new CountDownLatch(300);
    for (int i = 0; i < 300; i++) {
      test.service.embed(
          TestService.request("m", Side.INGEST, List.of("n" + i)),
          new ActionListener<>() {
            @Override
            public void onResponse(List<Encoded> embeddings) {
              vectors.incrementAndGet();
              answers.countDown();
            }

            @Override
            public void onFailure(Exception e) {
              assertEquals(RestStatus.TOO_MANY_REQUESTS, ExceptionsHelper.status(e));
              assertThat(e.getMessage(), containsString("[lanewise.queue_capacity] is [200]"));
              rejections.incrementAndGet();
              answers.countDown();
            }
          });
    }
    TestEncoder.GATE.release();
    assertTrue(answers.await(10, TimeUnit.SECONDS));
    blocked.actionGet(10, TimeUnit.SECONDS);
    assertEquals(200, vectors.get());
    assertEquals(100, rejections.get());
    assertEquals(100, test.service.stats().bulk().rejected());
    assertEquals(0, test.service.stats().bulk().queue());
  }

  public void testMoreTextsThanTheQueueCanEverHold() {
    String[] texts = new String[201];
    Arrays.fill(texts, "a");
    Throwable e = failure(test.start("m", Side.INGEST, texts));
    assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
    assertThat(e.getMessage(), containsString("[201] texts at once can never be queued"));
  }

  public void testPoisonousTextsHurtOnlyTheirOwnCall() throws Exception {
    PlainActionFuture<List<Encoded>> blocked = block();
    PlainActionFuture<List<Encoded>> poison = test.start("m", Side.INGEST, "good", "poison");
    PlainActionFuture<List<Encoded>> bad = test.start("m", Side.INGEST, "untokenizable");
    PlainActionFuture<List<Encoded>> infinite = test.start("m", Side.INGEST, "unlimited");
    PlainActionFuture<List<Encoded>> zero = test.start("m", Side.INGEST, "nothing");
    PlainActionFuture<List<Encoded>> good = test.start("m", Side.INGEST, "fine", "well");
    TestEncoder.GATE.release();
    blocked.actionGet(10, TimeUnit.SECONDS);
    assertEquals(2, good.actionGet(10, TimeUnit.SECONDS).size());
    assertThat(failure(poison).getMessage(), equalTo("this text is poisonous"));
    assertThat(failure(bad).getMessage(), equalTo("cannot tokenize this"));
    for (PlainActionFuture<List<Encoded>> unusable : List.of(infinite, zero)) {
      assertThat(
          failure(unusable).getMessage(),
          containsString("model [m] made no usable vector of a text of [4] tokens"));
    }
    assertEquals(4, test.stats("m").bulk().failures());
    assertEquals(4, test.stats("m").bulk().texts());
  }

  public void testSearchesPassABlockedBulkLane() throws Exception {
    PlainActionFuture<List<Encoded>> blocked = block();
    PlainActionFuture<List<Encoded>> waiting = test.start("m", Side.INGEST, "a");
    assertEquals(1, test.embed("m", Side.SEARCH, "a").size());
    assertFalse(blocked.isDone());
    assertFalse(waiting.isDone());
    assertEquals(1, test.stats("m").search().texts());
    TestEncoder.GATE.release();
    waiting.actionGet(10, TimeUnit.SECONDS);
  }

  public void testSlowReceiversDoNotStallEncoding() throws Exception {
    CountDownLatch hold = new CountDownLatch(1);
    int replies = test.threadPool.info(EncodeService.REPLY_POOL).getMax();
    CountDownLatch held = new CountDownLatch(replies);
    for (int i = 0; i < replies; i++) {
      test.service.embed(
          TestService.request("m", Side.INGEST, List.of("a")),
          ActionListener.running(
              () -> {
                held.countDown();
                safeAwait(hold);
              }));
    }
    safeAwait(held);
    PlainActionFuture<List<Encoded>> next = test.start("m", Side.INGEST, "b");
    assertBusy(() -> assertEquals(replies + 1, test.stats("m").bulk().texts()));
    assertFalse(next.isDone());
    hold.countDown();
    next.actionGet(10, TimeUnit.SECONDS);
  }

  public void testModelsAreUnloadedAndReplacedWhileTextsCome() throws Exception {
    int rounds = 200;
    List<PlainActionFuture<List<Encoded>>> answers = new ArrayList<>();
    List<PlainActionFuture<Object>> changes = new ArrayList<>();
    for (int i = 0; i < rounds; i++) {
      answers.add(test.start("m", i % 3 == 0 ? Side.SEARCH : Side.INGEST, "text " + i));
      PlainActionFuture<Object> changed = new PlainActionFuture<>();
      if (i % 2 == 0) {
        test.registry.unload("m", changed.map(done -> done));
      } else {
        test.registry.reload("m", changed.map(open -> open));
      }
      changes.add(changed);
      if (i % 10 == 0) {
        changed.actionGet(10, TimeUnit.SECONDS);
      }
    }
    for (PlainActionFuture<List<Encoded>> answer : answers) {
      assertEquals(1, answer.actionGet(10, TimeUnit.SECONDS).size());
    }
    for (PlainActionFuture<Object> change : changes) {
      change.actionGet(10, TimeUnit.SECONDS);
    }
    ModelStats stats = test.stats("m");
    assertEquals(rounds, stats.bulk().texts() + stats.search().texts());
    PlainActionFuture<Object> unloaded = new PlainActionFuture<>();
    test.registry.unload("m", unloaded.map(done -> done));
    unloaded.actionGet(10, TimeUnit.SECONDS);
    assertTrue(test.opener.opened.size() > 1);
    assertBusy(
        () ->
            assertTrue(
                test.opener.opened.stream().allMatch(model -> ((TestEncoder) model).closed)));
  }

  public void testClosingAnswersWhoeverWaits() throws Exception {
    PlainActionFuture<List<Encoded>> running = block();
    PlainActionFuture<List<Encoded>> waiting = test.start("m", Side.INGEST, "a", "b");
    test.service.close();
    Throwable e = failure(waiting);
    assertThat(e.getMessage(), equalTo("the node is closing"));
    assertEquals(RestStatus.TOO_MANY_REQUESTS, ExceptionsHelper.status(e));
    TestEncoder encoder = (TestEncoder) test.opener.opened.getFirst();
    assertFalse(encoder.closed);
    TestEncoder.GATE.release();
    assertEquals(1, running.actionGet(10, TimeUnit.SECONDS).size());
    assertTrue(encoder.closed);
    assertTrue(
        failure(test.start("m", Side.INGEST, "late")) instanceof EsRejectedExecutionException);
    assertTrue(
        failure(test.start("other", Side.INGEST, "late")) instanceof EsRejectedExecutionException);
    assertEquals(0, test.service.stats().bulk().queue());
  }

  public void testClosedThreadPoolAnswersTooAndLeavesNobodyWaiting() {
    test.embed("m", Side.INGEST, "a");
    test.threadPool.shutdown();
    assertTrue(
        failure(test.start("m", Side.INGEST, "late")) instanceof EsRejectedExecutionException);
    PlainActionFuture<List<Encoded>> unopened = test.start("other", Side.INGEST, "late");
    test.service.close();
    assertTrue(failure(unopened) instanceof EsRejectedExecutionException);
    assertEquals(0, test.service.stats().bulk().queue());
  }

  public void testAnswersComeInTheContextOfTheCaller() throws Exception {
    test.embed("m", Side.INGEST, "open");
    ThreadContext context = test.threadPool.getThreadContext();
    AtomicReference<String> seen = new AtomicReference<>();
    CountDownLatch done = new CountDownLatch(1);
    try (ThreadContext.StoredContext _ = context.stashContext()) {
      context.putHeader("who", "alice");
      test.service.embed(
          TestService.request("m", Side.INGEST, List.of("a")),
          ActionListener.running(
              () -> {
                seen.set(context.getHeader("who"));
                done.countDown();
              }));
    }
    assertTrue(done.await(10, TimeUnit.SECONDS));
    assertEquals("alice", seen.get());
  }

  public void testTooLong() {
    String longText = "a b c d e f g h i j k";
    Encoded cut = test.embed("other", Side.INGEST, longText).getFirst();
    assertTrue(cut.truncated());
    assertEquals(12, cut.tokens());
    assertEquals(1, test.stats("other").bulk().truncated());
    PlainActionFuture<List<Encoded>> refused = new PlainActionFuture<>();
    test.service.embed(
        new EncodeRequest(
            "other",
            EncodeRequest.all(List.of(longText), Set.of(Output.DENSE)),
            Side.INGEST,
            Optional.empty(),
            Truncate.NONE),
        refused);
    Throwable e = failure(refused);
    assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
    assertThat(
        e.getMessage(),
        equalTo(
            "Input too large. The tokenized input length [13] exceeds the maximum sequence length"
                + " [12]"));
  }

  private PlainActionFuture<List<Encoded>> startChunks(int most, boolean late, String... texts) {
    ChunkOptions options = new ChunkOptions(Strategy.TOKEN, OptionalInt.of(most), 0);
    Optional<Chunking> chunking = Optional.of(new Chunking(options, late));
    PlainActionFuture<List<Encoded>> future = new PlainActionFuture<>();
    test.service.embed(
        new EncodeRequest(
            "m",
            Stream.of(texts)
                .map(text -> new EncodeRequest.Text(text, Set.of(Output.DENSE), chunking))
                .toList(),
            Side.INGEST,
            Optional.empty(),
            Truncate.NONE),
        future);
    return future;
  }

  private static String words(int count) {
    return IntStream.range(0, count).mapToObj(i -> "n" + i).collect(Collectors.joining(" "));
  }

  public void testADocumentOfMoreChunksThanTheQueueHoldsTakesOnePlace() throws Exception {
    PlainActionFuture<List<Encoded>> blocked = block();
    String text = words(1001);
    PlainActionFuture<List<Encoded>> chunked = startChunks(5, false, text, "a b c", "tokenless");
    PlainActionFuture<List<Encoded>> after = test.start("m", Side.INGEST, "after");
    assertEquals(4, test.service.stats().bulk().queue());
    TestEncoder.GATE.release();
    List<Encoded> answers = chunked.actionGet(10, TimeUnit.SECONDS);
    blocked.actionGet(10, TimeUnit.SECONDS);
    after.actionGet(10, TimeUnit.SECONDS);
    assertEquals(501, answers.get(0).pieces().size());
    assertEquals(2, answers.get(1).pieces().size());
    assertEquals(List.of(), answers.get(2).pieces());
    for (int i = 0; i < 501; i += 100) {
      Encoded.Piece piece = answers.get(0).pieces().get(i);
      String own = i == 500 ? "n1000" : "n" + 2 * i + " n" + (2 * i + 1);
      assertEquals(own, piece.chunk().of(text));
      float[] alone = test.embed("m", Side.INGEST, own).getFirst().vector();
      assertArrayEquals(alone, piece.encoded().vector(), 0);
    }
    // 5 tokens each, 20 chunks to a batch of 100
    assertEquals(1 + 26 + 6, test.stats("m").bulk().batches());
    assertEquals(0, test.service.stats().bulk().queue());
  }

  public void testLateChunksComeFromOneReading() {
    Encoded encoded = startChunks(6, true, "a b c d e f").actionGet().getFirst();
    assertEquals(2, encoded.pieces().size());
    assertEquals(1, test.stats("m").bulk().texts());
    assertEquals(9, encoded.tokens());
  }

  public void testABadChunkIsTheErrorOfItsDocument() throws Exception {
    PlainActionFuture<List<Encoded>> blocked = block();
    PlainActionFuture<List<Encoded>> poison = startChunks(4, false, "a poison b", "c d");
    PlainActionFuture<List<Encoded>> bad = startChunks(4, false, "a untokenizable b");
    PlainActionFuture<List<Encoded>> zero = startChunks(4, false, "a nothing b");
    PlainActionFuture<List<Encoded>> good = startChunks(4, false, "a b c");
    TestEncoder.GATE.release();
    blocked.actionGet(10, TimeUnit.SECONDS);
    assertEquals(3, good.actionGet(10, TimeUnit.SECONDS).getFirst().pieces().size());
    assertThat(failure(poison).getMessage(), equalTo("this text is poisonous"));
    assertThat(failure(bad).getMessage(), equalTo("cannot tokenize this"));
    assertThat(failure(zero).getMessage(), containsString("no usable vector"));
    assertEquals(0, test.service.stats().bulk().queue());
  }

  public void testClosingAnswersForChunksThatWait() throws Exception {
    PlainActionFuture<List<Encoded>> chunked = startChunks(4, false, "blocked " + words(300), "x");
    assertBusy(() -> assertEquals(1, TestEncoder.BLOCKED.get()));
    assertEquals(1, test.service.stats().bulk().queue());
    test.service.close();
    TestEncoder.GATE.release();
    assertThat(failure(chunked).getMessage(), equalTo("the node is closing"));
    assertEquals(0, test.service.stats().bulk().queue());
  }

  public void testUnknownModelLeavesNothingBehind() {
    Throwable e = failure(test.start("missing", Side.INGEST, "a"));
    assertTrue(e instanceof ResourceNotFoundException);
    assertThat(test.service.stats().bulk().queue(), equalTo(0L));
    assertThat(test.service.stats().models().size(), equalTo(0));
  }

  public void testModelsShareTheThreads() throws Exception {
    test.embed("other", Side.INGEST, "open");
    PlainActionFuture<List<Encoded>> blocked = block();
    PlainActionFuture<List<Encoded>> next = test.start("m", Side.INGEST, "blocked");
    PlainActionFuture<List<Encoded>> other = test.start("other", Side.INGEST, "a");
    TestEncoder.GATE.release();
    assertEquals(1, other.actionGet(10, TimeUnit.SECONDS).size());
    blocked.actionGet(10, TimeUnit.SECONDS);
    assertFalse(next.isDone());
    TestEncoder.GATE.release();
    next.actionGet(10, TimeUnit.SECONDS);
  }

  public void testTaggedTextsOfManyCallsShareBatches() throws Exception {
    PlainActionFuture<List<Tags>> blocked = test.startTagging("ner", ALL, "blocked");
    assertBusy(() -> assertEquals(1, TestEncoder.BLOCKED.get()));
    List<PlainActionFuture<List<Tags>>> calls = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      calls.add(test.startTagging("ner", ALL, "Ada Lovelace number n" + i));
    }
    PlainActionFuture<List<Tags>> poison = test.startTagging("ner", ALL, "NASA", "poison");
    assertEquals(102, test.service.stats().bulk().queue());
    TestEncoder.GATE.release();
    blocked.actionGet(10, TimeUnit.SECONDS);
    for (PlainActionFuture<List<Tags>> call : calls) {
      Tags.Entities found = (Tags.Entities) call.actionGet(10, TimeUnit.SECONDS).getFirst();
      assertEquals(List.of(new Entity("Ada Lovelace", "PER", 0.9, 0, 12)), found.entities());
    }
    assertThat(failure(poison).getMessage(), equalTo("this text is poisonous"));
    // 4 words each, 25 texts to a batch of 100: 4 batches; the one of the poison goes one by one.
    WorkStats work = test.stats("ner").bulk();
    assertEquals(102, work.texts());
    assertEquals(1 + 400 + 1, work.tokens());
    assertEquals(1 + 4 + 1, work.batches());
    assertEquals(1, work.failures());
    assertEquals(0, test.service.stats().bulk().queue());
  }

  public void testTagsShareTheQueueOfTheBulkLane() throws Exception {
    PlainActionFuture<List<Encoded>> blocked = block();
    String[] texts = new String[150];
    Arrays.fill(texts, "a");
    PlainActionFuture<List<Tags>> some = test.startTagging("ner", ALL, texts);
    Throwable e = failure(test.startTagging("length", ALL, texts));
    assertEquals(RestStatus.TOO_MANY_REQUESTS, ExceptionsHelper.status(e));
    assertEquals(150, test.service.stats().bulk().rejected());
    TestEncoder.GATE.release();
    blocked.actionGet(10, TimeUnit.SECONDS);
    assertEquals(150, some.actionGet(10, TimeUnit.SECONDS).size());
  }

  public void testSelection() {
    TagSelection two = new TagSelection(0.5, Set.of(), 2);
    Tags.Classes classes =
        (Tags.Classes) test.startTagging("length", two, "a b c d").actionGet().getFirst();
    assertEquals("long", classes.predicted().get().name());
    assertEquals(1, classes.top().size());
    Throwable e = failure(test.startTagging("length", new TagSelection(0, Set.of("LONG"), 0), "a"));
    assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
    assertThat(e.getMessage(), containsString("label [LONG] is not one of the labels"));
    assertEquals(0, test.service.stats().bulk().queue());
  }

  public void testModelsOfTheWrongKind() {
    Throwable e = failure(test.start("ner", Side.INGEST, "a"));
    assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
    assertThat(
        e.getMessage(), equalTo("[ner] is a tagger, expected an encoder: use [lanewise_tag]"));
    assertThat(
        failure(test.start("length", Side.SEARCH, "a")).getMessage(),
        equalTo("[length] is a classifier, expected an encoder: use [lanewise_tag]"));
    assertThat(
        failure(test.startTagging("m", ALL, "a")).getMessage(),
        equalTo("[m] is an encoder, expected a tagger or a classifier: use [lanewise_embed]"));
    assertEquals(0, test.service.stats().bulk().queue());
    assertEquals(0, test.service.stats().models().size());
  }

  public void testHasText() {
    assertTrue(EncodeRequest.hasText(" a "));
    assertTrue(EncodeRequest.hasText("\uD83D\uDE00"));
    for (String empty : List.of("", " \t\n", "\u00a0\u3000", "\u200b\ufeff", "\u0000")) {
      assertFalse(EncodeRequest.hasText(empty));
    }
  }
}
