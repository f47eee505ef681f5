package org.lanewise.encoder;

import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import org.lanewise.encoder.head.SentenceModule;
import org.lanewise.encoder.model.BertConfig;
import org.lanewise.encoder.tokenizer.Tokenizer;
import org.lanewise.encoder.weights.Weights;

/**
 * A model directory as Hugging Face and sentence-transformers write it, opened and checked. Weights
 * stay mapped until {@link #close()}. Thread-safe.
 */
public final class ModelDirectory implements AutoCloseable {
  private ModelDirectory() {}

  /** Opens and checks the directory; throws {@link ModelException} naming every problem. */
  public static ModelDirectory open(Path directory) {
    throw new UnsupportedOperationException();
  }

  /** Opens only the tokenizer: tokenizer.json, or vocab.txt with tokenizer_config.json, is enough. */
  public static Tokenizer openTokenizer(Path directory) {
    throw new UnsupportedOperationException();
  }

  /** Returns where the directory is. */
  public Path path() {
    throw new UnsupportedOperationException();
  }

  public BertConfig config() {
    throw new UnsupportedOperationException();
  }

  public Tokenizer tokenizer() {
    throw new UnsupportedOperationException();
  }

  /** Returns the tensors by canonical name: prefix removed, gamma/beta renamed, shapes checked. */
  public Weights weights() {
    throw new UnsupportedOperationException();
  }

  /** Returns the steps after the encoder in order; empty where the directory states none. */
  public List<SentenceModule> sentenceModules() {
    throw new UnsupportedOperationException();
  }

  public Prompts prompts() {
    throw new UnsupportedOperationException();
  }

  /** Returns {@code truncate_dim} of config_sentence_transformers.json. */
  public OptionalInt truncateDimensions() {
    throw new UnsupportedOperationException();
  }

  /** Returns the most tokens of a text, special tokens included. */
  public int maxLength() {
    throw new UnsupportedOperationException();
  }

  /** Returns whether texts are lower-cased before tokenizing (sentence_bert_config.json). */
  public boolean lowerCase() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}
}
