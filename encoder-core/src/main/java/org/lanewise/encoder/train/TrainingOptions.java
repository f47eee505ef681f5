package org.lanewise.encoder.train;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelConfig.Unit;
import org.lanewise.encoder.weights.DataType;

/**
 * What a person may choose about a training. Equal options on equal data give equal weights, bit
 * for bit, on any number of threads.
 *
 * @param unit what one step of the network reads
 * @param inputs what the network is told of each word
 * @param network the recurrent network
 * @param head what becomes of its states
 * @param choice how many classes a classifier gives a text
 * @param dropout what is switched off at random
 * @param schedule how the weights are changed, and how often
 * @param crop which pieces of the texts are read
 * @param share of the training texts that is used, above 0 and at most 1
 * @param store format of the weights in the model directory: F32, F16 or BF16
 * @param seed of all that is random
 */
public record TrainingOptions(
    Unit unit,
    Inputs inputs,
    Network network,
    Head head,
    Choice choice,
    TrainableModel.Dropout dropout,
    Schedule schedule,
    Crop crop,
    double share,
    DataType store,
    long seed) {
  private static final ObjectMapper MAPPER =
      JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

  private static final int MOST = 1 << 16;

  /**
   * The trained inputs.
   *
   * @param wordSize numbers of a trained word vector; 0 for none
   * @param lowercase whether the words of trained vectors are lower-cased
   * @param minCount how often a word must occur in the training data to get a vector of its own;
   *     characters too
   * @param characterSize numbers of a trained character vector; 0 for none
   * @param characterHiddenSize numbers per direction of the LSTM over a word's characters
   */
  public record Inputs(
      int wordSize, boolean lowercase, int minCount, int characterSize, int characterHiddenSize) {
    /** Refuses what is out of bounds. */
    public Inputs {
      check("word size", wordSize, 0, MOST);
      check("minimum count", minCount, 1, Integer.MAX_VALUE);
      check("character size", characterSize, 0, MOST);
      check("character hidden size", characterHiddenSize, 1, MOST);
    }
  }

  /**
   * The recurrent network, {@link org.lanewise.encoder.model.RecurrentConfig} without the size of
   * its input, which follows from the inputs.
   */
  public record Network(RecurrentCell cell, int hiddenSize, int layers, boolean bidirectional) {
    /** Refuses what is out of bounds. */
    public Network {
      check("hidden size", hiddenSize, 1, MOST);
      check("layers", layers, 1, 64);
    }
  }

  /**
   * The steps.
   *
   * @param batchTexts most texts of one step
   * @param batchWords most words of one step; a longer text is a step of its own
   * @param epochs most passes over the data
   * @param patience epochs without a better dev score after which training ends
   * @param learningRate the highest
   * @param warmUpShare share of all steps until it is reached
   * @param weightDecay of AdamW
   * @param maxNorm the largest norm of a gradient
   * @param averaging share that a step keeps of the moving average of the weights, which is what
   *     the model gets; 0 for the weights themselves
   */
  public record Schedule(
      int batchTexts,
      int batchWords,
      int epochs,
      int patience,
      double learningRate,
      double warmUpShare,
      double weightDecay,
      double maxNorm,
      double averaging) {
    /** Refuses what is out of bounds. */
    public Schedule {
      check("batch texts", batchTexts, 1, MOST);
      check("batch words", batchWords, 1, 1 << 20);
      check("epochs", epochs, 1, 10_000);
      check("patience", patience, 1, 10_000);
      check("learning rate", learningRate, Double.MIN_NORMAL, 10);
      check("warm-up share", warmUpShare, 0, 1);
      check("weight decay", weightDecay, 0, 10);
      check("largest norm", maxNorm, Double.MIN_NORMAL, Double.MAX_VALUE);
      check("averaging", averaging, 0, 0.9999);
    }
  }

  /**
   * Pieces that are cut out of the texts at random, anew in each epoch, for classifiers of texts
   * that are shorter than those at hand.
   *
   * @param shortest words of a piece at least, or characters where these are the unit
   * @param longest words of a piece at most; 0 for whole texts
   */
  public record Crop(int shortest, int longest) {
    /** Texts are read as they are. */
    public static final Crop NONE = new Crop(0, 0);

    /** Refuses what is out of bounds. */
    public Crop {
      check("longest piece", longest, 0, Integer.MAX_VALUE);
      check("shortest piece", shortest, Math.min(1, longest), longest);
    }
  }

  /** Refuses what is out of bounds or does not go together. */
  public TrainingOptions {
    check("share", share, Double.MIN_NORMAL, 1);
    check("input dropout", dropout.inputs(), 0, 0.99);
    check("layer dropout", dropout.layers(), 0, 0.99);
    check("state dropout", dropout.states(), 0, 0.99);
    check("word dropout", dropout.words(), 0, 0.99);
    if (tags(head) && unit == Unit.CHARACTER) {
      throw new IllegalArgumentException("a tagger reads words, so [unit] cannot be characters");
    }
    if (tags(head) && !crop.equals(Crop.NONE)) {
      throw new IllegalArgumentException("[crop] is for classifiers, a tagger reads whole texts");
    }
    if (tags(head) && choice == Choice.MULTI_LABEL) {
      throw new IllegalArgumentException(
          "[multi-label] is for classifiers, a tagger gives each word one tag");
    }
    if (unit == Unit.CHARACTER && inputs.characterSize() > 0) {
      throw new IllegalArgumentException(
          "[character size] is "
              + inputs.characterSize()
              + ", expected 0 where the unit is a character: its own vector has [word size]"
              + " numbers");
    }
    if (store != DataType.F32 && store != DataType.F16 && store != DataType.BF16) {
      throw new IllegalArgumentException("[store] is " + store + ", expected F32, F16 or BF16");
    }
  }

  private static void check(String name, double value, double least, double most) {
    if (!(value >= least && value <= most)) {
      throw new IllegalArgumentException(
          "["
              + name
              + "] is "
              + shown(value)
              + ", expected "
              + shown(least)
              + " to "
              + shown(most));
    }
  }

  private static String shown(double number) {
    return number == Math.rint(number) && Math.abs(number) < Long.MAX_VALUE
        ? Long.toString((long) number)
        : Double.toString(number);
  }

  /** Returns the defaults of a tagger, as of one of parts of speech. */
  public static TrainingOptions tagger() {
    return new TrainingOptions(
        Unit.WORD,
        new Inputs(100, false, 2, 32, 32),
        new Network(RecurrentCell.LSTM, 128, 1, true),
        Head.TAG_SOFTMAX,
        Choice.MULTI_CLASS,
        new TrainableModel.Dropout(0.3, 0.3, 0.3, 0.02),
        new Schedule(32, 2000, 30, 5, 2e-3, 0.05, 0.01, 5, 0.999),
        Crop.NONE,
        1,
        DataType.F16,
        1);
  }

  /** Returns the defaults of a classifier, as of one of sentiment. */
  public static TrainingOptions classifier() {
    return new TrainingOptions(
        Unit.WORD,
        new Inputs(100, true, 2, 0, 32),
        new Network(RecurrentCell.LSTM, 128, 1, true),
        Head.CLASS_MAX,
        Choice.MULTI_CLASS,
        new TrainableModel.Dropout(0.3, 0.3, 0.3, 0.02),
        new Schedule(64, 4000, 20, 4, 2e-3, 0.05, 0.01, 5, 0.999),
        Crop.NONE,
        1,
        DataType.F16,
        1);
  }

  /** Returns whether the head gives a tag for each word, else a class for each text. */
  public static boolean tags(Head head) {
    return head == Head.TAG_SOFTMAX || head == Head.TAG_CRF;
  }

  /** Returns the options as JSON. */
  public ObjectNode json() {
    return MAPPER.valueToTree(this);
  }
}
