package org.lanewise.encoder.train;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.head.LabelConstraints;
import org.lanewise.encoder.head.Span;
import org.lanewise.encoder.head.Spans;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceInputs;
import org.lanewise.encoder.model.SequenceInputs.WordEncoder;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Weights;

/**
 * Trains one tagger or classifier. After every epoch the model is written as it will be used and
 * judged by what the caller has, and a checkpoint is left: a training that was killed goes on from
 * there, and ends with the weights, bit for bit, that it would have had. Single-use.
 */
public final class Trainer {
  private static final double NANOS = 1e9;

  private final TrainingBackend backend;
  private final TrainingOptions options;
  private final TrainingData data;
  private final Judge judge;
  private final Progress progress;
  private final List<Example> examples;
  private final SequenceModelPlan plan;
  private final int[][][] labels; // (texts, words or 1, labels)
  private final Minibatches minibatches;
  private final Course course;

  /** Judges a model on texts that are not trained on. */
  @FunctionalInterface
  public interface Judge {
    /** Returns how good the model in the directory is. */
    Judgement judge(Path model) throws IOException;
  }

  /**
   * How good a model is.
   *
   * @param score that is to be high
   * @param details all scores
   */
  public record Judgement(double score, ObjectNode details) {}

  /**
   * A training that has ended.
   *
   * @param model directory of the best model
   * @param judgement of that model
   * @param best the epoch that it is from
   * @param epochs the learning curve
   */
  public record Outcome(Path model, Judgement judgement, int best, List<Progress.Epoch> epochs) {
    /** Copies the list. */
    public Outcome {
      epochs = List.copyOf(epochs);
    }

    /** Returns the seconds of training, without those of judging. */
    public double seconds() {
      return epochs.stream().mapToDouble(Progress.Epoch::seconds).sum();
    }

    /** Returns the words that were read for each second of training. */
    public double wordsPerSecond() {
      return epochs.stream().mapToLong(Progress.Epoch::words).sum() / seconds();
    }
  }

  /**
   * Prepares a training.
   *
   * @throws IllegalArgumentException if the data are not what the options need
   */
  public Trainer(
      TrainingBackend backend,
      TrainingOptions options,
      TrainingData data,
      Judge judge,
      Progress progress) {
    this.backend = backend;
    this.options = options;
    this.data = data;
    this.judge = judge;
    this.progress = progress;
    checkUnlabelled(data.examples(), options);
    examples = examples(data.examples(), options);
    plan = SequenceModelPlan.of(options, data, examples);
    labels = labels();
    if (options.head() == Head.TAG_CRF) {
      checkPaths();
    }
    course = new Course(options, data);
    int[] lengths = examples.stream().mapToInt(example -> example.text().words()).toArray();
    minibatches = new Minibatches(lengths, options);
  }

  /** The texts that have words, or the share of them that is asked for. */
  private static List<Example> examples(List<Example> all, TrainingOptions options) {
    boolean tagger = TrainingOptions.tags(options.head());
    List<Example> examples = new ArrayList<>();
    for (Example example : all) {
      int expected = tagger ? example.text().words() : 1;
      if (options.choice() == Choice.MULTI_CLASS && example.labels().size() != expected) {
        throw new IllegalArgumentException(
            "text ["
                + example.text().text()
                + "] has "
                + example.labels().size()
                + " labels, expected "
                + expected);
      }
      if (example.text().words() > 0) {
        examples.add(example);
      }
    }
    if (tagger && examples.stream().allMatch(Trainer::unclosed)) {
      examples.replaceAll(Trainer::begun);
    }
    if (options.share() == 1) {
      return examples;
    }
    List<Integer> order = new ArrayList<>(IntStream.range(0, examples.size()).boxed().toList());
    Collections.shuffle(order, Minibatches.random(options.seed(), 0, 0));
    int kept = (int) Math.ceil(options.share() * examples.size());
    return order.subList(0, kept).stream().sorted().map(examples::get).toList();
  }

  private static boolean unclosed(Example example) {
    return example.labels().stream()
        .allMatch(label -> label.equals("O") || label.startsWith("B-") || label.startsWith("I-"));
  }

  /**
   * Writes B- where a span begins with I-, as it does in IOB1: the constraints of BIO ask for it.
   */
  private static Example begun(Example example) {
    List<String> labels = new ArrayList<>(example.labels());
    for (Span span : Spans.decode(labels)) {
      labels.set(span.firstToken(), "B-" + span.label());
    }
    return new Example(example.text(), labels, example.unlabelled());
  }

