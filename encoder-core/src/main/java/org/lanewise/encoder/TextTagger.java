package org.lanewise.encoder;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.tokenizer.SegmentedText;

/** Finds spans, or a tag for each word, in texts. Thread-safe until it is closed. */
public final class TextTagger implements AutoCloseable {
  /**
   * A tagged piece of a text: a span where the labels are of the BIO family, else a word.
   *
   * @param text the piece as it stands in the text
   * @param label class of the span, or tag of the word
   * @param probability mean of the probabilities of its words' labels
   * @param start first UTF-16 unit in the text
   * @param end the UTF-16 unit after it
   */
  public record Entity(String text, String label, double probability, int start, int end) {}

  /**
   * Opens a directory.
   *
   * @param encoders finds the encoder of an id; what it returns is shared, and closed by its owner
   * @throws ModelException naming what is wrong and the cure
   */
  public static TextTagger open(
      Path directory, EmbedderOptions options, Function<String, TextEmbedder> encoders) {
    throw new UnsupportedOperationException();
  }

  /** Returns the entities of each text, in order. */
  public List<List<Entity>> tag(List<String> texts) {
    throw new UnsupportedOperationException();
  }

  /** Returns the label of each word of texts that are already cut into words, none cut further. */
  public List<List<String>> labels(List<SegmentedText> texts) {
    throw new UnsupportedOperationException();
  }

  /** Returns what {@link Entity#label} may be: the names of the labels without their prefixes. */
  public List<String> classes() {
    throw new UnsupportedOperationException();
  }

  /** Returns the names of the labels. */
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
