package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.head.EncoderHeads;
import org.lanewise.encoder.head.HeadKind;
import org.lanewise.encoder.head.HeadPlan;
import org.lanewise.encoder.head.PredictionHead;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;

/** Classifies texts, and pairs of texts, by an encoder that was trained to. */
final class EncoderClassifier implements ClassReader {
  private final TextEmbedder encoder;
  private final EncoderHeads heads;
  private final PreparedHead<TextEmbedder, PredictionHead> head;

  private EncoderClassifier(TextEmbedder encoder) {
    this.encoder = encoder;
    heads = encoder.directory().heads();
    head =
        encoder.prepare(
            (backend, arena) -> {
              HeadPlan plan = heads.require(HeadKind.SEQUENCE_CLASSIFICATION);
              if (plan.outputs() == 1) {
                throw new IllegalArgumentException(
                    "it has one output "
                        + heads.labels()
                        + ", expected two classes or more; it is a cross-encoder: rerank with it"
                        + " instead");
              }
              return new PredictionHead(backend, arena, plan);
            });
  }

  /**
   * Returns the classifier of a model that is open, which it closes with itself.
   *
   * @throws ModelException if the model has no such head
   */
  static EncoderClassifier over(TextEmbedder encoder) {
    return new EncoderClassifier(encoder);
  }

  static EncoderClassifier open(Path directory, EmbedderOptions options) {
    TextEmbedder encoder = TextEmbedder.open(ModelDirectory.open(directory), options);
    try {
      return over(encoder);
    } catch (RuntimeException | Error e) {
      encoder.close();
      throw e;
    }
  }

  @Override
  public List<ClassScores> classify(List<String> texts, List<Optional<String>> pairs) {
    return encoder.answer(encoder.encodeAll(texts, pairs, ""), head::on, this::scores);
  }

  /**
   * Returns the scores of each sequence.
   *
   * @param computed what computed the hidden states: the embedder under this one, or its stand-in
   */
  List<ClassScores> scores(
      TextEmbedder computed, Backend backend, Arena call, Matrix hidden, PackedBatch batch) {
    return scores(head.on(computed), backend, call, hidden, batch);
  }

  private List<ClassScores> scores(
      PredictionHead layers, Backend backend, Arena call, Matrix hidden, PackedBatch batch) {
    Matrix logits = layers.forward(backend, call, hidden, batch);
    List<ClassScores> scores = new ArrayList<>();
    for (int i = 0; i < batch.sequences(); i++) {
      float[] row = backend.read(logits, i, layers.outputs());
      double[] numbers = new double[row.length];
      for (int label = 0; label < row.length; label++) {
        numbers[label] = row[label];
      }
      scores.add(ClassScores.of(heads.labels(), heads.choice(), numbers));
    }
    return scores;
  }

  @Override
  public List<String> labels() {
    return heads.labels();
  }

  @Override
  public Choice choice() {
    return heads.choice();
  }

  @Override
  public int length(String text) {
    return encoder.encode(text, "").length();
  }

  @Override
  public boolean cuts(String text) {
    return encoder.encode(text, "").tokens().truncated();
  }

  @Override
  public Backend backend() {
    return encoder.alone();
  }

  @Override
  public Optional<DeviceReport> deviceReport() {
    return encoder.deviceReport();
  }

  @Override
  public void warmUp(Consumer<List<String>> reader) {
    encoder.warmUp();
  }

  @Override
  public void close() {
    encoder.close();
  }
}
