package org.lanewise.plugin.models;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.lanewise.encoder.AnswerFinder;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.MemoryBudget;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextReranker;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.head.TrainedHead;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.plugin.LanewiseSettings;

/** Opens model directories with {@code encoder-core}, on the node's backend and precision. */
public final class LibraryOpener implements ModelOpener {
  private final EmbedderOptions options;
  private final int threads;

  /**
   * Creates an opener for a node.
   *
   * @param memory what the models' memory is taken from
   */
  public LibraryOpener(LanewiseSettings settings, MemoryBudget memory) {
    // One thread: the plugin's pools bring the parallelism, and a model that starts no threads
    // needs no entitlement to do so.
    options =
        EmbedderOptions.defaults()
            .withBackend(settings.backend())
            .withPrecision(settings.precision())
            .withThreads(1)
            .withBatchTokens(settings.batchTokens())
            .withMemory(memory);
    threads = settings.threads();
  }

  @Override
  public Outline outline(Path directory) {
    Optional<SequenceModelDirectory.Kind> kind = SequenceModelDirectory.kind(directory);
    if (kind.isEmpty()) {
      return new Outline(
          ModelDirectory.trainedHead(directory).map(LibraryOpener::kind).orElse(ModelKind.ENCODER),
          Set.of());
    }
    return new Outline(
        switch (kind.get()) {
          case TAGGER -> ModelKind.TAGGER;
          case CLASSIFIER -> ModelKind.CLASSIFIER;
        },
        encoders(directory));
  }

  private static ModelKind kind(TrainedHead head) {
    return switch (head.kind()) {
      case TOKEN_CLASSIFICATION -> ModelKind.TAGGER;
      case SEQUENCE_CLASSIFICATION ->
          head.outputs() == 1 ? ModelKind.RERANKER : ModelKind.CLASSIFIER;
      case QUESTION_ANSWERING -> ModelKind.ANSWERER;
      case MASKED_LM, NEXT_SENTENCE -> ModelKind.ENCODER;
    };
  }

  private static Set<String> encoders(Path directory) {
    return SequenceModelDirectory.config(directory).inputs().stream()
        .filter(SequenceInput.EncoderVectors.class::isInstance)
        .map(input -> ((SequenceInput.EncoderVectors) input).model())
        .collect(Collectors.toSet());
  }

  @Override
  public Model<?, ?> open(Path directory, Map<String, Encoder> encoders) {
    Function<String, TextEmbedder> shared = id -> ((LibraryEncoder) encoders.get(id)).embedder();
    return switch (outline(directory).kind()) {
      case ENCODER -> LibraryEncoder.open(encoder(directory));
      case TAGGER -> {
        TextTagger tagger = TextTagger.open(directory, options, shared);
        yield warmed(new LibraryTagger(tagger, encoders.keySet()), tagger::warmUp);
      }
      case CLASSIFIER -> {
        TextClassifier classifier = TextClassifier.open(directory, options, shared);
        yield warmed(new LibraryClassifier(classifier, encoders.keySet()), classifier::warmUp);
      }
      case RERANKER ->
          headed(directory, encoder -> new LibraryReranker(encoder, TextReranker.over(encoder)));
      case ANSWERER ->
          headed(directory, encoder -> new LibraryAnswerer(encoder, AnswerFinder.over(encoder)));
    };
  }

  private TextEmbedder encoder(Path directory) {
    return TextEmbedder.open(ModelDirectory.open(directory), options, threads);
  }

  /** Returns a model that is a head over an encoder of its own. */
  private Model<?, ?> headed(Path directory, Function<TextEmbedder, Model<?, ?>> head) {
    TextEmbedder encoder = encoder(directory);
    try {
      encoder.warmUp();
      return head.apply(encoder);
    } catch (RuntimeException e) {
      encoder.close();
      throw e;
    }
  }

  private static Tagger warmed(Tagger model, Runnable warmUp) {
    try {
      warmUp.run();
      return model;
    } catch (RuntimeException e) {
      model.close();
      throw e;
    }
  }
}
