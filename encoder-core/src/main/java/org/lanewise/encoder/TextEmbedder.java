package org.lanewise.encoder;

import java.util.List;
import org.lanewise.encoder.backend.Precision;

/** Turns texts into vectors. Thread-safe. */
public final class TextEmbedder implements AutoCloseable {
  private TextEmbedder() {}

  /** Opens an embedder over the directory, which it closes with itself. */
  public static TextEmbedder open(ModelDirectory directory, EmbedderOptions options) {
    throw new UnsupportedOperationException();
  }

  /** Returns the length of the vectors. */
  public int dimensions() {
    throw new UnsupportedOperationException();
  }

  /** Returns the most tokens of one text, special tokens included. */
  public int maxLength() {
    throw new UnsupportedOperationException();
  }

  /** Returns the model's prompts. */
  public Prompts prompts() {
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

  /** Returns the tokens of prompt and text, cut to {@link #maxLength()}. */
  public EncodedText encode(String text, String prompt) {
    throw new UnsupportedOperationException();
  }

  /**
   * Returns the vectors of one packed batch, computed on the calling thread alone; several threads
   * may call at once. Batches are not split: the caller chooses their size.
   */
  public float[][] forward(List<EncodedText> texts) {
    throw new UnsupportedOperationException();
  }

  /** Like {@link #forward}, with the embedder's idle threads helping: for single queries. */
  public float[][] forwardShared(List<EncodedText> texts) {
    throw new UnsupportedOperationException();
  }

  /** Returns the vectors of the texts, in order, using the embedder's threads. */
  public List<Embedding> embed(List<String> texts, String prompt) {
    throw new UnsupportedOperationException();
  }

  /** Releases memory and threads; calls still running finish first. */
  @Override
  public void close() {}
}
