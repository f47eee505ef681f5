package org.lanewise.encoder;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.head.HeadKind;
import org.lanewise.encoder.head.HeadPlan;
import org.lanewise.encoder.head.PredictionHead;

/**
 * Scores how well texts answer queries, as {@code CrossEncoder.predict} does. Thread-safe; lives as
 * long as the embedder under it.
 */
public final class TextReranker {
  private final TextEmbedder encoder;
  private final PreparedHead<TextEmbedder, PredictionHead> head;
  private final Activation activation;

  private TextReranker(TextEmbedder encoder) {
    this.encoder = encoder;
    ModelDirectory directory = encoder.directory();
    head =
        encoder.prepare(
            (backend, arena) -> {
              HeadPlan plan = directory.heads().require(HeadKind.SEQUENCE_CLASSIFICATION);
              if (plan.outputs() != 1) {
                throw new IllegalArgumentException(
                    "it has "
                        + plan.outputs()
                        + " classes "
                        + directory.heads().labels()
                        + ", expected a cross-encoder with one score; classify texts with it"
                        + " instead");
              }
              return new PredictionHead(backend, arena, plan);
            });
    activation = directory.heads().scoreActivation();
  }

  /**
   * Returns the reranker of a model that is open.
   *
   * @throws ModelException if the model has no classification head of one output
   */
  public static TextReranker over(TextEmbedder encoder) {
    return new TextReranker(encoder);
  }

  /**
   * Returns the score of each pair, in order. What is too long is cut as the reference cuts: the
   * longer of both texts loses its end first.
   *
   * @param queries first text of each pair
   * @param texts second text of each pair; as many
   */
  public float[] score(List<String> queries, List<String> texts) {
    return score(encoder.encodeAll(queries, texts.stream().map(Optional::of).toList(), ""));
  }

  /**
   * Returns the tokens of query and text. Where they are too many the text loses its end, never the
   * query.
   *
   * @throws IllegalArgumentException if the query leaves no room for the text
   */
  public EncodedText encode(String query, String text) {
    return new EncodedText(encoder.pair("query", query, text, OptionalInt.empty()), 0);
  }

  /** Returns the score of each encoded pair, in order. */
  public float[] score(List<EncodedText> pairs) {
    List<Float> scores =
        encoder.answer(
            pairs,
            head::on,
            (layers, backend, call, hidden, batch) -> {
              Matrix logits = layers.forward(backend, call, hidden, batch);
              List<Float> answers = new ArrayList<>();
              for (int i = 0; i < batch.sequences(); i++) {
                answers.add(activated(backend.read(logits, i, 1)[0]));
              }
              return answers;
            });
    float[] numbers = new float[scores.size()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = scores.get(i);
    }
    return numbers;
  }

  /** Returns whether scores may be below zero: logits and tanh, unlike a sigmoid. */
  public boolean signed() {
    return activation != Activation.SIGMOID;
  }

  private float activated(float logit) {
    return switch (activation) {
      case SIGMOID -> (float) (1 / (1 + Math.exp(-logit)));
      case TANH -> (float) Math.tanh(logit);
      case IDENTITY -> logit;
      case GELU, GELU_TANH, RELU, SILU ->
          throw new IllegalStateException("no score is made by " + activation);
    };
  }
}
