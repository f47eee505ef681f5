package org.lanewise.benchmarks.retrieval;

import java.util.List;
import java.util.Locale;
import org.lanewise.encoder.TextEmbedder;

/**
 * A vector for each text. Queries and documents get the prompts that {@code
 * SentenceTransformer.encode_query} and {@code encode_document} give them.
 */
public final class DenseModel implements BiEncoder<float[]> {
  private enum Similarity {
    COSINE,
    DOT,
    EUCLIDEAN,
    MANHATTAN
  }

  private final TextEmbedder embedder;
  private final Similarity similarity;

  /**
   * Compares vectors as the model's directory says, by cosine if it does not.
   *
   * @throws IllegalArgumentException if it names a similarity that is unknown
   */
  public DenseModel(TextEmbedder embedder) {
    this.embedder = embedder;
    String name = embedder.directory().similarity().orElse("cosine");
    try {
      similarity = Similarity.valueOf(name.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "[similarity_fn_name] of ["
              + embedder.directory().path()
              + "] is ["
              + name
              + "], expected cosine, dot, euclidean or manhattan",
          e);
    }
  }

  @Override
  public List<float[]> queries(List<String> texts) {
    return embed(texts, ModelPrompts.query(embedder.prompts()));
  }

  @Override
  public List<float[]> documents(List<String> texts) {
    return embed(texts, ModelPrompts.document(embedder.prompts()));
  }

  private List<float[]> embed(List<String> texts, String prompt) {
    List<float[]> vectors =
        embedder.embed(texts, prompt).stream().map(embedding -> embedding.vector()).toList();
    if (similarity == Similarity.COSINE) {
      vectors.forEach(DenseModel::normalize);
    }
    return vectors;
  }

  private static void normalize(float[] vector) {
    double squares = 0;
    for (float x : vector) {
      squares += (double) x * x;
    }
    double scale = squares == 0 ? 0 : 1 / Math.sqrt(squares);
    for (int i = 0; i < vector.length; i++) {
      vector[i] = (float) (vector[i] * scale);
    }
  }

  @Override
  public float similarity(float[] query, float[] document) {
    double sum = 0;
    for (int i = 0; i < query.length; i++) {
      double difference = (double) query[i] - document[i];
      sum +=
          switch (similarity) {
            case COSINE, DOT -> (double) query[i] * document[i];
            case EUCLIDEAN -> difference * difference;
            case MANHATTAN -> Math.abs(difference);
          };
    }
    return (float)
        switch (similarity) {
          case COSINE, DOT -> sum;
          case EUCLIDEAN -> -Math.sqrt(sum);
          case MANHATTAN -> -sum;
        };
  }
}
