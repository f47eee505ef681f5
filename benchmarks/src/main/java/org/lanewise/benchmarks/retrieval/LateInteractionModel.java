package org.lanewise.benchmarks.retrieval;

import java.util.List;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TokenEmbedder;
import org.lanewise.encoder.TokenEmbedder.Role;
import org.lanewise.encoder.head.TokenVectorHead;

/** A vector for each token, compared by MaxSim: ColBERT. */
public final class LateInteractionModel implements BiEncoder<float[][]> {
  private final TokenEmbedder embedder;

  /** Uses a ColBERT model that stays open. */
  public LateInteractionModel(TextEmbedder encoder) {
    embedder = TokenEmbedder.over(encoder);
  }

  @Override
  public List<float[][]> queries(List<String> texts) {
    return embed(texts, Role.QUERY);
  }

  @Override
  public List<float[][]> documents(List<String> texts) {
    return embed(texts, Role.DOCUMENT);
  }

  private List<float[][]> embed(List<String> texts, Role role) {
    return embedder.embed(texts, role).stream().map(read -> read.vectors()).toList();
  }

  @Override
  public float similarity(float[][] query, float[][] document) {
    return TokenVectorHead.maxSim(query, document);
  }
}
