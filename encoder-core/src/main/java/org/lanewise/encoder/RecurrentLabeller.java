package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.head.LabelConstraints;
import org.lanewise.encoder.head.LinearChainCrf;
import org.lanewise.encoder.head.Spans;
import org.lanewise.encoder.head.TaggingHead;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.WordSegmenter;

/**
 * Labels words by a recurrent network, sentence by sentence. A sentence of more than 256 words is
 * read in windows: a window ends where no span is open, with words behind it that the network has
 * seen, and the next one begins there.
 */
final class RecurrentLabeller implements WordLabeller {
  private static final int WINDOW = 256;

  /** Words at the end of a window that are read again, because they lack what follows them. */
  private static final int MARGIN = 32;

  private final SequenceRunner runner;
  private final PreparedHead<SequenceRunner, TaggingHead> head;
  private final List<String> labels;
  private final boolean spans;

  private RecurrentLabeller(SequenceRunner runner) {
    this.runner = runner;
    labels = runner.config().labels();
    spans = Spans.mark(labels);
    Optional<LinearChainCrf> crf =
        runner.config().head() == SequenceModelConfig.Head.TAG_CRF
            ? Optional.of(
                new LinearChainCrf(runner.weights().in("crf"), labels.size())
                    .constrained(LabelConstraints.of(labels)))
            : Optional.empty();
    head =
        runner.prepare(
            (backend, arena) ->
                new TaggingHead(
                    backend,
                    arena,
                    runner.weights().in("head"),
                    labels.size(),
                    runner.config().recurrent().outputSize(),
                    crf));
  }

  static RecurrentLabeller open(
      Path directory, EmbedderOptions options, Function<String, TextEmbedder> encoders) {
    Backend backend = SequenceRunner.backend(options.backend(), options);
    return open(directory, options, encoders, backend);
  }

  static RecurrentLabeller open(
      Path directory,
      EmbedderOptions options,
      Function<String, TextEmbedder> encoders,
      Backend backend) {
    SequenceRunner runner =
        SequenceRunner.open(
            directory, SequenceModelDirectory.Kind.TAGGER, options, encoders, backend);
    try {
      if (runner.config().unit() != SequenceModelConfig.Unit.WORD) {
        throw new ModelException(
            directory, List.of("config.json: [unit] is character, expected word for a tagger"));
      }
      return new RecurrentLabeller(runner);
    } catch (IllegalArgumentException e) {
      runner.close();
      throw new ModelException(directory, List.of(String.valueOf(e.getMessage())));
    } catch (RuntimeException | Error e) {
      runner.close();
      throw e;
    }
  }

  @Override
  public List<String> labels() {
    return labels;
  }

  @Override
  public List<SegmentedText> cut(String text) {
    return WordSegmenter.sentences(text);
  }

  @Override
  public void forEach(int count, IntConsumer body) {
    runner.forEach(count, body);
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

  /**
   * A part of a text that is to be read.
   *
   * @param from its first word
   * @param words how many words it has, if the text has as many
   */
  private record Window(int text, int from, int words) {}

  @Override
  public WordLabels[] label(List<SegmentedText> texts) {
    WordLabels[] labelled = new WordLabels[texts.size()];
    List<Window> windows = new ArrayList<>();
    for (int i = 0; i < labelled.length; i++) {
      int words = texts.get(i).words();
      labelled[i] = new WordLabels(new int[words], new double[words]);
      if (words > 0) {
        windows.add(new Window(i, 0, WINDOW));
      }
    }
    while (!windows.isEmpty()) {
      List<SegmentedText> parts =
          windows.stream()
              .map(
                  window -> {
                    SegmentedText text = texts.get(window.text());
                    int end = Math.min(text.words(), window.from() + window.words());
                    return end - window.from() == text.words()
                        ? text
                        : text.part(window.from(), end);
                  })
              .toList();
      WordLabels[] read = read(parts);
      List<Window> next = new ArrayList<>();
      for (int i = 0; i < read.length; i++) {
        Window window = windows.get(i);
        WordLabels all = labelled[window.text()];
        int length = read[i].indexes().length;
        boolean last = window.from() + length == all.indexes().length;
        int kept = last ? length : cut(read[i].indexes());
        System.arraycopy(read[i].indexes(), 0, all.indexes(), window.from(), kept);
        System.arraycopy(read[i].scores(), 0, all.scores(), window.from(), kept);
        if (!last) {
          next.add(
              kept > 0
                  ? new Window(window.text(), window.from() + kept, WINDOW)
                  : new Window(window.text(), window.from(), 2 * window.words()));
        }
      }
      windows = next;
    }
    return labelled;
  }

  /** Returns the words of a window that are kept: 0 if there is a span all over it. */
  private int cut(int[] indexes) {
    int before = indexes.length - MARGIN;
    return IntStream.concat(
            IntStream.iterate(before, cut -> cut > 0, cut -> cut - 1),
            IntStream.range(before + 1, indexes.length))
        .filter(
            cut -> !spans || !Spans.joined(labels.get(indexes[cut - 1]), labels.get(indexes[cut])))
        .findFirst()
        .orElse(0);
  }

  /** Labels texts of at least one word, as they are. */
  private WordLabels[] read(List<SegmentedText> texts) {
    WordLabels[] read = new WordLabels[texts.size()];
    runner.run(
        texts,
        (computed, positions, starts, states) -> {
          TaggingHead own = head.on(computed);
          TaggingHead.TokenLabels all;
          Backend backend = computed.alone();
          try (Arena call = backend.callMemory()) {
            all = own.label(own.emissions(backend, call, states), starts);
          }
          for (int i = 0; i < positions.size(); i++) {
            read[positions.get(i)] =
                new WordLabels(
                    Arrays.copyOfRange(all.labels(), starts[i], starts[i + 1]),
                    Arrays.copyOfRange(all.scores(), starts[i], starts[i + 1]));
          }
        });
    return read;
  }

  @Override
  public void close() {
    runner.close();
  }
}