  /** Only a CRF sums over paths, and only the labels of spans have an O. */
  private static void checkUnlabelled(List<Example> examples, TrainingOptions options) {
    Set<String> unlabelled =
        examples.stream()
            .flatMap(example -> example.unlabelled().stream())
            .collect(Collectors.toCollection(TreeSet::new));
    if (unlabelled.isEmpty()) {
      return;
    }
    if (options.head() != Head.TAG_CRF) {
      throw new IllegalArgumentException(
          "texts lack the labels of the classes "
              + unlabelled
              + ", for which [head] must be TAG_CRF, but it is "
              + options.head());
    }
    List<String> labels =
        examples.stream().flatMap(example -> example.labels().stream()).distinct().toList();
    Set<String> known =
        Spans.decode(labels).stream()
            .map(Span::label)
            .collect(Collectors.toCollection(TreeSet::new));
    unlabelled.removeAll(known);
    if (!unlabelled.isEmpty()) {
      throw new IllegalArgumentException(
          "texts lack the labels of the classes "
              + unlabelled
              + ", which no other text has either; there are "
              + known);
    }
  }

  private int[][][] labels() {
    List<String> known = plan.config().labels();
    Map<String, int[]> single = new HashMap<>();
    known.forEach(label -> single.put(label, new int[] {single.size()}));
    Map<Set<String>, int[]> outside = new HashMap<>();
    int[][][] labels = new int[examples.size()][][];
    for (int i = 0; i < labels.length; i++) {
      Example example = examples.get(i);
      if (options.choice() == Choice.MULTI_LABEL) {
        int[] classes = example.labels().stream().mapToInt(label -> single.get(label)[0]).toArray();
        labels[i] = new int[][] {classes};
        continue;
      }
      int[] unmarked =
          outside.computeIfAbsent(example.unlabelled(), classes -> outside(known, classes));
      labels[i] =
          example.labels().stream()
              .map(label -> label.equals("O") ? unmarked : single.get(label))
              .toArray(int[][]::new);
    }
    return labels;
  }

  /** Returns the labels that may stand where O does. */
  private static int[] outside(List<String> known, Set<String> unlabelled) {
    return IntStream.range(0, known.size())
        .filter(
            row -> {
              String label = known.get(row);
              return label.equals("O")
                  || !unlabelled.isEmpty() && unlabelled.contains(label.substring(2));
            })
        .toArray();
  }

  /** A path that the scheme of the labels forbids has no probability to learn. */
  private void checkPaths() {
    LabelConstraints allowed = LabelConstraints.of(plan.config().labels());
    for (int i = 0; i < labels.length; i++) {
      if (!allowed.allow(labels[i])) {
        throw new IllegalArgumentException(
            "text ["
                + examples.get(i).text().text()
                + "] has the labels "
                + examples.get(i).labels()
                + ", which break their scheme: a span is B- and any I-, or where there are E- and"
                + " S- labels, S-, or B-, any I- and E-");
      }
    }
  }

  /**
   * Trains until the dev score has not risen for as long as the options say, or all epochs are
   * done. The best model is then complete in {@link Outcome#model}, with {@code training.json}
   * beside it; {@link TrainingDirectory#publish} makes it that of the directory.
   *
   * @throws IllegalArgumentException if the directory has the checkpoint of another training, or if
   *     the gradient is no number any more
   */
  public Outcome train(TrainingDirectory directory) throws IOException {
    try (FileChannel lock = directory.lock();
        TrainableModel model =
            new TrainableModel(backend, plan.config(), plan.rows(), options.seed())) {
      assert lock.isOpen();
      Optional<TrainingDirectory.Checkpoint> checkpoint = directory.latest();
      loadStaticVectors(model);
      if (checkpoint.isPresent()) {
        resume(checkpoint.get(), model);
      }
      if (!course.ended()) {
        run(directory, model);
      }
    }
    Path best = directory.model(course.best());
    TrainingDirectory.write(best.resolve("training.json"), course.json());
    return new Outcome(best, course.judgement(), course.best(), course.epochs());
  }

  private void resume(TrainingDirectory.Checkpoint checkpoint, TrainableModel model) {
    course.resume(checkpoint.course(), "the checkpoint [" + checkpoint.path() + "]");
    if (!course.ended()) {
      try (Arena arena = Arena.ofConfined()) {
        model.restore(Weights.of(Safetensors.open(checkpoint.state(), arena).tensors()));
      }
    }
    progress.resumed(course.epochs().getLast());
  }

