package org.lanewise.cli;

import java.util.Locale;
import java.util.Optional;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelConfig.Unit;
import org.lanewise.encoder.train.TrainableModel.Dropout;
import org.lanewise.encoder.train.TrainingOptions;
import org.lanewise.encoder.weights.DataType;
import picocli.CommandLine.Option;

/** The options of {@code train} that decide what the model becomes. */
final class TrainingArguments {
  private final TrainingOptions defaults;

  @Option(
      names = "--unit",
      paramLabel = "U",
      description = "What a step reads: word, the default, or character.")
  private Unit unit;

  @Option(
      names = "--word-size",
      paramLabel = "N",
      description =
          "Numbers of a trained vector of each word, or of each character where these are the"
              + " unit; 0 for none (default: ${DEFAULT-VALUE}).")
  private int wordSize;

  @Option(
      names = "--lowercase",
      negatable = true,
      fallbackValue = "true",
      description = "Lower-cases words before their trained vectors are looked up; or does not.")
  private boolean lowercase;

  @Option(
      names = "--min-count",
      paramLabel = "N",
      description =
          "Words and characters that come less often in the training data are unknown (default:"
              + " ${DEFAULT-VALUE}).")
  private int minCount;

  @Option(
      names = "--character-size",
      paramLabel = "N",
      description =
          "Numbers of a trained vector of each character, read by an LSTM for each word; 0 for none"
              + " (default: ${DEFAULT-VALUE}).")
  private int characterSize;

  @Option(
      names = "--character-hidden-size",
      paramLabel = "N",
      description =
          "Numbers of each direction of the characters' LSTM (default: ${DEFAULT-VALUE}).")
  private int characterHiddenSize;

  @Option(
      names = "--cell",
      paramLabel = "CELL",
      description = "The network: rnn_tanh, rnn_relu, lstm, the default, lstm_peephole or gru.")
  private RecurrentCell cell;

  @Option(
      names = "--hidden-size",
      paramLabel = "N",
      description = "Numbers of each direction of a layer (default: ${DEFAULT-VALUE}).")
  private int hiddenSize;

  @Option(
      names = "--layers",
      paramLabel = "N",
      description = "Layers of the network (default: ${DEFAULT-VALUE}).")
  private int layers;

  @Option(
      names = "--bidirectional",
      negatable = true,
      fallbackValue = "true",
      description = "Reads texts backwards too, as is the default; or does not.")
  private boolean bidirectional;

  @Option(
      names = "--head",
      paramLabel = "HEAD",
      description =
          "Of a tagger: softmax, or crf, the default for labels such as B-PER and I-PER. Of a"
              + " classifier: last, mean, max, additive_attention or dot_attention; max by"
              + " default.")
  private String head;

  @Option(
      names = "--multi-label",
      description = "Of a classifier: a text has any number of classes, none included.")
  private boolean multiLabel;

  @Option(
      names = "--input-dropout",
      paramLabel = "P",
      description = "Share of the inputs that is dropped (default: ${DEFAULT-VALUE}).")
  private double inputDropout;

  @Option(
      names = "--layer-dropout",
      paramLabel = "P",
      description = "Share that is dropped between layers (default: ${DEFAULT-VALUE}).")
  private double layerDropout;

  @Option(
      names = "--state-dropout",
      paramLabel = "P",
      description = "Share that is dropped before the head (default: ${DEFAULT-VALUE}).")
  private double stateDropout;

  @Option(
      names = "--word-dropout",
      paramLabel = "P",
      description = "Share of words that are read as unknown (default: ${DEFAULT-VALUE}).")
  private double wordDropout;

  @Option(
      names = "--batch-texts",
      paramLabel = "N",
      description = "Most texts of one step (default: ${DEFAULT-VALUE}).")
  private int batchTexts;

