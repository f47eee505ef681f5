package org.lanewise.encoder;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.head.ClassScores;

/** Says to which class each text belongs. Thread-safe until it is closed. */
public final class TextClassifier implements AutoCloseable {
  /**
   * Opens a directory.
   *
   * @param encoders finds the encoder of an id; what it returns is shared, and closed by its owner
   * @throws ModelException naming what is wrong and the cure
   */
  public static TextClassifier open(
      Path directory, EmbedderOptions options, Function<String, TextEmbedder> encoders) {
    throw new UnsupportedOperationException();
  }

  /** Returns the probabilities of all classes for each text. */
  public List<ClassScores> classify(List<String> texts) {
    throw new UnsupportedOperationException();
  }

  /** Returns the names of the classes. */
  public List<String> labels() {
    throw new UnsupportedOperationException();
  }

  /** Returns the length of a text in words or characters, whichever the model reads. */
  public int length(String text) {
    throw new UnsupportedOperationException();
  }

  /** Returns the name of the backend that runs: {@code vector} or {@code scalar}. */
  public String backend() {
    throw new UnsupportedOperationException();
  }

  /** Returns the precision that runs. */
  public Precision precision() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {
    throw new UnsupportedOperationException();
  }
}
