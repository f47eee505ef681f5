package org.lanewise.cli;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Stream;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.head.ClassScores.ClassScore;
import org.lanewise.encoder.head.LabelCounts;
import org.lanewise.encoder.head.Span;
import org.lanewise.encoder.head.SpanCounts;
import org.lanewise.encoder.head.Spans;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.train.Example;

/**
 * How well a model does on labelled texts: spans by the rules of conlleval where its labels mark
 * spans, else words or texts. Not thread-safe.
 */
final class Evaluation {
  private static final int MOST_CONFUSIONS = 20;
  private static final String OUTSIDE = "O";

  private final Optional<Set<String>> only;
  private final LabelCounts labels;
  private final Optional<SpanCounts> spans;
  private final boolean sets;
  private SpanCounts.Count words = new SpanCounts.Count(0, 0, 0);
  private boolean raw;

  /**
   * Begins an evaluation.
   *
   * @param marksSpans whether labels mark spans
   * @param sets whether a text has any number of labels
   * @param known labels of the model
   * @param only counts only these labels, of spans or items, on both sides; all where it is empty
   */
  private Evaluation(
      boolean marksSpans,
      boolean sets,
      List<String> known,
      List<Example> examples,
      Collection<String> only) {
    this.sets = sets;
    Set<String> names = new TreeSet<>();
    Stream.concat(known.stream(), examples.stream().flatMap(example -> example.labels().stream()))
        .distinct()
        .forEach(label -> names.add(marksSpans ? name(label) : label));
    for (String label : only) {
      if (!names.contains(label)) {
        throw new IllegalArgumentException(
            "label ["
                + label
                + "] is neither one of the model nor of the data; there are "
                + names);
      }
    }
    this.only = only.isEmpty() ? Optional.empty() : Optional.of(Set.copyOf(only));
    labels = marksSpans || only.isEmpty() ? new LabelCounts() : new LabelCounts(only);
    spans =
        marksSpans
            ? Optional.of(only.isEmpty() ? new SpanCounts() : new SpanCounts(only))
            : Optional.empty();
  }

  /** Compares tags of words, which the model gets as they are. */
  static Evaluation of(TextTagger tagger, List<Example> examples, Collection<String> only) {
    Evaluation evaluation = new Evaluation(tagger.spans(), false, tagger.labels(), examples, only);
    List<List<String>> found = tagger.labels(examples.stream().map(Example::text).toList());
    for (int i = 0; i < found.size(); i++) {
      List<String> expected = examples.get(i).labels();
      for (int word = 0; word < expected.size(); word++) {
        evaluation.addWord(expected.get(word), found.get(i).get(word));
      }
      List<String> labels = found.get(i);
      evaluation.spans.ifPresent(
          counts -> counts.add(Spans.decode(expected), Spans.decode(labels)));
    }
    return evaluation;
  }

  /**
   * Compares tags of words and spans that the model finds in the raw text: they count as right
   * where their place is right too.
   */
  static Evaluation ofRaw(TextTagger tagger, List<Example> examples, Collection<String> only) {
    Evaluation evaluation = new Evaluation(tagger.spans(), false, tagger.labels(), examples, only);
    evaluation.raw = true;
    List<List<TextTagger.Entity>> found =
        tagger.tag(examples.stream().map(example -> example.text().text()).toList());
    for (int i = 0; i < found.size(); i++) {
      evaluation.addRaw(examples.get(i), found.get(i));
    }
    return evaluation;
  }

  /** Compares classes of texts. */
  static Evaluation of(TextClassifier classifier, List<Example> examples, Collection<String> only) {
    boolean sets = classifier.choice() == Choice.MULTI_LABEL;
    Evaluation evaluation = new Evaluation(false, sets, classifier.labels(), examples, only);
    var found =
        classifier.classify(examples.stream().map(example -> example.text().text()).toList());
    for (int i = 0; i < found.size(); i++) {
      List<String> expected = examples.get(i).labels();
      List<String> chosen = found.get(i).chosen().stream().map(ClassScore::name).toList();
      if (sets) {
        evaluation.labels.add(expected, chosen);
      } else {
        evaluation.labels.add(expected.getFirst(), chosen.getFirst());
      }
    }
    return evaluation;
  }

  private void addWord(String expected, String found) {
    labels.add(counted(expected), counted(found));
  }

  /** A label of a span that does not count says as much as no span. */
  private String counted(String label) {
    boolean dropped =
        spans.isPresent()
            && only.isPresent()
            && !label.equals(OUTSIDE)
            && !only.get().contains(name(label));
    return dropped ? OUTSIDE : label;
  }

  /** Returns what a label of a span calls it. */
  private static String name(String label) {
    return label.substring(label.indexOf('-') + 1);
  }