  @Option(
      names = "--batch-words",
      paramLabel = "N",
      description = "Most words, or characters, of one step (default: ${DEFAULT-VALUE}).")
  private int batchWords;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description = "Most passes over the data (default: ${DEFAULT-VALUE}).")
  private int epochs;

  @Option(
      names = "--patience",
      paramLabel = "N",
      description =
          "Ends when the dev score has not risen for N epochs (default: ${DEFAULT-VALUE}).")
  private int patience;

  @Option(
      names = "--learning-rate",
      paramLabel = "X",
      description =
          "The highest learning rate; it rises from 0 and falls to 0 again with the last of all"
              + " epochs (default: ${DEFAULT-VALUE}).")
  private double learningRate;

  @Option(
      names = "--warm-up",
      paramLabel = "X",
      description = "Share of all steps in which it rises (default: ${DEFAULT-VALUE}).")
  private double warmUp;

  @Option(
      names = "--weight-decay",
      paramLabel = "X",
      description = "Of AdamW (default: ${DEFAULT-VALUE}).")
  private double weightDecay;

  @Option(
      names = "--max-norm",
      paramLabel = "X",
      description = "Larger gradients are scaled down to this norm (default: ${DEFAULT-VALUE}).")
  private double maxNorm;

  @Option(
      names = "--averaging",
      paramLabel = "X",
      description =
          "The model gets a moving average of the weights, of which each step keeps this share; 0"
              + " for the weights themselves (default: ${DEFAULT-VALUE}).")
  private double averaging;

  @Option(
      names = "--crop",
      paramLabel = "MIN-MAX",
      description =
          "Of a classifier: reads, each time anew, a random piece of each text, of MIN to MAX words"
              + " or characters, so that it knows short texts.")
  private String crop;

  @Option(
      names = "--share",
      paramLabel = "X",
      description =
          "Trains on a part of the texts, chosen at random: 0.25 for a quarter. Shows what more"
              + " data would bring.")
  private double share;

  @Option(
      names = "--store",
      paramLabel = "TYPE",
      description = "Format of the stored weights: f32, f16, the default, or bf16.")
  private DataType store;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Of all that is random (default: ${DEFAULT-VALUE}).")
  private long seed;

  /** Creates the options with the values that they have when they are not given. */
  TrainingArguments(TrainingOptions defaults) {
    this.defaults = defaults;
    unit = defaults.unit();
    wordSize = defaults.inputs().wordSize();
    lowercase = defaults.inputs().lowercase();
    minCount = defaults.inputs().minCount();
    characterSize = defaults.inputs().characterSize();
    characterHiddenSize = defaults.inputs().characterHiddenSize();
    cell = defaults.network().cell();
    hiddenSize = defaults.network().hiddenSize();
    layers = defaults.network().layers();
    bidirectional = defaults.network().bidirectional();
    inputDropout = defaults.dropout().inputs();
    layerDropout = defaults.dropout().layers();
    stateDropout = defaults.dropout().states();
    wordDropout = defaults.dropout().words();
    batchTexts = defaults.schedule().batchTexts();
    batchWords = defaults.schedule().batchWords();
    epochs = defaults.schedule().epochs();
    patience = defaults.schedule().patience();
    learningRate = defaults.schedule().learningRate();
    warmUp = defaults.schedule().warmUpShare();
    weightDecay = defaults.schedule().weightDecay();
    maxNorm = defaults.schedule().maxNorm();
    averaging = defaults.schedule().averaging();
    share = defaults.share();
    store = defaults.store();
    seed = defaults.seed();
  }

  /** Returns what a step reads. */
  Unit unit() {
    return unit;
  }

  /** Returns how many classes a text has. */
  Choice choice() {
    return multiLabel ? Choice.MULTI_LABEL : Choice.MULTI_CLASS;
  }

  /**
   * Returns the options.
   *
   * @param natural the head that the labels call for
   */
  TrainingOptions options(Optional<Head> natural) {
    return new TrainingOptions(
        unit,
        new TrainingOptions.Inputs(
            wordSize, lowercase, minCount, characterSize, characterHiddenSize),
        new TrainingOptions.Network(cell, hiddenSize, layers, bidirectional),
        head == null ? natural.orElse(defaults.head()) : head(),
        choice(),
        new Dropout(inputDropout, layerDropout, stateDropout, wordDropout),
        new TrainingOptions.Schedule(
            batchTexts,
            batchWords,
            epochs,
            patience,
            learningRate,
            warmUp,
            weightDecay,
            maxNorm,
            averaging),
        crop(),
        share,
        store,
        seed);
  }

  private Head head() {
    boolean tagger = TrainingOptions.tags(defaults.head());
    String name = (tagger ? "TAG_" : "CLASS_") + head.toUpperCase(Locale.ROOT);
    for (Head each : Head.values()) {
      if (each.name().equals(name)) {
        return each;
      }
    }
    throw new IllegalArgumentException(
        "--head is ["
            + head
            + "], expected "
            + (tagger ? "softmax or crf" : "last, mean, max, additive_attention or dot_attention"));
  }

  private TrainingOptions.Crop crop() {
    if (crop == null) {
      return TrainingOptions.Crop.NONE;
    }
    String[] ends = crop.split("-", -1);
    try {
      if (ends.length == 2) {
        return new TrainingOptions.Crop(Integer.parseInt(ends[0]), Integer.parseInt(ends[1]));
      }
    } catch (NumberFormatException e) {
      // Refused below, with the same words.
    }
    throw new IllegalArgumentException(
        "--crop is [" + crop + "], expected two numbers such as 20-100");
  }
}
