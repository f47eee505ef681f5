package org.lanewise.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.model.RecurrentConfig;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelDirectory;

/** What {@code inspect} says of a tagger or classifier. */
final class SequenceModelReport {
  private SequenceModelReport() {}

  /**
   * Describes the directory.
   *
   * @throws ModelException if it cannot be used, whatever the encoder that it may read
   */
  static void describe(ObjectNode report, Path path) throws IOException {
    try (Arena arena = Arena.ofShared()) {
      SequenceModelDirectory directory = SequenceModelDirectory.open(path, arena);
      SequenceModelConfig config = directory.config();
      report.put("family", directory.kind().modelType());
      report.put("unit", config.unit().name().toLowerCase(Locale.ROOT));
      ArrayNode inputs = report.putArray("inputs");
      for (int i = 0; i < config.inputs().size(); i++) {
        inputs.add(described(config.inputs().get(i), directory.vocabularies().get(i).size()));
      }
      report.put("recurrent", described(config.recurrent()));
      report.put("head", config.head().name().toLowerCase(Locale.ROOT));
      if (!config.tagger()) {
        report.put("choice", config.choice().name().toLowerCase(Locale.ROOT));
      }
      report.set("labels", InspectCommand.texts(config.labels().stream()));
      report.put("parameters", directory.parameters());
      report.put("disk_bytes", InspectCommand.diskBytes(path));
      report.put("weight_memory_bytes", directory.weightBytes());
    }
    describeRun(report, path, EmbedderOptions.defaults());
    report.putArray("problems");
  }

  private static String described(SequenceInput input, int vocabulary) {
    return switch (input) {
      case SequenceInput.WordVectors words ->
          words.size() + " trained numbers for each of " + vocabulary + " words";
      case SequenceInput.StaticVectors words ->
          words.size() + " numbers made elsewhere for each of " + vocabulary + " words";
      case SequenceInput.Characters characters ->
          described(characters.recurrent()) + " over " + vocabulary + " characters";
      case SequenceInput.EncoderVectors vectors ->
          vectors.size()
              + " numbers of layer "
              + vectors.layer()
              + " of encoder ["
              + vectors.model()
              + "], SHA-256 "
              + vectors.fingerprint();
    };
  }

  private static String described(RecurrentConfig recurrent) {
    return recurrent.cell().name().toLowerCase(Locale.ROOT)
        + ", "
        + recurrent.layers()
        + (recurrent.layers() == 1 ? " layer, " : " layers, ")
        + recurrent.inputSize()
        + " -> "
        + recurrent.hiddenSize()
        + (recurrent.bidirectional() ? " in each of both directions" : "");
  }

  /** Opens the model as it would run, encoder included. */
  private static void describeRun(ObjectNode report, Path path, EmbedderOptions options) {
    boolean tagger =
        SequenceModelDirectory.kind(path)
            .filter(SequenceModelDirectory.Kind.TAGGER::equals)
            .isPresent();
    try (Encoders encoders = new Encoders(path, Optional.empty(), options)) {
      if (tagger) {
        try (TextTagger opened = TextTagger.open(path, options, encoders)) {
          report.put("entities", opened.spans() ? "spans" : "words");
          putRun(report, opened.backend(), opened.precision());
        }
      } else {
        try (TextClassifier opened = TextClassifier.open(path, options, encoders)) {
          putRun(report, opened.backend(), opened.precision());
        }
      }
    }
    report.put("threads", options.threads());
    report.put("batch_tokens", options.batchTokens());
  }

  private static void putRun(ObjectNode report, String backend, Precision precision) {
    report.put("backend", backend);
    report.put(
        "backend_reason",
        InspectCommand.backendReason(
            EmbedderOptions.defaults(), Backends.vectorApiPresent(), Optional.empty()));
    report.put("precision", precision.label());
  }
}
