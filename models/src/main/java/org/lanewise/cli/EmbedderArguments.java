package org.lanewise.cli;

import java.nio.file.Path;
import java.util.Locale;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.model.SequenceModelDirectory;
import picocli.CommandLine.Option;

/** The options of every command that computes vectors. */
final class EmbedderArguments {
  @Option(
      names = "--model",
      required = true,
      paramLabel = "M",
      description = "A model directory, or the id of a bundled model such as lanewise-mini-en.")
  private String model;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      description = "auto, scalar, vector or cuda; one asked for by name starts or fails.")
  private String backend;

  @Option(
      names = "--precision",
      paramLabel = "P",
      description = "Number format of the weights: auto, fp32, bf16 or int8.")
  private String precision;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that compute; all processors unless given.")
  private Integer threads;

  /** Returns the defaults, system properties included, with these options in their place. */
  EmbedderOptions options() {
    EmbedderOptions options = EmbedderOptions.defaults();
    if (backend != null) {
      options = options.withBackend(backend);
    }
    if (precision != null) {
      options = options.withPrecision(EmbedderOptions.precision(precision));
    }
    return threads == null ? options : options.withThreads(threads);
  }

  /** Returns where the model is. */
  Path path() {
    return BundledModels.locate(model);
  }

  /** Returns the opened directory of an encoder. */
  ModelDirectory directory() {
    Path path = path();
    SequenceModelDirectory.kind(path)
        .ifPresent(
            kind -> {
              throw new ModelException(
                  "model ["
                      + model
                      + "] is a "
                      + kind.name().toLowerCase(Locale.ROOT)
                      + ", expected an encoder; use lanewise "
                      + (kind == SequenceModelDirectory.Kind.TAGGER ? "tag" : "classify"));
            });
    return ModelDirectory.open(path);
  }

  /** Returns an embedder over the model. */
  TextEmbedder open(EmbedderOptions options) {
    return TextEmbedder.open(directory(), options);
  }
}