  private void addRaw(Example example, List<TextTagger.Entity> found) {
    SegmentedText text = example.text();
    if (spans.isPresent()) {
      List<Span> expected = new ArrayList<>();
      for (Span span : Spans.decode(example.labels())) {
        int end = text.ends()[span.lastToken()];
        expected.add(new Span(span.label(), text.starts()[span.firstToken()], end, 1));
      }
      spans
          .get()
          .add(
              expected,
              found.stream()
                  .map(each -> new Span(each.label(), each.start(), each.end(), 1))
                  .toList());
      return;
    }
    Map<Long, String> byPlace = new HashMap<>();
    found.forEach(word -> byPlace.put(place(word.start(), word.end()), word.label()));
    long matched = 0;
    for (int word = 0; word < text.words(); word++) {
      String label = byPlace.remove(place(text.starts()[word], text.ends()[word]));
      if (label == null) {
        labels.addMissed(example.labels().get(word));
      } else {
        labels.add(example.labels().get(word), label);
        matched++;
      }
    }
    byPlace.values().forEach(labels::addFound);
    words =
        new SpanCounts.Count(
            words.expected() + text.words(),
            words.found() + found.size(),
            words.correct() + matched);
  }

  private static long place(int start, int end) {
    return (long) start << Integer.SIZE | end;
  }

  /** Returns what trainings maximise: micro F1 of spans or of sets of classes, else accuracy. */
  double score() {
    return sets || spans.isPresent() ? micro().f1() : labels.accuracy();
  }

  /** Returns the names that were counted: of spans, or of labels. */
  Collection<String> names() {
    return spans.map(SpanCounts::labels).orElseGet(labels::labels);
  }

  /** Returns all scores, from 0 to 1. */
  ObjectNode json() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    SpanCounts.Count micro = micro();
    if (!(raw && spans.isPresent())) {
      json.put("accuracy", labels.accuracy());
    }
    json.put("precision", micro.precision());
    json.put("recall", micro.recall());
    json.put("f1", micro.f1());
    json.put("macro_f1", spans.map(SpanCounts::macroF1).orElseGet(labels::macroF1));
    ObjectNode perLabel = json.putObject("per_label");
    for (String name : names()) {
      SpanCounts.Count count = count().apply(name);
      perLabel
          .putObject(name)
          .put("precision", count.precision())
          .put("recall", count.recall())
          .put("f1", count.f1())
          .put("expected", count.expected())
          .put("found", count.found())
          .put("correct", count.correct());
    }
    if (raw && spans.isEmpty()) {
      json.putObject("words")
          .put("precision", words.precision())
          .put("recall", words.recall())
          .put("f1", words.f1());
    }
    json.put("items", raw && spans.isPresent() ? micro.expected() : labels.items());
    return json;
  }

  private SpanCounts.Count micro() {
    return spans.map(SpanCounts::micro).orElseGet(labels::micro);
  }

  private Function<String, SpanCounts.Count> count() {
    return spans
        .<Function<String, SpanCounts.Count>>map(counts -> counts::label)
        .orElse(labels::label);
  }

  /** Prints the scores for people. */
  void print(PrintStream err) {
    int width =
        Stream.concat(names().stream(), Stream.of("all")).mapToInt(String::length).max().orElse(0);
    String row = "%-" + width + "s %9s %9s %9s %9s%n";
    err.printf(Locale.ROOT, row, "", "precision", "recall", "F1", "expected");
    for (String name : names()) {
      print(err, row, name, count().apply(name));
    }
    print(err, row, "all", micro());
    if (!(raw && spans.isPresent())) {
      err.printf(
          Locale.ROOT, "accuracy %.2f of %,d items%n", 100 * labels.accuracy(), labels.items());
    }
    if (raw && spans.isEmpty()) {
      err.printf(
          Locale.ROOT,
          "words found: precision %.2f, recall %.2f, F1 %.2f%n",
          100 * words.precision(),
          100 * words.recall(),
          100 * words.f1());
    }
    for (LabelCounts.Confusion each : labels.confusions(MOST_CONFUSIONS)) {
      err.printf(
          Locale.ROOT,
          "%,9d times %s instead of %s%n",
          each.count(),
          each.found(),
          each.expected());
    }
    err.flush();
  }

  private static void print(PrintStream err, String row, String name, SpanCounts.Count count) {
    err.printf(
        Locale.ROOT,
        row,
        name,
        percent(count.precision()),
        percent(count.recall()),
        percent(count.f1()),
        String.format(Locale.ROOT, "%,d", count.expected()));
  }

  private static String percent(double share) {
    return String.format(Locale.ROOT, "%.2f", 100 * share);
  }
}
