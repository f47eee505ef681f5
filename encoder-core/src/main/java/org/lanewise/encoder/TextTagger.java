package org.lanewise.encoder;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.lanewise.encoder.WordLabeller.WordLabels;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.head.Span;
import org.lanewise.encoder.head.Spans;
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
 * <p>A text is cut into words by {@link WordSegmenter}; a text without words has no entities.
 * Recurrent taggers read sentence by sentence, encoders that were trained to tag as much of the
 * text at once as their length allows. The same text gets the same labels alone or in any batch.
 */
public final class TextTagger implements AutoCloseable {
  private final WordLabeller labeller;
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

  private TextTagger(WordLabeller labeller) {
    this.labeller = labeller;
    labels = labeller.labels();
    spans = Spans.mark(labels);
  }

  /**
   * Opens a directory.
   *
   * @param encoders finds the encoder of an id; what it returns is shared, and closed by its owner
   * @throws ModelException naming what is wrong and the cure
   */
  public static TextTagger open(
      Path directory, EmbedderOptions options, Function<String, TextEmbedder> encoders) {
    return new TextTagger(
        ModelDirectory.holdsEncoder(directory)
            ? EncoderLabeller.open(directory, options)
            : RecurrentLabeller.open(directory, options, encoders));
  }

  /** Returns the entities of each text, in order. */
  public List<List<Entity>> tag(List<String> texts) {
    List<List<SegmentedText>> cut = new ArrayList<>(Collections.nCopies(texts.size(), List.of()));
    labeller.forEach(texts.size(), i -> cut.set(i, labeller.cut(texts.get(i))));
    List<SegmentedText> sentences = cut.stream().flatMap(List::stream).toList();
    WordLabels[] labelled = labeller.label(sentences);
    List<List<Entity>> answers = new ArrayList<>();
    int sentence = 0;
    for (List<SegmentedText> text : cut) {
      List<Entity> entities = new ArrayList<>();
      for (SegmentedText each : text) {
        entities.addAll(entities(labels, spans, each, labelled[sentence++]));
      }
      answers.add(entities);
    }
    return answers;
  }

  /**
   * Returns what the labels of words say.
   *
   * @param labels names of the labels
   * @param spans whether these mark spans
   */
  static List<Entity> entities(
      List<String> labels, boolean spans, SegmentedText sentence, WordLabels labelled) {
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
    for (Span span : Spans.decode(names(labels, labelled), labelled.scores())) {
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
    return Arrays.stream(labeller.label(texts)).map(each -> names(labels, each)).toList();
  }

  private static List<String> names(List<String> labels, WordLabels labelled) {
    return Arrays.stream(labelled.indexes()).mapToObj(labels::get).toList();
  }

  /** Returns the names of the labels. */
  public List<String> labels() {
    return labels;
  }

  /** Returns what {@link Entity#label} may be, in the order of the labels. */
  public List<String> classes() {
    return classes(labels);
  }

  /** Returns what entities of such labels may be. */
  static List<String> classes(List<String> labels) {
    return Spans.mark(labels)
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
    return labeller.backend().name();
  }

  /** Returns the precision of the network that runs, not of an encoder that it reads. */
  public Precision precision() {
    return labeller.backend().precision();
  }

  /** Returns what the device that computes could not do; empty where the processor computes. */
  public Optional<DeviceReport> deviceReport() {
    return labeller.deviceReport();
  }

  /** Returns what multiplies matrices: {@link Backend#kernels()}. */
  public String kernels() {
    return labeller.backend().kernels();
  }

  /**
   * Makes the first texts as fast as later ones; for servers, before they answer. Takes up to two
   * seconds in a fresh JVM.
   */
  public void warmUp() {
    labeller.warmUp(this::tag);
  }

  /** Returns whether the labels mark spans, so that entities are spans and not words. */
  public boolean spans() {
    return spans;
  }

  @Override
  public void close() {
    labeller.close();
  }
}
