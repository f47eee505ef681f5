package org.lanewise.encoder.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceInputs;
import org.lanewise.encoder.model.SequenceModelConfig;

/** What a model knows of each word: lookups and characters, joined. */
final class TrainableInputs {
  private final TrainingBackend backend;
  private final List<Source> sources = new ArrayList<>();
  private final int size;

  /** One input, and where it begins in the joined ones. */
  private sealed interface Source {
    record Table(Parameter vectors, int column) implements Source {}

    record Characters(
        Parameter vectors,
        TrainableRecurrence recurrence,
        int hiddenSize,
        int directions,
        int column)
        implements Source {}

    record Encoder(int size, int column) implements Source {}
  }

  /** What the backward pass of an input needs. */
  private sealed interface Kept {
    /** Row of the table for each word. */
    record Rows(int[] rows) implements Kept {}

    /**
     * Characters.
     *
     * @param rows of the table, for each character
     * @param lastStates for each direction the row of each word among the states after the last
     *     step
     */
    record Characters(int[] rows, TrainableRecurrence.Pass pass, List<int[]> lastStates)
        implements Kept {}

    /** Nothing is learned from it. */
    record Nothing() implements Kept {}
  }

  /**
   * A forward pass.
   *
   * @param joined (words, size)
   */
  record Pass(Matrix joined, List<Kept> kept) {}

  /**
   * Adds the weights to the parameters.
   *
   * @param rows for each input the rows of its table
   */
  TrainableInputs(
      TrainingBackend backend,
      Parameters parameters,
      SequenceModelConfig config,
      List<Integer> rows) {
    this.backend = backend;
    int column = 0;
    for (int i = 0; i < config.inputs().size(); i++) {
      SequenceInput input = config.inputs().get(i);
      String scope = "inputs." + i + ".";
      sources.add(
          switch (input) {
            case SequenceInput.WordVectors vectors ->
                new Source.Table(
                    parameters.addWeight(
                        scope + "weight", rows.get(i), vectors.size(), bound(vectors.size())),
                    column);
            case SequenceInput.StaticVectors vectors ->
                new Source.Table(
                    parameters.add(
                        Parameter.Kind.FROZEN,
                        rows.get(i),
                        vectors.size(),
                        0,
                        List.of(
                            Parameter.Slice.rows(
                                scope + "weight", 0, rows.get(i), vectors.size()))),
                    column);
            case SequenceInput.Characters characters ->
                new Source.Characters(
                    parameters.addWeight(
                        scope + "embedding.weight",
                        rows.get(i),
                        characters.embeddingSize(),
                        bound(characters.embeddingSize())),
                    new TrainableRecurrence(
                        backend, parameters, scope + "recurrent.", characters.recurrent()),
                    characters.recurrent().hiddenSize(),
                    characters.recurrent().directions(),
                    column);
            case SequenceInput.EncoderVectors vectors -> new Source.Encoder(vectors.size(), column);
          });
      column += input.size();
    }
    size = column;
  }

  private static double bound(int size) {
    return Math.sqrt(3.0 / size);
  }

  /**
   * Returns how many of the joined columns, from the first on, hold all that anything is learned
   * from; the rest need no gradient.
   */
  int trainedColumns() {
    int columns = 0;
    for (Source source : sources) {
      columns =
          switch (source) {
            case Source.Table table ->
                table.vectors().kind() == Parameter.Kind.FROZEN
                    ? columns
                    : table.column() + table.vectors().value().columns();
            case Source.Characters characters ->
                characters.column() + characters.directions() * characters.hiddenSize();
            case Source.Encoder encoder -> columns;
          };
    }
    return columns;
  }

  /**
   * Returns the joined inputs of the words.
   *
   * @param wordDropout share of words whose trained vector is that of unknown words
   */
  Pass forward(
      Workspace workspace, SequenceInputs.Batch batch, double wordDropout, RandomGenerator random) {
    if (batch.parts().size() != sources.size()) {
      throw new IllegalArgumentException(
          "[batch] has " + batch.parts().size() + " inputs, expected " + sources.size());
    }
    Matrix joined = workspace.matrix(batch.words(), size);
    List<Kept> kept = new ArrayList<>();
    for (int i = 0; i < sources.size(); i++) {
      Source source = sources.get(i);
      SequenceInputs.Part part = batch.parts().get(i);
      if (source instanceof Source.Table table
          && part instanceof SequenceInputs.Part.Rows(int[] rows)) {
        double dropout = table.vectors().kind() == Parameter.Kind.FROZEN ? 0 : wordDropout;
        kept.add(lookUp(table, ofWords(rows, batch.distinct(), i), dropout, random, joined, i));
      } else if (source instanceof Source.Characters characters
          && part instanceof SequenceInputs.Part.CharacterRows spelled) {
        kept.add(spell(workspace, characters, spelled, batch.distinct(), random, joined, i));
      } else if (source instanceof Source.Encoder encoder
          && part instanceof SequenceInputs.Part.Vectors(float[][] vectors)) {
        copy(encoder, vectors, joined, i);
        kept.add(new Kept.Nothing());
      } else {
        throw new IllegalArgumentException(
            "input ["
                + i
                + "] is "
                + part.getClass().getSimpleName()
                + ", which is not what the configuration says");
      }
    }
    return new Pass(joined, kept);
  }

  private Kept lookUp(
      Source.Table table,
      int[] rows,
      double dropout,
      RandomGenerator random,
      Matrix joined,
      int input) {
    checkRows(rows, table.vectors().value().rows(), input);
    for (int word = 0; word < rows.length && dropout > 0; word++) {
      rows[word] = random.nextDouble() < dropout ? 0 : rows[word];
    }
    backend.gather(table.vectors().value(), rows, joined, table.column());
    return new Kept.Rows(rows);
  }

