package org.lanewise.plugin.models;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.lanewise.encoder.DeviceReport;
import org.lanewise.encoder.backend.Precision;

/**
 * An open model as the plugin sees it: texts in, one answer for each out. Thread-safe; computes on
 * the calling thread.
 *
 * @param <T> a text as the model reads it
 * @param <R> the answer for a text
 */
public sealed interface Model<T, R> extends AutoCloseable
    permits Encoder, Tagger, Reranker, Answerer {
  /** Returns what the model makes of a text. */
  ModelKind kind();

  /** Returns the length of a text as the model counts. */
  int tokens(T text);

  /** Returns whether the model does not see the end of the text. */
  boolean truncated(T text);

  /** Returns one answer for each text, in order, computed as one batch. */
  List<R> forward(List<T> texts);

  /** Returns the answer for a text from those for the parts that it was read in, in order. */
  default R join(List<R> parts) {
    if (parts.size() != 1) {
      throw new IllegalStateException("a text was read in [" + parts.size() + "] parts");
    }
    return parts.getFirst();
  }

  /** Returns what the model made of the text, in words, where it is of no use. */
  Optional<String> flaw(T text, R answer);

  /** Returns the name of the backend that runs. */
  String backend();

  /** Returns the precision that runs. */
  Precision precision();

  /** Returns what multiplies matrices, as the backend names it. */
  String kernels();

  /** Returns what the device that computes could not do; empty where the processor computes. */
  default Optional<DeviceReport> device() {
    return Optional.empty();
  }

  /** Returns how large a batch of a bulk should be; empty where the settings say it. */
  default OptionalInt bulkTokens() {
    return OptionalInt.empty();
  }

  /** Releases the model's memory; calls still running finish first. */
  @Override
  void close();
}
