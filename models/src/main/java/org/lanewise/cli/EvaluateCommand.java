package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.train.Corpus;
import org.lanewise.encoder.train.Example;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanewise evaluate}: how well a tagger or classifier does on labelled texts. */
@Command(
    name = "evaluate",
    description = {
      "Compares what a tagger or classifier finds with labelled texts: a word, a tab and its tag on"
          + " each line, CoNLL-U, or a class, a tab and a text; any number of classes with |"
          + " between them for models that give as many.",
      "Answers one line:"
          + " {\"accuracy\",\"precision\",\"recall\",\"f1\",\"macro_f1\",\"per_label\":{...},\"items\":n};"
          + " f1 is micro F1, of spans by the rules of conlleval where labels begin with B- and I-."
          + " Of any number of classes, accuracy counts texts that get just theirs. A table for"
          + " people goes to stderr."
    })
final class EvaluateCommand implements Callable<Integer> {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private final Streams streams;

  @Mixin private SequenceModelArguments arguments;

  @Option(
      names = "--data",
      required = true,
      paramLabel = "FILE",
      description = "The labelled texts, gzipped or not.")
  private Path data;

  @Option(
      names = "--labels",
      split = ",",
      paramLabel = "LABEL",
      description = "Counts only these labels, on both sides.")
  private List<String> labels = List.of();

  @Option(
      names = "--raw",
      description =
          "Lets a tagger cut the raw texts into words itself; words and spans count where their"
              + " place is right too.")
  private boolean raw;

  EvaluateCommand(Streams streams) {
    this.streams = streams;
  }

  @Override
  public Integer call() throws IOException {
    Path path = arguments.path();
    boolean classifier =
        SequenceModelDirectory.kind(path)
            .filter(SequenceModelDirectory.Kind.CLASSIFIER::equals)
            .isPresent();
    try (Encoders encoders = arguments.encoders();
        JsonGenerator json = streams.json()) {
      Evaluation evaluation = classifier ? classified(path, encoders) : tagged(path, encoders);
      evaluation.print(streams.err());
      MAPPER.writeTree(json, evaluation.json());
      Streams.endLine(json);
      streams.flush(json);
      return 0;
    }
  }

  private Evaluation tagged(Path path, Encoders encoders) throws IOException {
    try (TextTagger tagger = TextTagger.open(path, arguments.options(), encoders)) {
      List<Example> examples = Corpus.readTagged(data);
      return raw
          ? Evaluation.ofRaw(tagger, examples, labels)
          : Evaluation.of(tagger, examples, labels);
    }
  }

  private Evaluation classified(Path path, Encoders encoders) throws IOException {
    if (raw) {
      throw new IllegalArgumentException("--raw is for taggers: classifiers read raw texts anyway");
    }
    try (TextClassifier classifier = TextClassifier.open(path, arguments.options(), encoders)) {
      List<Example> examples =
          Corpus.readClassified(data, classifier.choice(), SegmentedText::characters);
      return Evaluation.of(classifier, examples, labels);
    }
  }
}
