package org.lanewise.benchmarks.retrieval;

import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.Prompts;
import org.lanewise.encoder.SparseEmbedder;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.head.SparseVector;

/** Weights of tokens for each text, nothing pruned, compared by their dot product: SPLADE. */
public final class SparseModel implements BiEncoder<SparseVector> {
  private final SparseEmbedder embedder;
  private final Prompts prompts;

  /** Uses the masked-language head of a model that stays open. */
  public SparseModel(TextEmbedder encoder) {
    embedder = SparseEmbedder.over(encoder);
    prompts = encoder.prompts();
  }

  @Override
  public List<SparseVector> queries(List<String> texts) {
    return embed(texts, ModelPrompts.query(prompts));
  }

  @Override
  public List<SparseVector> documents(List<String> texts) {
    return embed(texts, ModelPrompts.document(prompts));
  }

  private List<SparseVector> embed(List<String> texts, String prompt) {
    return embedder.embed(texts, Collections.nCopies(texts.size(), Optional.empty()), prompt);
  }

  @Override
  public float similarity(SparseVector query, SparseVector document) {
    int[] a = query.ids();
    int[] b = document.ids();
    double sum = 0;
    int j = 0;
    for (int i = 0; i < a.length; i++) {
      while (j < b.length && b[j] < a[i]) {
        j++;
      }
      if (j < b.length && b[j] == a[i]) {
        sum += (double) query.weights()[i] * document.weights()[j];
      }
    }
    return (float) sum;
  }
}
