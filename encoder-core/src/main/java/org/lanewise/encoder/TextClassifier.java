package org.lanewise.encoder;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.model.SequenceModelConfig;

/**
 * Says to which class, or to which of many, each text belongs. Thread-safe until it is closed.
 *
 * <p>Recurrent classifiers read a text whole, in parts where it is long. Encoders that were trained
 * to classify read as much of a text, or of a pair of texts, as their length allows, as
 * transformers does.
 */
public final class TextClassifier implements AutoCloseable {
  private final ClassReader reader;

  private TextClassifier(ClassReader reader) {
    this.reader = reader;
  }

  /**
   * Opens a directory.
   *
   * @param encoders finds the encoder of an id; what it returns is shared, and closed by its owner
   * @throws ModelException naming what is wrong and the cure
   */
  public static TextClassifier open(
      Path directory, EmbedderOptions options, Function<String, TextEmbedder> encoders) {
    return new TextClassifier(
        ModelDirectory.holdsEncoder(directory)
            ? EncoderClassifier.open(directory, options)
            : RecurrentClassifier.open(directory, options, encoders));
  }

  /** Returns the probabilities of all classes for each text. */
  public List<ClassScores> classify(List<String> texts) {
    return classify(texts, Collections.nCopies(texts.size(), Optional.empty()));
  }

  /**
   * Like {@link #classify(List)}, for texts of which some have a second text.
   *
   * @param pairs the second text of each text; as many as texts
   * @throws IllegalArgumentException if there is a pair and the model reads none
   */
  public List<ClassScores> classify(List<String> texts, List<Optional<String>> pairs) {
    return reader.classify(texts, pairs);
  }

  /** Returns the names of the classes. */
  public List<String> labels() {
    return reader.labels();
  }

  /** Returns how many classes a text has. */
  public SequenceModelConfig.Choice choice() {
    return reader.choice();
  }

  /** Returns the length of a text in words, code points or tokens, whichever the model reads. */
  public int length(String text) {
    return reader.length(text);
  }

  /**
   * Returns whether the text is longer than the model reads, so that its end counts for nothing.
   */
  public boolean cuts(String text) {
    return reader.cuts(text);
  }

  /** Returns the name of the backend that runs: {@code vector} or {@code scalar}. */
  public String backend() {
    return reader.backend().name();
  }

  /** Returns the precision of the network that runs, not of an encoder that it reads. */
  public Precision precision() {
    return reader.backend().precision();
  }

  /** Returns what the device that computes could not do; empty where the processor computes. */
  public Optional<DeviceReport> deviceReport() {
    return reader.deviceReport();
  }

  /** Returns what multiplies matrices: {@link Backend#kernels()}. */
  public String kernels() {
    return reader.backend().kernels();
  }

  /**
   * Makes the first texts as fast as later ones; for servers, before they answer. Takes up to two
   * seconds in a fresh JVM.
   */
  public void warmUp() {
    reader.warmUp(this::classify);
  }

  @Override
  public void close() {
    reader.close();
  }
}
