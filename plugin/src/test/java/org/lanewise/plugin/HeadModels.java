package org.lanewise.plugin;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.elasticsearch.core.PathUtils;

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

  private static final Path GOLDENS =
      PathUtils.get("..", "encoder-core", "src", "test", "resources", "goldens-heads.zip");

  private HeadModels() {}

  /** Writes a golden directory below a directory of models, and returns it. */
  public static Path create(Path models, String name) {
    Path directory = models.resolve(name);
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
    return directory;
  }
}
