package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lanewise.encoder.TokenEmbedder.Role;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.model.SequenceModels;
import org.lanewise.encoder.tokenizer.Tokenizer;
import org.lanewise.encoder.tokenizer.Tokenizers;
import org.lanewise.encoder.weights.DataType;

/**
 * Model directories with one damaged file are refused, or open and read texts, in bounded time and
 * heap. {@code -Dlanewise.seed} and {@code -Dlanewise.hostile.files} set the seed and how many,
 * {@code -Dlanewise.hostile.first} which attempt comes first.
 */
final class HostileFilesTest {
  private static final long SEED = Long.getLong("lanewise.seed", 20261121);

  private static final int FIRST = Integer.getInteger("lanewise.hostile.first", 0);

  /**
   * An attempt takes some milliseconds; the longest honest one reads tables for 262,144 positions.
   */
  private static final long MOST_CPU_NANOS = TimeUnit.SECONDS.toNanos(5);

  /**
   * Of all that an attempt allocates, kept or not: it reads a configuration up to seven times,
   * which takes at most some 25 MB each time.
   */
  private static final long MOST_HEAP = 192 << 20;

  private static final int HANG_SECONDS = 120;

  private static final List<String> ENCODERS =
      List.of(
          "encoders/bert_gelu",
          "encoders/bert_sharded_dense_truncate",
          "encoders/bert_plain_vocab_txt",
          "encoders/bert_multi_pooling_old",
          "encoders/albert",
          "encoders/deberta_v2_conv",
          "encoders/deberta_v3",
          "encoders/distilbert",
          "encoders/eurobert",
          "encoders/gemma3_embedding",
          "encoders/gte_new",
          "encoders/modernbert",
          "encoders/mpnet",
          "encoders/nomic_bert",
          "encoders/qwen3_embedding",
          "heads/colbert_sentence_transformers",
          "heads/colbert_stanford",
          "heads/cross_encoder_sigmoid",
          "heads/masked_lm_splade",
          "heads/sparse_router",
          "heads/sequence_classification_5",
          "heads/token_classification",
          "heads/question_answering");

  private static final List<String> TOKENIZERS =
      List.of(
          "eurobert_llama3", "modernbert", "mpnet", "qwen_embedding", "roberta", "xlmr_converter");

  private static final List<String> TEXTS =
      List.of(
          "Ada Lovelace lived in London.",
          "na\u00efve \ufb03 \ud83d\ude00\u200d\u0000 \u4e2d\u6587 \u0130\u0301 <s>[MASK]</s> ##x",
          "a".repeat(300) + " " + "ab, 12 ".repeat(60));

  @TempDir private Path scratch;

  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  /** Reads texts with whatever a directory holds. */
  private interface Use {
    void of(Path directory) throws IOException;
  }

  /**
   * A directory that opens.
   *
   * @param files its files, which of them is changed being a matter of chance
   */
  private record Victim(String name, Path directory, Map<String, byte[]> files, Use use) {}

  @Test
  void damagedFilesNeverDoHarm() throws Exception {
    damage(Integer.getInteger("lanewise.hostile.files", 3000));
  }

  @Test
  @Tag("slow")
  void aMillionDamagedFilesNeverDoHarm() throws Exception {
    damage(1_000_000);
  }

