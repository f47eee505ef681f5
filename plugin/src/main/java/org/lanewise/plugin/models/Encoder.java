package org.lanewise.plugin.models;

import java.nio.file.Path;
import java.util.List;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.Prompts;

/** An open model as the plugin sees it. Thread-safe; computes on the calling thread. */
public interface Encoder extends AutoCloseable {

  /** Opens model directories. */
  @FunctionalInterface
  interface Opener {
    /** Returns the open model of a directory, or throws an error that says what is wrong. */
    Encoder open(Path directory);
  }

  /** Returns the tokens of prompt and text, cut to {@link #maxLength()}. */
  EncodedText encode(String text, String prompt);

  /** Returns how many tokens prompt and text have uncut, special tokens included. */
  int countTokens(String text, String prompt);

  /** Returns one vector for each text, computed as one batch. */
  float[][] forward(List<EncodedText> texts);

  /** Returns the length of the vectors. */
  int dimensions();

  /** Returns the most tokens of one text, special tokens included. */
  int maxLength();

  /** Returns the model's prompts. */
  Prompts prompts();

  /** Returns the model family, such as {@code bert}. */
  String family();

  /** Returns the name of the backend that runs. */
  String backend();

  /** Returns the precision that runs. */
  Precision precision();

  /** Releases the model's memory; calls still running finish first. */
  @Override
  void close();
}
