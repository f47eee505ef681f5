package org.lanewise.plugin;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.elasticsearch.core.PathUtils;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.SafetensorsWriter;
import org.lanewise.encoder.weights.Tensor;

/** Directories of tiny fine-tuned encoders with random weights, the goldens of the library. */
public final class HeadModels {
  /** Five labels in the scheme of IOB2; at most 15 tokens at once. */
  public static final String TAGGER = "token_classification";

  /** Five classes; at most 20 tokens. */
  public static final String CLASSIFIER = "sequence_classification_5";

  /** A cross-encoder whose scores lie between 0 and 1; at most 20 tokens. */
  public static final String RERANKER = "cross_encoder_sigmoid";

  /** A cross-encoder whose scores are logits; at most 20 tokens. */
  public static final String SIGNED_RERANKER = "xlm_roberta_reranker";

  /** Finds answers; at most 15 tokens at once. */
  public static final String ANSWERER = "question_answering";

  /** Weighs tokens. */
  public static final String SPLADE = "masked_lm_splade";

  /** Makes vectors of tokens. */
  public static final String COLBERT = "colbert_sentence_transformers";

  private static final Path GOLDENS =
      PathUtils.get("..", "encoder-core", "src", "test", "resources", "goldens-heads.zip");

  private HeadModels() {}

  /** Writes a golden directory below a directory of models, under its own name. */
  public static void create(Path models, String name) {
    copy(name, models.resolve(name));
  }

  /** Writes a golden directory. */
  public static void copy(String name, Path directory) {
    String prefix = "heads/" + name + "/";
    try (InputStream file = Files.newInputStream(GOLDENS);
        ZipInputStream zip = new ZipInputStream(file)) {
      for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
        if (entry.getName().startsWith(prefix) && !entry.isDirectory()) {
          Path target = directory.resolve(entry.getName().substring(prefix.length()));
          Files.createDirectories(target.getParent());
          Files.copy(zip, target);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Lets a golden directory make vectors too: the mean of its tokens. */
  public static void addPooling(Path directory, int hiddenSize) {
    try {
      Files.writeString(
          directory.resolve("modules.json"),
          """
          [{"idx": 0, "name": "0", "path": "",
            "type": "sentence_transformers.models.Transformer"},
          {"idx": 1, "name": "1", "path": "1_Pooling",
            "type": "sentence_transformers.models.Pooling"}]
          """);
      Path pooling = Files.createDirectory(directory.resolve("1_Pooling"));
      Files.writeString(
          pooling.resolve("config.json"),
          "{\"word_embedding_dimension\": " + hiddenSize + ", \"pooling_mode_mean_tokens\": true}");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Lets a golden model read 96 tokens at once, by the vectors of its positions over and over; its
   * answers are no golden ones any more.
   */
  public static void lengthen(Path directory) {
    int positions = 96;
    Path file = directory.resolve("model.safetensors");
    String name = "bert.embeddings.position_embeddings.weight";
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Tensor> tensors = new HashMap<>(Safetensors.open(file, arena).tensors());
      Tensor few = tensors.get(name);
      MemorySegment many =
          arena.allocate(few.data().byteSize() / few.shape()[0] * positions, Float.BYTES);
      for (long at = 0; at < many.byteSize(); at += few.data().byteSize()) {
        long part = Math.min(few.data().byteSize(), many.byteSize() - at);
        MemorySegment.copy(few.data(), 0, many, at, part);
      }
      tensors.put(name, new Tensor(name, few.type(), new long[] {positions, few.shape()[1]}, many));
      Path longer = directory.resolve("longer.safetensors");
      SafetensorsWriter.write(longer, tensors, few.type());
      Files.move(longer, file, StandardCopyOption.REPLACE_EXISTING);
      for (String each :
          List.of("config.json", "tokenizer_config.json", "sentence_bert_config.json")) {
        Path json = directory.resolve(each);
        if (Files.exists(json)) {
          Files.writeString(
              json,
              Files.readString(json)
                  .replaceAll(
                      "\"(max_position_embeddings|model_max_length|max_seq_length)\": \\d+",
                      "\"$1\": " + positions));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
