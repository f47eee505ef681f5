package org.lanewise.plugin.ingest;

import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.OptionalInt;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.head.ElementType;
import org.lanewise.encoder.head.SparseVector.Pruning;
import org.lanewise.encoder.head.StoredTokenVectors;
import org.lanewise.encoder.head.StoredTokenVectors.Encoding;
import org.lanewise.plugin.encode.DenseForm;
import org.lanewise.plugin.models.Encoded;

/** What is written into a field of what an encoder made of a text. */
sealed interface OutputForm {
  /** Returns what the encoder is asked for. */
  Output output();

  /** Returns the value of the field. */
  Object render(String modelId, Encoded answer);

  /** Returns what a field's name is followed by where its target is not named. */
  String suffix();

  /**
   * Reads the options that stand beside a field: {@code output}, and those of each output.
   *
   * @throws org.elasticsearch.ElasticsearchException naming the option that is wrong
   */
  static OutputForm read(ProcessorOptions options) {
    return switch (options.choice("output", Output.DENSE)) {
      case DENSE ->
          new Dense(
              new DenseForm(
                  dimensions(options), options.choice("element_type", ElementType.FLOAT)));
      case SPARSE ->
          new Sparse(options.object("pruning", OutputForm::pruning).orElse(Pruning.NONE));
      case MULTI_VECTOR -> new MultiVector(options.choice("encoding", Encoding.INT8));
    };
  }

  private static OptionalInt dimensions(ProcessorOptions options) {
    return options
        .wholeNumber("dimensions", 1, Integer.MAX_VALUE)
        .map(OptionalInt::of)
        .orElse(OptionalInt.empty());
  }

  private static Pruning pruning(ProcessorOptions options) {
    return new Pruning(
        options.wholeNumber("top_k", 1, Integer.MAX_VALUE).orElse(Pruning.NONE.topK()),
        options.number("max_ratio", 0, 1).orElse(Pruning.NONE.maxRatio()),
        options.number("abs_value", 0, Float.MAX_VALUE).orElse(Pruning.NONE.absValue()));
  }

  /** An array of numbers, for a {@code dense_vector} field. */
  record Dense(DenseForm form) implements OutputForm {
    @Override
    public Output output() {
      return Output.DENSE;
    }

    @Override
    public List<Number> render(String modelId, Encoded answer) {
      float[] vector = form.of(modelId, answer.vector());
      List<Number> numbers = new ArrayList<>(vector.length);
      for (float value : vector) {
        if (form.type() == ElementType.FLOAT) {
          numbers.add(value);
        } else {
          numbers.add((int) value);
        }
      }
      return numbers;
    }

    @Override
    public String suffix() {
      return "_vector";
    }
  }

  /** An object of weights by token, for a {@code sparse_vector} field. */
  record Sparse(Pruning pruning) implements OutputForm {
    @Override
    public Output output() {
      return Output.SPARSE;
    }

    @Override
    public Object render(String modelId, Encoded answer) {
      return answer.weights(pruning);
    }

    @Override
    public String suffix() {
      return "_sparse";
    }
  }

  /** The vectors of all tokens as a text in Base64, for a {@code binary} field. */
  record MultiVector(Encoding encoding) implements OutputForm {
    @Override
    public Output output() {
      return Output.MULTI_VECTOR;
    }

    @Override
    public Object render(String modelId, Encoded answer) {
      float[][] vectors = answer.multiVector().orElseThrow();
      return Base64.getEncoder().encodeToString(StoredTokenVectors.write(vectors, encoding));
    }

    @Override
    public String suffix() {
      return "_tokens";
    }
  }
}
