package org.lanewise.encoder;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;

/** What classifies texts for a {@link TextClassifier}. Thread-safe until it is closed. */
interface ClassReader extends AutoCloseable {
  /** Returns the scores of each text, or pair of texts. */
  List<ClassScores> classify(List<String> texts, List<Optional<String>> pairs);

  /** Returns the names of the classes. */
  List<String> labels();

  /** Returns how many classes a text has. */
  Choice choice();

  /** Returns the length of a text in what the model reads. */
  int length(String text);

  /** Returns whether the end of the text is not read. */
  boolean cuts(String text);

  /** Returns what computes on one thread. */
  Backend backend();

  /** Returns what the device that computes could not do; empty where the processor computes. */
  Optional<DeviceReport> deviceReport();

  /** Makes the first texts as fast as later ones. */
  void warmUp(Consumer<List<String>> reader);

  @Override
  void close();
}