  private void loadStaticVectors(TrainableModel model) {
    for (int i = 0; i < plan.config().inputs().size(); i++) {
      if (plan.config().inputs().get(i) instanceof SequenceInput.StaticVectors) {
        String name = "inputs." + i + ".weight";
        try (Arena arena = Arena.ofConfined()) {
          model.load(
              Weights.of(Map.of(name, data.staticVectors().orElseThrow().table(name, arena))));
        }
      }
    }
  }

  private void run(TrainingDirectory directory, TrainableModel model) throws IOException {
    SequenceInputs inputs =
        new SequenceInputs(plan.config(), plan.vocabularies(), words().orElse(null));
    Optimizer optimizer = optimizer();
    Clock clock = new Clock(optimizer.steps() - course.step());
    while (!course.ended()) {
      int number = course.epochs().size() + 1;
      List<List<Minibatches.Piece>> batches = minibatches.epoch(number);
      Progress.Epoch epoch = epoch(number, batches, model, inputs, optimizer, clock);
      Path candidate = directory.candidate();
      SequenceModelDirectory.write(
          candidate, plan.config(), plan.vocabularies(), model.weights(), options.store());
      Judgement judged = judge.judge(candidate);
      epoch = epoch.scored(judged.score());
      boolean better = course.add(epoch, batches.size(), judged);
      if (better) {
        directory.keep(candidate, number);
      }
      directory.save(number, course.best(), course.json(), model.checkpoint());
      progress.epoch(epoch, better);
    }
  }

  private Optional<WordEncoder> words() {
    boolean whole = options.crop().equals(TrainingOptions.Crop.NONE);
    List<SegmentedText> texts = whole ? examples.stream().map(Example::text).toList() : List.of();
    long room = Runtime.getRuntime().maxMemory() / 3;
    return data.encoder().map(encoder -> new KeptVectors(encoder, texts, room));
  }

  private Optimizer optimizer() {
    TrainingOptions.Schedule schedule = options.schedule();
    int steps = 0;
    for (int epoch = 1; epoch <= schedule.epochs(); epoch++) {
      steps = Math.addExact(steps, minibatches.epoch(epoch).size());
    }
    return new Optimizer(
        schedule.learningRate(),
        (int) Math.round(schedule.warmUpShare() * steps),
        steps,
        schedule.weightDecay(),
        schedule.maxNorm(),
        schedule.averaging());
  }

  /** Trains an epoch and returns it, with the score 0. */
  private Progress.Epoch epoch(
      int number,
      List<List<Minibatches.Piece>> batches,
      TrainableModel model,
      SequenceInputs inputs,
      Optimizer optimizer,
      Clock clock) {
    int step = course.step();
    RandomGenerator random = Minibatches.random(options.seed(), number, 1);
    long began = System.nanoTime();
    double loss = 0;
    long words = 0;
    long items = 0;
    for (int i = 0; i < batches.size(); i++) {
      SequenceInputs.Batch batch = inputs.read(batches.get(i).stream().map(this::text).toList());
      int[][] expected = batches.get(i).stream().flatMap(this::labels).toArray(int[][]::new);
      int scored = options.head() == Head.TAG_SOFTMAX ? batch.words() : batches.get(i).size();
      step++;
      try {
        loss += model.accumulate(batch, expected, options.dropout(), random);
        model.step(optimizer, step, 1.0 / scored);
      } catch (ArithmeticException | IllegalArgumentException e) {
        // What could be wrong with texts and labels was checked before the first step.
        throw new IllegalArgumentException(
            "training diverged in step "
                + step
                + "; a learning rate below "
                + options.schedule().learningRate()
                + " may help",
            e);
      }
      words += batch.words();
      items += scored;
      double seconds = (System.nanoTime() - began) / NANOS;
      progress.batch(
          number,
          loss / items,
          (i + 1.0) / batches.size(),
          words / seconds,
          clock.secondsLeft(optimizer.steps() - step));
    }
    return new Progress.Epoch(number, loss / items, 0, words, (System.nanoTime() - began) / NANOS);
  }

  private SegmentedText text(Minibatches.Piece piece) {
    SegmentedText text = examples.get(piece.text()).text();
    return piece.words() == text.words() ? text : text.part(piece.from(), piece.to());
  }

  private Stream<int[]> labels(Minibatches.Piece piece) {
    return Arrays.stream(labels[piece.text()]);
  }

  /** How long steps take, whatever else happens between them. */
  private static final class Clock {
    private final long began = System.nanoTime();
    private final int steps;

    Clock(int steps) {
      this.steps = steps;
    }

    double secondsLeft(int stepsLeft) {
      return (System.nanoTime() - began) / NANOS / (steps - stepsLeft) * stepsLeft;
    }
  }
}
