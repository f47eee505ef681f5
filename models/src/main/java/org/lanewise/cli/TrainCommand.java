package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.WordEmbedder;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.head.Spans;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelConfig.Unit;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.WordSegmenter;
import org.lanewise.encoder.train.Corpus;
import org.lanewise.encoder.train.Example;
import org.lanewise.encoder.train.LabelMap;
import org.lanewise.encoder.train.StaticVectors;
import org.lanewise.encoder.train.Trainer;
import org.lanewise.encoder.train.TrainingData;
import org.lanewise.encoder.train.TrainingDirectory;
import org.lanewise.encoder.train.TrainingOptions;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code lanewise train}: labelled texts to a model directory. */
@Command(
    name = "train",
    description = {
      "Trains a tagger or a classifier from labelled texts.",
      "Of an option that is given twice the last counts, so that a recipe can be varied."
    })
final class TrainCommand implements Runnable {
  @Spec private CommandSpec spec;

  private TrainCommand() {}

  /** Returns the command with one subcommand for each kind of model. */
  static CommandLine line(Streams streams) {
    return new CommandLine(new TrainCommand())
        .addSubcommand(new Tagger(streams))
        .addSubcommand(new Classifier(streams))
        .setOverwrittenOptionsAllowed(true);
  }

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "what to train is missing; expected tagger or classifier");
  }

  @Command(
      name = "tagger",
      description = {
        "Trains a network that gives each word a tag; words with tags such as B-PER become spans.",
        "Files have a word, a tab and its tag on each line and a blank line between texts, or are"
            + " CoNLL-U. Answers one line of JSON with the dev scores."
      })
  private static final class Tagger extends Training {
    @Option(
        names = "--incomplete",
        paramLabel = "FILE=CLASS,...",
        description =
            "Spans of these classes are not labelled in this file, one of --train: where it says O,"
                + " there may be one. Classes are those after --label-map. May be given several"
                + " times; needs the head crf.")
    private List<String> incomplete = List.of();

    Tagger(Streams streams) {
      super(streams, TrainingOptions.tagger());
    }

    @Override
    List<Example> read(Path file, TrainingArguments arguments) throws IOException {
      return Corpus.readTagged(file);
    }

    @Override
    Map<Path, Set<String>> unlabelled(List<Path> train) {
      Map<Path, Set<String>> unlabelled = new HashMap<>();
      for (String each : incomplete) {
        int sign = each.lastIndexOf('=');
        List<String> classes = List.of(each.substring(sign + 1).split(",", -1));
        if (sign < 1 || classes.contains("")) {
          throw new IllegalArgumentException(
              "--incomplete is ["
                  + each
                  + "], expected a file, = and classes such as a.tsv=PER,LOC");
        }
        Path file = Path.of(each.substring(0, sign));
        if (!train.contains(file)) {
          throw new IllegalArgumentException(
              "--incomplete names the file [" + file + "], expected one of --train, " + train);
        }
        unlabelled.computeIfAbsent(file, any -> new TreeSet<>()).addAll(classes);
      }
      return unlabelled;
    }

    @Override
    Optional<Head> natural(List<String> labels, List<String> devLabels) {
      if (!Spans.mark(labels)) {
        return Optional.of(Head.TAG_SOFTMAX);
      }
      if (!Spans.mark(devLabels)) {
        throw new IllegalArgumentException(
            "the training data mark spans, with labels such as B-PER and O, but the dev data have"
                + " the labels "
                + devLabels);
      }
      return Optional.of(Head.TAG_CRF);
    }

    @Override
    Evaluation evaluate(
        Path model,
        List<Example> examples,
        EmbedderOptions options,
        Function<String, TextEmbedder> encoders) {
      try (TextTagger tagger = TextTagger.open(model, options, encoders)) {
        return Evaluation.of(tagger, examples, List.of());
      }
    }
  }

  @Command(
      name = "classifier",
      description = {
        "Trains a network that gives each text a class, or any number of classes.",
        "Files have a class, a tab and the text on each line; with --multi-label, any number of"
            + " classes with | between them. Answers one line of JSON with the dev scores."
      })
  private static final class Classifier extends Training {
    Classifier(Streams streams) {
      super(streams, TrainingOptions.classifier());
    }

    @Override
    List<Example> read(Path file, TrainingArguments arguments) throws IOException {
      return Corpus.readClassified(
          file,
          arguments.choice(),
          arguments.unit() == Unit.CHARACTER ? SegmentedText::characters : WordSegmenter::words);
    }

    @Override
    Optional<Head> natural(List<String> labels, List<String> devLabels) {
      return Optional.empty();
    }

    @Override
    Evaluation evaluate(
        Path model,
        List<Example> examples,
        EmbedderOptions options,
        Function<String, TextEmbedder> encoders) {
      try (TextClassifier classifier = TextClassifier.open(model, options, encoders)) {
        return Evaluation.of(classifier, examples, List.of());
      }
    }
  }

  /** What both have in common. */
  private abstract static class Training implements Callable<Integer> {
    private final Streams streams;

    @Mixin private final TrainingArguments arguments;

    @Option(
        names = "--train",
        required = true,
        paramLabel = "FILE",
        description =
            "Labelled texts to learn from, gzipped or not; may be given several times, also with"
                + " the same file, which then weighs more.")
    private List<Path> train;

    @Option(
        names = "--dev",
        required = true,
        paramLabel = "FILE",
        description =
            "Labelled texts that say when to end and which epoch was the best; may be given"
                + " several times.")
    private List<Path> dev;

    @Option(
        names = "--out",
        required = true,
        paramLabel = "DIR",
        description =
            "The model directory to write. A training that was stopped goes on from"
                + " DIR/checkpoint when the same command is given again.")
    private Path out;

    @Option(names = "--overwrite", description = "Replaces a model that is in DIR already.")
    private boolean overwrite;

    @Option(
        names = "--label-map",
        paramLabel = "FILE",
        description =
            "Lines of a class, a tab and the class to use instead, O to drop it; has every class"
                + " of the data.")
    private Path labelMap;

    @Option(
        names = "--static",
        paramLabel = "FILE",
        description =
            "Word vectors in the text format of word2vec or GloVe, which are used as they are.")
    private Path staticVectors;

    @Option(
        names = "--static-words",
        paramLabel = "N",
        description = "Reads the first N of them; all unless given.")
    private int staticWords = Integer.MAX_VALUE;

    @Option(
        names = "--encoder",
        paramLabel = "M",
        description =
            "Reads the vectors of this encoder too, a directory or a bundled model, as it is; the"
                + " model then needs it wherever it is used.")
    private String encoder;

    @Option(
        names = "--encoder-layers",
        paramLabel = "N",
        split = ",",
        description =
            "Which of its layers, 0 for its embeddings, separated by commas; the last unless"
                + " given.")
    private List<Integer> encoderLayers;

    @Option(
        names = "--license",
        paramLabel = "TEXT",
        description = "Licence of the model, for its README.md.")
    private String license = "unknown";

    @Option(
        names = "--backend",
        paramLabel = "NAME",
        description = "auto, scalar or vector; one asked for by name starts or fails.")
    private String backend;

    @Option(
        names = "--threads",
        paramLabel = "N",
        description = "Threads that compute; all processors unless given.")
    private Integer threads;

    Training(Streams streams, TrainingOptions defaults) {
      this.streams = streams;
      arguments = new TrainingArguments(defaults);
    }

    abstract List<Example> read(Path file, TrainingArguments arguments) throws IOException;

    /** Returns the classes that files of the training data do not label. */
    Map<Path, Set<String>> unlabelled(List<Path> train) {
      return Map.of();
    }

    /** Returns the head that the labels call for. */
    abstract Optional<Head> natural(List<String> labels, List<String> devLabels);

    /** Returns how well a model does, opened from its directory as it is when it is used. */
    abstract Evaluation evaluate(
        Path model,
        List<Example> examples,
        EmbedderOptions options,
        Function<String, TextEmbedder> encoders);

    @Override
    public Integer call() throws IOException {
      TrainingDirectory directory = TrainingDirectory.open(out, overwrite);
      List<TrainingData.Source> sources = new ArrayList<>();
      Optional<LabelMap> map =
          labelMap == null ? Optional.empty() : Optional.of(LabelMap.read(labelMap));
      if (labelMap != null) {
        sources.add(source("label map", labelMap));
      }
      List<Example> examples = read("train", train, unlabelled(train), map, sources);
      List<Example> devExamples = read("dev", dev, Map.of(), map, sources);
      Optional<StaticVectors> vectors = Optional.empty();
      if (staticVectors != null) {
        vectors = Optional.of(StaticVectors.read(staticVectors, staticWords));
        sources.add(source("static vectors", staticVectors));
      }
      TrainingOptions options = arguments.options(natural(labels(examples), labels(devExamples)));
      try (TextEmbedder embedder = encoder == null ? null : embedder()) {
        Optional<TrainingData.Encoder> words =
            Optional.ofNullable(embedder).map(each -> encoder(each, sources));
        TrainingData data = new TrainingData(examples, vectors, words, sources);
        Trainer.Judge judge =
            model -> {
              Evaluation dev = evaluate(model, devExamples, embedderOptions(), id -> embedder);
              return new Trainer.Judgement(dev.score(), dev.json());
            };
        boolean sets = options.choice() == Choice.MULTI_LABEL;
        String score = sets || Spans.mark(labels(examples)) ? "F1" : "accuracy";
        TrainingProgress progress =
            new TrainingProgress(streams, options.schedule().epochs(), score);
        Trainer trainer = new Trainer(trainingBackend(), options, data, judge, progress);
        Trainer.Outcome outcome = trainer.train(directory);
        new ModelCard(lastName(out), license, options, data, outcome).write();
        directory.publish(outcome.model());
        answer(outcome);
      } finally {
        streams.progress("");
      }
      return 0;
    }

    private static List<String> labels(List<Example> examples) {
      return examples.stream().flatMap(example -> example.labels().stream()).distinct().toList();
    }

    private List<Example> read(
        String use,
        List<Path> files,
        Map<Path, Set<String>> unlabelled,
        Optional<LabelMap> map,
        List<TrainingData.Source> sources)
        throws IOException {
      List<Example> examples = new ArrayList<>();
      for (Path file : files) {
        Set<String> lacks = unlabelled.getOrDefault(file, Set.of());
        for (Example example : read(file, arguments)) {
          Example mapped = map.map(each -> mapped(each, example)).orElse(example);
          examples.add(new Example(mapped.text(), mapped.labels(), lacks));
        }
        String without = lacks.isEmpty() ? "" : " without labels of " + String.join(" ", lacks);
        sources.add(source(use + without, file));
      }
      return examples;
    }

    private Example mapped(LabelMap map, Example example) {
      return arguments.choice() == Choice.MULTI_LABEL
          ? map.applyToClasses(example)
          : map.apply(example);
    }

    private static TrainingData.Source source(String use, Path file) throws IOException {
      MessageDigest digest = sha256();
      try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
        in.transferTo(OutputStream.nullOutputStream());
      }
      String name = String.valueOf(file.getFileName());
      return new TrainingData.Source(use, name, HexFormat.of().formatHex(digest.digest()));
    }

    private static MessageDigest sha256() {
      try {
        return MessageDigest.getInstance("SHA-256");
      } catch (NoSuchAlgorithmException e) {
        throw new IllegalStateException("every Java has SHA-256", e);
      }
    }

    private static String lastName(Path path) {
      return String.valueOf(path.toAbsolutePath().normalize().getFileName());
    }

    private EmbedderOptions embedderOptions() {
      EmbedderOptions options = EmbedderOptions.defaults();
      if (backend != null) {
        options = options.withBackend(backend);
      }
      return threads == null ? options : options.withThreads(threads);
    }

    private TextEmbedder embedder() {
      return TextEmbedder.open(
          ModelDirectory.open(BundledModels.locate(encoder)), embedderOptions());
    }

    private TrainingData.Encoder encoder(TextEmbedder embedder, List<TrainingData.Source> sources) {
      int last = embedder.directory().config().layers();
      List<Integer> layers = encoderLayers == null ? List.of(last) : encoderLayers;
      for (int layer : layers) {
        if (layer < 0 || layer > last) {
          throw new IllegalArgumentException(
              "--encoder-layers has [" + layer + "], expected 0 to " + last);
        }
      }
      String fingerprint = embedder.directory().weightsFingerprint();
      String id = lastName(Path.of(encoder));
      sources.add(new TrainingData.Source("encoder", id, fingerprint));
      return new TrainingData.Encoder(
          id,
          layers,
          embedder.directory().config().hiddenSize(),
          fingerprint,
          new WordEmbedder(embedder));
    }

    private TrainingBackend trainingBackend() {
      EmbedderOptions options = embedderOptions();
      Backend created =
          Backends.create(
              options.backend(), Optional.of(Precision.FP32), new Workers(options.threads()));
      if (created instanceof TrainingBackend training) {
        return training;
      }
      throw new IllegalArgumentException(
          "backend [" + created.name() + "] cannot train; available: auto, vector, scalar");
    }

    private void answer(Trainer.Outcome outcome) throws IOException {
      try (JsonGenerator json = streams.json()) {
        json.writeStartObject();
        json.writeStringField("model", out.toString());
        json.writeNumberField("dev_score", outcome.judgement().score());
        json.writeFieldName("dev");
        json.writeRawValue(outcome.judgement().details().toString());
        json.writeNumberField("best_epoch", outcome.best());
        json.writeNumberField("epochs", outcome.epochs().size());
        json.writeNumberField("seconds", outcome.seconds());
        json.writeNumberField("tokens_per_second", outcome.wordsPerSecond());
        json.writeEndObject();
        Streams.endLine(json);
        streams.flush(json);
      }
    }
  }
}
