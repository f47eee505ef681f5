package org.lanewise.encoder;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.tokenizer.SegmentedText;

/** What labels the words of texts for a {@link TextTagger}. Thread-safe until it is closed. */
interface WordLabeller extends AutoCloseable {
  /**
   * The labels of the words of one text.
   *
   * @param indexes of the labels
   * @param scores probability of each
   */
  record WordLabels(int[] indexes, double[] scores) {}

  /** Returns the names of the labels. */
  List<String> labels();

  /** Returns the parts of a text that are read by themselves, each of at least one word. */
  List<SegmentedText> cut(String text);

  /** Returns the labels of the words of each part. */
  WordLabels[] label(List<SegmentedText> texts);

  /** Runs the body for 0 to {@code count - 1} on all threads. */
  void forEach(int count, IntConsumer body);

  /** Returns what computes on one thread. */
  Backend backend();

  /** Returns what the device that computes could not do; empty where the processor computes. */
  Optional<DeviceReport> deviceReport();

  /** Makes the first texts as fast as later ones. */
  void warmUp(Consumer<List<String>> reader);

  @Override
  void close();
}