  private void damage(int attempts) throws Exception {
    List<Victim> victims = victims();
    for (Victim victim : victims) {
      victim.use.of(victim.directory);
    }
    int refused = 0;
    try (ExecutorService worker =
        Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().factory())) {
      for (int attempt = FIRST; attempt < FIRST + attempts; attempt++) {
        refused += attempt(worker, victims, attempt) ? 1 : 0;
      }
    }
    assertTrue(refused > attempts / 3, refused + " of " + attempts + " were refused");
    assertTrue(refused < attempts, "every file was refused");
  }

  /** Returns whether the file was refused. */
  private boolean attempt(ExecutorService worker, List<Victim> victims, int attempt)
      throws Exception {
    Random random = new Random(SEED + 0x9E3779B97F4A7C15L * attempt);
    Victim victim = victims.get(random.nextInt(victims.size()));
    List<String> names = List.copyOf(victim.files.keySet());
    String name = names.get(random.nextInt(names.size()));
    Path file = victim.directory.resolve(name);
    replace(file, new Damage(random).of(name, victim.files.get(name)));
    String which = "seed " + SEED + ", attempt " + attempt + ", " + victim.name + "/" + name;
    Future<Boolean> answer = worker.submit(() -> refused(victim, which));
    try {
      return answer.get(HANG_SECONDS, TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      keep(file, attempt);
      worker.shutdownNow();
      return fail(which + " hangs", e);
    } catch (ExecutionException e) {
      keep(file, attempt);
      return fail(which + ": " + e.getCause(), e.getCause());
    } finally {
      replace(file, victim.files.get(name));
    }
  }

  private boolean refused(Victim victim, String which) throws IOException {
    long heap = threads.getCurrentThreadAllocatedBytes();
    long cpu = threads.getCurrentThreadCpuTime();
    boolean refused = false;
    try {
      victim.use.of(victim.directory);
    } catch (ModelException | IllegalArgumentException e) {
      refused = true;
      assertTrue(e.getMessage() != null && !e.getMessage().isBlank(), which + " without a message");
    }
    long nanos = threads.getCurrentThreadCpuTime() - cpu;
    long allocated = threads.getCurrentThreadAllocatedBytes() - heap;
    assertTrue(nanos < MOST_CPU_NANOS, () -> which + " took " + nanos / 1_000_000 + " ms");
    assertTrue(allocated < MOST_HEAP, () -> which + " allocated " + (allocated >> 20) + " MiB");
    return refused;
  }

  /** A file that is open in memory must not change under it, so it gets a new one of its name. */
  private void replace(Path file, byte[] bytes) throws IOException {
    Path next = Files.write(scratch.resolve("next"), bytes);
    Files.move(next, file, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Leaves a copy of the file that did harm, beside the test's report. */
  private static void keep(Path file, int attempt) throws IOException {
    Path kept = Path.of("target", "hostile-" + attempt + "-" + file.getFileName());
    Files.copy(file, kept, StandardCopyOption.REPLACE_EXISTING);
  }

  private List<Victim> victims() throws IOException {
    List<Victim> victims = new ArrayList<>();
    for (String golden : ENCODERS) {
      Path directory = scratch.resolve(golden);
      Files.createDirectories(directory);
      ModelDirectoryTest.copy(Goldens.path(golden), directory);
      Files.delete(directory.resolve("golden.json"));
      Files.deleteIfExists(directory.resolve("golden.safetensors"));
      victims.add(victim(golden, directory, HostileFilesTest::useEncoder));
    }
    for (String name : TOKENIZERS) {
      Path directory = Files.createDirectories(scratch.resolve("tokenizers/" + name));
      Files.write(
          directory.resolve("tokenizer.json"),
          Files.readAllBytes(Goldens.path("tokenizers/" + name + "/tokenizer.json")));
      victims.add(victim(name, directory, HostileFilesTest::useTokenizer));
    }
    for (Head head : List.of(Head.TAG_CRF, Head.TAG_SOFTMAX)) {
      Path directory = scratch.resolve(head.name());
      List<String> labels = List.of("O", "B-PER", "I-PER", "B-LOC", "I-LOC");
      write(directory, SequenceModels.ofWords(RecurrentCell.LSTM, head, labels, 1));
      victims.add(victim(head.name(), directory, HostileFilesTest::useTagger));
    }
    for (Head head : List.of(Head.CLASS_ADDITIVE_ATTENTION, Head.CLASS_MAX)) {
      Path directory = scratch.resolve(head.name());
      write(directory, SequenceModels.ofCharacters(head, List.of("good", "bad"), 2));
      victims.add(victim(head.name(), directory, HostileFilesTest::useClassifier));
    }
    return victims;
  }

  private static void write(Path directory, SequenceModels.Model model) throws IOException {
    SequenceModelDirectory.write(
        directory, model.config(), model.vocabularies(), model.weights(), DataType.F32);
  }

  private static Victim victim(String name, Path directory, Use use) throws IOException {
    Map<String, byte[]> files = new TreeMap<>();
    try (Stream<Path> all = Files.walk(directory)) {
      for (Path file : all.filter(Files::isRegularFile).toList()) {
        files.put(directory.relativize(file).toString(), Files.readAllBytes(file));
      }
    }
    return new Victim(name, directory, files, use);
  }

  private static EmbedderOptions options() {
    return EmbedderOptions.defaults().withBackend("scalar").withThreads(1);
  }

  private static void useTokenizer(Path directory) throws IOException {
    try {
      Tokenizer tokenizer = Tokenizers.fromJson(directory.resolve("tokenizer.json"));
      for (String text : TEXTS) {
        tokenizer.decode(tokenizer.encode(text).ids(), false);
      }
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static void useEncoder(Path directory) {
    ModelDirectory.holdsEncoder(directory);
    ModelDirectory.trainedHead(directory);
    try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(directory), options())) {
      List<Runnable> uses =
          List.of(
              () -> embedder.embed(TEXTS),
              () -> embedder.forwardTokens(List.of(embedder.encode(TEXTS.getFirst(), ""))),
              () -> {
                SparseEmbedder sparse = SparseEmbedder.over(embedder);
                sparse.tokens(sparse.embed(TEXTS).getFirst());
                sparse.tokens(sparse.embedQuery(TEXTS.getLast(), ""));
              },
              () -> {
                TokenEmbedder tokens = TokenEmbedder.over(embedder);
                tokens.embed(TEXTS, Role.QUERY);
                tokens.embed(TEXTS, Role.DOCUMENT);
              },
              () -> TextReranker.over(embedder).score(List.of("Who?"), List.of(TEXTS.getFirst())),
              () -> AnswerFinder.over(embedder).answer("Who lived?", TEXTS.getLast(), 5));
      useAll(uses);
    }
    if (ModelDirectory.trainedHead(directory).isPresent()) {
      useAll(List.of(() -> useTagger(directory), () -> useClassifier(directory)));
    }
  }

  /** A model need not be good for everything; what it is not good for it says. */
  private static void useAll(List<Runnable> uses) {
    for (Runnable use : uses) {
      try {
        use.run();
      } catch (ModelException | IllegalArgumentException e) {
        assertTrue(e.getMessage() != null, "refused without a message");
      }
    }
  }

  private static void useTagger(Path directory) {
    try (TextTagger tagger = TextTagger.open(directory, options(), HostileFilesTest::noEncoder)) {
      tagger.tag(TEXTS);
    }
  }

  private static void useClassifier(Path directory) {
    try (TextClassifier classifier =
        TextClassifier.open(directory, options(), HostileFilesTest::noEncoder)) {
      classifier.classify(TEXTS);
    }
  }

  private static TextEmbedder noEncoder(String id) {
    throw new ModelException("there is no encoder [" + id + "]");
  }
}