  private Kept spell(
      Workspace workspace,
      Source.Characters source,
      SequenceInputs.Part.CharacterRows spelled,
      int[] distinct,
      RandomGenerator random,
      Matrix joined,
      int input) {
    int words = spelled.starts().length - 1;
    checkStarts(spelled.starts(), spelled.rows().length, "characters of input [" + input + "]");
    checkRows(spelled.rows(), source.vectors().value().rows(), input);
    Matrix vectors = workspace.matrix(spelled.rows().length, source.vectors().value().columns());
    backend.gather(source.vectors().value(), spelled.rows(), vectors, 0);
    TrainableRecurrence recurrence = source.recurrence();
    TrainableRecurrence.Pass pass =
        recurrence.forward(
            workspace,
            vectors,
            spelled.starts(),
            recurrence.zeroStates(workspace, words),
            0,
            random);
    List<int[]> lastStates = new ArrayList<>();
    for (int direction = 0; direction < source.directions(); direction++) {
      int[] states = new int[words];
      for (int word = 0; word < words; word++) {
        states[word] = direction * words + word;
      }
      lastStates.add(ofWords(states, distinct, input));
      backend.gather(
          pass.after().getLast().firstColumns(source.hiddenSize()),
          lastStates.getLast(),
          joined,
          source.column() + direction * source.hiddenSize());
    }
    return new Kept.Characters(spelled.rows(), pass, lastStates);
  }

  private void copy(Source.Encoder source, float[][] vectors, Matrix joined, int input) {
    if (vectors.length != joined.rows()) {
      throw new IllegalArgumentException(
          "input [" + input + "] has " + vectors.length + " vectors, expected " + joined.rows());
    }
    for (int word = 0; word < vectors.length; word++) {
      if (vectors[word].length != source.size()) {
        throw new IllegalArgumentException(
            "vector ["
                + word
                + "] of input ["
                + input
                + "] has "
                + vectors[word].length
                + " numbers, expected "
                + source.size());
      }
      backend.write(vectors[word], joined, word, source.column());
    }
  }

  /**
   * Adds the gradients by the weights.
   *
   * @param joinedGradient (words, at least {@link #trainedColumns})
   */
  void backward(Workspace workspace, Pass pass, Matrix joinedGradient) {
    for (int i = 0; i < sources.size(); i++) {
      Source source = sources.get(i);
      switch (pass.kept().get(i)) {
        case Kept.Nothing nothing -> {}
        case Kept.Rows(int[] rows) -> {
          Source.Table table = (Source.Table) source;
          if (table.vectors().kind() != Parameter.Kind.FROZEN) {
            backend.scatterAdd(joinedGradient, table.column(), rows, table.vectors().gradient());
          }
        }
        case Kept.Characters kept ->
            backward(workspace, (Source.Characters) source, kept, joinedGradient);
      }
    }
  }

  private void backward(
      Workspace workspace, Source.Characters source, Kept.Characters kept, Matrix joinedGradient) {
    TrainableRecurrence recurrence = source.recurrence();
    TrainableRecurrence.Pass pass = kept.pass();
    int words = pass.sequenceStarts().length - 1;
    List<Matrix> stateGradients = recurrence.zeroStates(workspace, words);
    for (int direction = 0; direction < source.directions(); direction++) {
      backend.scatterAdd(
          joinedGradient,
          source.column() + direction * source.hiddenSize(),
          kept.lastStates().get(direction),
          stateGradients.getLast().firstColumns(source.hiddenSize()));
    }
    Matrix outputGradient = workspace.zeros(pass.output().rows(), pass.output().columns());
    Matrix vectorGradient =
        workspace.matrix(kept.rows().length, source.vectors().value().columns());
    recurrence.backward(
        workspace, pass, outputGradient, stateGradients, Optional.of(vectorGradient));
    backend.scatterAdd(vectorGradient, 0, kept.rows(), source.vectors().gradient());
  }

  /** Returns what belongs to each word, given what belongs to each distinct one. */
  private static int[] ofWords(int[] ofDistinct, int[] distinct, int input) {
    int[] ofWords = new int[distinct.length];
    for (int word = 0; word < ofWords.length; word++) {
      if (distinct[word] < 0 || distinct[word] >= ofDistinct.length) {
        throw new IllegalArgumentException(
            "word ["
                + word
                + "] is distinct word "
                + distinct[word]
                + ", of which input ["
                + input
                + "] has "
                + ofDistinct.length);
      }
      ofWords[word] = ofDistinct[distinct[word]];
    }
    return ofWords;
  }

  private static void checkRows(int[] rows, int tableRows, int input) {
    for (int row : rows) {
      if (row < 0 || row >= tableRows) {
        throw new IllegalArgumentException(
            "row ["
                + row
                + "] of input ["
                + input
                + "] is beyond its table of "
                + tableRows
                + " rows");
      }
    }
  }

  /** Refuses starts that are not those of sequences of at least one step each. */
  static void checkStarts(int[] starts, int steps, String what) {
    boolean fits = starts.length > 1 && starts[0] == 0 && starts[starts.length - 1] == steps;
    for (int i = 1; i < starts.length; i++) {
      fits &= starts[i] > starts[i - 1];
    }
    if (!fits) {
      throw new IllegalArgumentException(
          "the starts of the " + what + " are not 0, ascending, and at last " + steps);
    }
  }
}
