package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.head.AttentionPooling;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.head.SequenceClassifier;
import org.lanewise.encoder.head.SequencePooling;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.WordSegmenter;

/**
 * Classifies texts by a recurrent network. A text is read whole: as words of {@link WordSegmenter}
 * or as code points, as the model says. Of more than 512 words or 2048 code points, parts of equal
 * length are classified, whose scores are averaged as {@link ClassScores#mean} says, weighted by
 * length. A text without words is classified by the head's bias alone: what the model believes
 * before it reads.
 */
final class RecurrentClassifier implements ClassReader {
  private static final int MOST_WORDS = 512;
  private static final int MOST_CHARACTERS = 2048;

  private final SequenceRunner runner;
  private final PreparedHead<SequenceRunner, SequenceClassifier> head;

  private RecurrentClassifier(SequenceRunner runner) {
    this.runner = runner;
    SequenceModelConfig config = runner.config();
    head =
        runner.prepare(
            (backend, arena) ->
                new SequenceClassifier(
                    runner.weights().in("head"),
                    pooling(runner, backend, arena),
                    config.choice(),
                    config.labels(),
                    config.recurrent().outputSize()));
  }

  private static SequencePooling pooling(SequenceRunner runner, Backend backend, Arena arena) {
    SequenceModelConfig config = runner.config();
    int states = config.recurrent().outputSize();
    return switch (config.head()) {
      case CLASS_LAST -> new SequencePooling.LastStates(config.recurrent().directions());
      case CLASS_MEAN -> new SequencePooling.Reduction(PoolingMode.MEAN);
      case CLASS_MAX -> new SequencePooling.Reduction(PoolingMode.MAX);
      case CLASS_ADDITIVE_ATTENTION ->
          AttentionPooling.additive(backend, arena, runner.weights().in("pooling"), states);
      case CLASS_DOT_ATTENTION -> AttentionPooling.dot(runner.weights().in("pooling"), states);
      case TAG_SOFTMAX, TAG_CRF ->
          throw new IllegalStateException("a tagger was opened as a classifier");
    };
  }

  static RecurrentClassifier open(
      Path directory, EmbedderOptions options, Function<String, TextEmbedder> encoders) {
    Backend backend = SequenceRunner.backend(options.backend(), options);
    return open(directory, options, encoders, backend);
  }

  static RecurrentClassifier open(
      Path directory,
      EmbedderOptions options,
      Function<String, TextEmbedder> encoders,
      Backend backend) {
    SequenceRunner runner =
        SequenceRunner.open(
            directory, SequenceModelDirectory.Kind.CLASSIFIER, options, encoders, backend);
    try {
      return new RecurrentClassifier(runner);
    } catch (IllegalArgumentException e) {
      runner.close();
      throw new ModelException(directory, List.of(String.valueOf(e.getMessage())));
    } catch (RuntimeException | Error e) {
      runner.close();
      throw e;
    }
  }

  @Override
  public List<ClassScores> classify(List<String> texts, List<Optional<String>> pairs) {
    if (pairs.stream().anyMatch(Optional::isPresent)) {
      throw new IllegalArgumentException(
          "a text has a [pair], expected single texts: the model of ["
              + runner.path()
              + "] reads no pairs");
    }
    List<List<SegmentedText>> cut = new ArrayList<>(Collections.nCopies(texts.size(), List.of()));
    runner.forEach(texts.size(), i -> cut.set(i, parts(texts.get(i))));
    List<SegmentedText> parts = cut.stream().flatMap(List::stream).toList();
    ClassScores[] read = read(parts);
    List<ClassScores> answers = new ArrayList<>();
    int part = 0;
    for (List<SegmentedText> text : cut) {
      List<ClassScores> scores = List.of(read).subList(part, part + text.size());
      part += text.size();
      answers.add(
          switch (scores.size()) {
            case 0 -> head.any().prior();
            case 1 -> scores.getFirst();
            default ->
                ClassScores.mean(scores, text.stream().mapToDouble(SegmentedText::words).toArray());
          });
    }
    return answers;
  }

  private List<SegmentedText> parts(String text) {
    SegmentedText read = segmented(text);
    int count = Math.ceilDiv(read.words(), readsWords() ? MOST_WORDS : MOST_CHARACTERS);
    List<SegmentedText> parts = new ArrayList<>();
    for (long i = 0; i < count; i++) {
      parts.add(
          read.part((int) (i * read.words() / count), (int) ((i + 1) * read.words() / count)));
    }
    return parts;
  }

  private boolean readsWords() {
    return runner.config().unit() == SequenceModelConfig.Unit.WORD;
  }

  private SegmentedText segmented(String text) {
    return readsWords() ? WordSegmenter.words(text) : SegmentedText.characters(text);
  }

  /** Classifies texts of at least one word, as they are. */
  private ClassScores[] read(List<SegmentedText> texts) {
    ClassScores[] read = new ClassScores[texts.size()];
    runner.run(
        texts,
        (computed, positions, starts, states) -> {
          Backend backend = computed.alone();
          try (Arena call = backend.callMemory()) {
            List<ClassScores> scores =
                head.on(computed).forward(backend, call, states, PackedBatch.of(starts));
            for (int i = 0; i < positions.size(); i++) {
              read[positions.get(i)] = scores.get(i);
            }
          }
        });
    return read;
  }

  @Override
  public List<String> labels() {
    return runner.config().labels();
  }

  @Override
  public Choice choice() {
    return runner.config().choice();
  }

  @Override
  public int length(String text) {
    return segmented(text).words();
  }

  @Override
  public boolean cuts(String text) {
    return false;
  }

  @Override
  public Backend backend() {
    return runner.alone();
  }

  @Override
  public Optional<DeviceReport> deviceReport() {
    return runner.deviceReport();
  }

  @Override
  public void warmUp(Consumer<List<String>> reader) {
    runner.warmUp(reader);
  }

  @Override
  public void close() {
    runner.close();
  }
}
