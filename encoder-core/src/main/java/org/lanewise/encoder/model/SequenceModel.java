package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/**
 * Inputs, joined per word, and the recurrent network over them: all of a tagger or classifier but
 * its head. Immutable once prepared, and thread-safe; prepared weights live as long as the arena,
 * tables of words and characters are read where they lie.
 */
public final class SequenceModel {
  private final SequenceModelConfig config;
  private final List<Table> tables = new ArrayList<>();
  private final RecurrentNetwork network;

  /** What one input reads; the encoder's reads nothing. */
  private sealed interface Table {
    record Words(Tensor vectors) implements Table {}

    record Characters(Tensor embeddings, RecurrentNetwork network) implements Table {}

    record None() implements Table {}
  }

  /**
   * Prepares the weights for the backend.
   *
   * @param weights under the names of {@link SequenceModelConfig#weightShapes}
   */
  public SequenceModel(Backend backend, Arena arena, Weights weights, SequenceModelConfig config) {
    this.config = config;
    for (int i = 0; i < config.inputs().size(); i++) {
      Weights scope = weights.in("inputs." + i);
      tables.add(
          switch (config.inputs().get(i)) {
            case SequenceInput.WordVectors words -> new Table.Words(scope.tensor("weight"));
            case SequenceInput.StaticVectors words -> new Table.Words(scope.tensor("weight"));
            case SequenceInput.Characters characters ->
                new Table.Characters(
                    scope.tensor("embedding.weight"),
                    new RecurrentNetwork(
                        backend, arena, scope.in("recurrent"), characters.recurrent()));
            case SequenceInput.EncoderVectors vectors -> new Table.None();
          });
    }
    network = new RecurrentNetwork(backend, arena, weights.in("recurrent"), config.recurrent());
  }

  /** Returns what the model is made of. */
  public SequenceModelConfig config() {
    return config;
  }

  /**
   * Returns the states of all words, (words, states), in the memory of {@code state}.
   *
   * @param state large enough for the batch
   */
  public Matrix forward(Backend backend, SequenceInputs.Batch batch, SequenceActivations state) {
    int sequences = batch.sequenceStarts().length - 1;
    Matrix joined = state.joined().firstRows(batch.words());
    int column = 0;
    for (int i = 0; i < tables.size(); i++) {
      float[][] vectors =
          switch (batch.parts().get(i)) {
            case SequenceInputs.Part.Rows part -> words((Table.Words) tables.get(i), part);
            case SequenceInputs.Part.CharacterRows part ->
                characters(
                    backend,
                    (Table.Characters) tables.get(i),
                    part,
                    state.characters().get(i).orElseThrow());
            case SequenceInputs.Part.Vectors part -> part.vectors();
          };
      boolean perWord = batch.parts().get(i) instanceof SequenceInputs.Part.Vectors;
      for (int word = 0; word < batch.words(); word++) {
        float[] vector = vectors[perWord ? word : batch.distinct()[word]];
        backend.write(vector, joined, word, column);
      }
      column += config.inputs().get(i).size();
    }
    RecurrentActivations recurrent =
        state.recurrent().forBatch(batch.words(), sequences, config.recurrent().directions());
    return network.forward(backend, joined, batch.sequenceStarts(), recurrent);
  }

  private static float[][] words(Table.Words table, SequenceInputs.Part.Rows part) {
    float[][] vectors = new float[part.rows().length][];
    for (int i = 0; i < vectors.length; i++) {
      vectors[i] = table.vectors().row(part.rows()[i]);
    }
    return vectors;
  }

  /** Runs the network of characters over some words at a time, as many as the state holds. */
  private static float[][] characters(
      Backend backend,
      Table.Characters table,
      SequenceInputs.Part.CharacterRows part,
      SequenceActivations.Characters state) {
    int[] starts = part.starts();
    float[][] vectors = new float[starts.length - 1][];
    for (int first = 0; first < vectors.length; ) {
      int end = first + 1;
      while (end < vectors.length
          && end - first < state.words()
          && starts[end + 1] - starts[first] <= state.embedded().rows()) {
        end++;
      }
      int[] wordStarts = new int[end - first + 1];
      for (int i = 0; i < wordStarts.length; i++) {
        wordStarts[i] = starts[first + i] - starts[first];
      }
      int read = wordStarts[end - first];
      Matrix embedded = state.embedded().firstRows(read);
      for (int i = 0; i < read; i++) {
        backend.write(table.embeddings().row(part.rows()[starts[first] + i]), embedded, i, 0);
      }
      RecurrentConfig config = table.network().config();
      RecurrentActivations recurrent =
          state.recurrent().forBatch(read, end - first, config.directions());
      table.network().forward(backend, embedded, wordStarts, recurrent);
      Matrix last = recurrent.states().getLast();
      for (int word = 0; word < end - first; word++) {
        float[] vector = new float[config.outputSize()];
        for (int direction = 0; direction < config.directions(); direction++) {
          float[] hidden =
              backend.read(last, direction * (end - first) + word, config.hiddenSize());
          System.arraycopy(hidden, 0, vector, direction * hidden.length, hidden.length);
        }
        vectors[first + word] = vector;
      }
      first = end;
    }
    return vectors;
  }
}
