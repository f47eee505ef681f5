package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.head.HeadKind;
import org.lanewise.encoder.head.MaskedLanguageHead;
import org.lanewise.encoder.head.SparseVector;

/**
 * Turns texts into sparse vectors over the vocabulary, as {@code SparseEncoder.encode} does:
 * SPLADE. Thread-safe; lives as long as the embedder under it.
 */
public final class SparseEmbedder {
  private final TextEmbedder encoder;
  private final PreparedHead<TextEmbedder, MaskedLanguageHead> head;

  private SparseEmbedder(TextEmbedder encoder) {
    this.encoder = encoder;
    ModelDirectory directory = encoder.directory();
    head =
        encoder.prepare(
            (backend, arena) ->
                new MaskedLanguageHead(
                    backend,
                    arena,
                    directory.heads().require(HeadKind.MASKED_LM),
                    directory.sparsePooling()));
  }

  /**
   * Returns the sparse embedder of a model that is open.
   *
   * @throws ModelException if the model has no masked-language head
   */
  public static SparseEmbedder over(TextEmbedder encoder) {
    return new SparseEmbedder(encoder);
  }

  /** Returns the sparse vectors of the texts, in order, with the model's default prompt. */
  public List<SparseVector> embed(List<String> texts) {
    return embed(
        texts, Collections.nCopies(texts.size(), Optional.empty()), encoder.prompts().byDefault());
  }

  /**
   * Returns the sparse vectors of texts of which some have a second text.
   *
   * @param pairs the second text of each text; as many as texts
   * @param prompt goes in front of every text; empty for none
   */
  public List<SparseVector> embed(List<String> texts, List<Optional<String>> pairs, String prompt) {
    return encoder.answer(
        encoder.encodeAll(texts, pairs, prompt), head::on, MaskedLanguageHead::forward);
  }

  /**
   * Returns the sparse vector of a question, as {@code SparseEncoder.encode_query} does. A
   * directory with weights of tokens in questions needs no forward pass for it.
   *
   * @param prompt goes in front of the text; empty for none
   */
  public SparseVector embedQuery(String text, String prompt) {
    return queryWeights(encoder, text, prompt)
        .orElseGet(() -> embed(List.of(text), List.of(Optional.empty()), prompt).getFirst());
  }

  /** Returns the weights of the question's tokens; empty where the model has no such table. */
  static Optional<SparseVector> queryWeights(TextEmbedder encoder, String text, String prompt) {
    return encoder
        .directory()
        .queryTokenWeights()
        .map(
            weights -> {
              int[] ids =
                  IntStream.of(encoder.queryTokens(prompt + text))
                      .distinct()
                      .sorted()
                      .filter(id -> id < weights.elements() && weights.get(id) > 0)
                      .toArray();
              float[] numbers = new float[ids.length];
              for (int i = 0; i < ids.length; i++) {
                numbers[i] = weights.get(ids[i]);
              }
              return new SparseVector(ids, numbers);
            });
  }

  /**
   * Returns the sparse vectors of a batch.
   *
   * @param computed what computed the hidden states: the embedder under this one, or its stand-in
   */
  List<SparseVector> forward(
      TextEmbedder computed, Backend backend, Arena call, Matrix hidden, PackedBatch batch) {
    return head.on(computed).forward(backend, call, hidden, batch);
  }

  /**
   * Returns the weights of a vector by the tokens that they belong to, in the vector's order. Rows
   * with which models fill up their vocabulary are no tokens and left out.
   */
  public Map<String, Float> tokens(SparseVector vector) {
    Map<String, Float> tokens = new LinkedHashMap<>();
    for (int i = 0; i < vector.size(); i++) {
      if (vector.ids()[i] < encoder.directory().tokenizer().vocabularySize()) {
        String token = encoder.directory().tokenizer().token(vector.ids()[i]);
        tokens.merge(token, vector.weights()[i], Math::max);
      }
    }
    return tokens;
  }
}
