package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.head.LabelConstraints;
import org.lanewise.encoder.head.LinearChainCrf;
import org.lanewise.encoder.head.Span;
import org.lanewise.encoder.head.Spans;
import org.lanewise.encoder.head.TaggingHead;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.WordSegmenter;

/**
 * Finds spans, or a tag for each word, in texts. Thread-safe until it is closed.
 *
 * {@snippet :
 * try (TextTagger tagger = TextTagger.open(path, EmbedderOptions.defaults(), encoders)) {
 *   List<List<TextTagger.Entity>> answers = tagger.tag(List.of("Ada Lovelace lived in London."));
 * }
 * }
 *
 * <p>A text is cut into sentences and words by {@link WordSegmenter}; a text without words has no
 * entities. A sentence of more than 256 words is read in windows: a window ends where no span is
 * open, with words behind it that the network has seen, and the next one begins there. The same
 * text gets the same labels alone or in any batch.
 */
public final class TextTagger implements AutoCloseable {
  private static final int WINDOW = 256;

  /** Words at the end of a window that are read again, because they lack what follows them. */
  private static final int MARGIN = 32;

  private final SequenceRunner runner;
  private final TaggingHead head;
  private final List<String> labels;
  private final boolean spans;

  /**
   * A tagged piece of a text: a span where the labels are of the BIO family, else a word.
   *
   * @param text the piece as it stands in the text
   * @param label class of the span, or tag of the word
   * @param probability mean of the probabilities of its words' labels
   * @param start first UTF-16 unit in the text
   * @param end the UTF-16 unit after it
   */
  public record Entity(String text, String label, double probability, int start, int end) {}

  /**
   * The labels of the words of one text.
   *
   * @param indexes of the labels
   * @param scores probability of each
   */
  private record WordLabels(int[] indexes, double[] scores) {}

  private TextTagger(SequenceRunner runner) {
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
        new TaggingHead(
            runner.alone(),
            runner.arena(),
            runner.weights().in("head"),
            labels.size(),
            runner.config().recurrent().outputSize(),
            crf);
  }

  /**
   * Opens a directory.
   *
   * @param encoders finds the encoder of an id; what it returns is shared, and closed by its owner
   * @throws ModelException naming what is wrong and the cure
   */
  public static TextTagger open(
      Path directory, EmbedderOptions options, Function<String, TextEmbedder> encoders) {
    SequenceRunner runner =
        SequenceRunner.open(directory, SequenceModelDirectory.Kind.TAGGER, options, encoders);
    try {
      if (runner.config().unit() != SequenceModelConfig.Unit.WORD) {
        throw new ModelException(
            directory, List.of("config.json: [unit] is character, expected word for a tagger"));
      }
      return new TextTagger(runner);
    } catch (IllegalArgumentException e) {
      runner.close();
      throw new ModelException(directory, List.of(String.valueOf(e.getMessage())));
    } catch (RuntimeException | Error e) {
      runner.close();
      throw e;
    }
  }

  /** Returns the entities of each text, in order. */
  public List<List<Entity>> tag(List<String> texts) {
    List<List<SegmentedText>> cut = new ArrayList<>(Collections.nCopies(texts.size(), List.of()));
    runner.forEach(texts.size(), i -> cut.set(i, WordSegmenter.sentences(texts.get(i))));
    List<SegmentedText> sentences = cut.stream().flatMap(List::stream).toList();
    WordLabels[] labelled = label(sentences);
    List<List<Entity>> answers = new ArrayList<>();
    int sentence = 0;
    for (List<SegmentedText> text : cut) {
      List<Entity> entities = new ArrayList<>();
      for (SegmentedText each : text) {
        entities.addAll(entities(each, labelled[sentence++]));
      }
      answers.add(entities);
    }
    return answers;
  }

  private List<Entity> entities(SegmentedText sentence, WordLabels labelled) {
    List<Entity> entities = new ArrayList<>();
    if (!spans) {
      for (int word = 0; word < sentence.words(); word++) {
        entities.add(
            entity(
                sentence,
                word,
                word,
                labels.get(labelled.indexes()[word]),
                labelled.scores()[word]));
      }
      return entities;
    }
    for (Span span : Spans.decode(names(labelled), labelled.scores())) {
      entities.add(
          entity(sentence, span.firstToken(), span.lastToken(), span.label(), span.score()));
    }
    return entities;
  }

  private static Entity entity(
      SegmentedText text, int first, int last, String label, double probability) {
    int start = text.starts()[first];
    int end = text.ends()[last];
    return new Entity(text.text().substring(start, end), label, probability, start, end);
  }

  /** Returns the label of each word of texts that are already cut into words, none cut further. */
  public List<List<String>> labels(List<SegmentedText> texts) {
    return Arrays.stream(label(texts)).map(this::names).toList();
  }

  private List<String> names(WordLabels labelled) {
    return Arrays.stream(labelled.indexes()).mapToObj(labels::get).toList();
  }

  /**
   * A part of a text that is to be read.
   *
   * @param from its first word
   * @param words how many words it has, if the text has as many
   */
  private record Window(int text, int from, int words) {}

  private WordLabels[] label(List<SegmentedText> texts) {
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
        (positions, starts, states) -> {
          TaggingHead.TokenLabels all;
          try (Arena call = Arena.ofConfined()) {
            all = head.label(head.emissions(runner.alone(), call, states), starts);
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

  /** Returns the names of the labels. */
  public List<String> labels() {
    return labels;
  }

  /** Returns what {@link Entity#label} may be, in the order of the labels. */
  public List<String> classes() {
    return spans
        ? labels.stream()
            .filter(label -> !label.equals("O"))
            .map(label -> label.substring(label.indexOf('-') + 1))
            .distinct()
            .toList()
        : labels;
  }

  /** Returns the length of a text in words. */
  public int length(String text) {
    return WordSegmenter.words(text).words();
  }

  /** Returns the name of the backend that runs: {@code vector} or {@code scalar}. */
  public String backend() {
    return runner.alone().name();
  }

  /** Returns the precision of the network that runs, not of an encoder that it reads. */
  public Precision precision() {
    return runner.alone().precision();
  }

  /** Returns what multiplies matrices: {@link Backend#kernels()}. */
  public String kernels() {
    return runner.alone().kernels();
  }

  /**
   * Makes the first texts as fast as later ones; for servers, before they answer. Takes up to two
   * seconds in a fresh JVM.
   */
  public void warmUp() {
    runner.warmUp(this::tag);
  }

  /** Returns whether the labels mark spans, so that entities are spans and not words. */
  public boolean spans() {
    return spans;
  }

  @Override
  public void close() {
    runner.close();
  }
}
