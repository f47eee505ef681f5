package org.lanewise.encoder.model;

import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What an encoder is made of, and what its weights are called.
 *
 * @param family what config.json calls the architecture
 * @param sizes what users ask first
 * @param embedding what enters the first layer
 * @param plans the layers, first to last
 * @param finalNorm norm of the last layer's output
 * @param convolution what joins the first layer's output
 * @param prefixes what the names of the weights may begin with in a file, the likeliest first
 * @param weightShapes shape of every weight that the encoder needs, by its name without prefix
 * @param optionalWeightShapes shape of weights that are read where a file has them: the pooler's
 */
public record EncoderConfig(
    String family,
    EncoderSizes sizes,
    EmbeddingPlan embedding,
    List<LayerPlan> plans,
    Optional<NormPlan> finalNorm,
    Optional<ConvolutionPlan> convolution,
    List<String> prefixes,
    Map<String, List<Long>> weightShapes,
    Map<String, List<Long>> optionalWeightShapes) {

  /** Copies the lists and maps, keeping their order. */
  public EncoderConfig {
    plans = List.copyOf(plans);
    prefixes = List.copyOf(prefixes);
    weightShapes = Collections.unmodifiableMap(new LinkedHashMap<>(weightShapes));
    optionalWeightShapes = Collections.unmodifiableMap(new LinkedHashMap<>(optionalWeightShapes));
  }

  /** Returns the rows of the word embeddings. */
  public int vocabularySize() {
    return sizes.vocabularySize();
  }

  /** Returns the numbers per token between layers. */
  public int hiddenSize() {
    return sizes.hiddenSize();
  }

  /** Returns the number of layers. */
  public int layers() {
    return plans.size();
  }

  /** Returns the most tokens of one sequence. */
  public int maxPositions() {
    return sizes.maxPositions();
  }

  /** Returns the number of token types; 0 where the model does not look at them. */
  public int typeVocabularySize() {
    return sizes.typeVocabularySize();
  }

  /**
   * Returns the numbers that {@link Activations} hold for each token: what a pass takes of memory.
   */
  public int activationsPerToken() {
    long most = neighboursSize();
    for (LayerPlan plan : plans) {
      long layer = (long) queryKeyValueSize(plan) + contextSize(plan) + betweenSize(plan);
      most = Math.max(most, layer);
    }
    return Math.clamp(most + 2L * hiddenSize() + sideSize(), 0, Integer.MAX_VALUE);
  }

  /** Returns the numbers of the tables of positions that are made when the encoder is prepared. */
  public long positionNumbers() {
    Set<Object> made = new HashSet<>();
    long numbers = 0;
    for (LayerPlan plan : plans) {
      LayerPlan.Attention attention = plan.attention();
      if (attention.rotary().isPresent() && made.add(attention.rotary().get())) {
        numbers += 2L * attention.rotary().get().frequencies().size() * maxPositions();
      }
      boolean table =
          attention.bias() instanceof BiasPlan.Buckets
              || attention.bias() instanceof BiasPlan.Alibi;
      if (table && made.add(attention.bias())) {
        numbers += 2L * attention.heads() * maxPositions();
      }
    }
    return numbers;
  }

  static int queryKeyValueSize(LayerPlan plan) {
    LayerPlan.Attention attention = plan.attention();
    return (attention.heads() + 2 * attention.keyValueHeads()) * attention.headSize();
  }

  static int contextSize(LayerPlan plan) {
    return plan.attention().heads() * plan.attention().headSize();
  }

  static int betweenSize(LayerPlan plan) {
    return plan.feedForward().input().outputSize();
  }

  /** Returns the columns that the convolution reads; 0 where there is none. */
  int neighboursSize() {
    return convolution.map(plan -> Math.multiplyExact(plan.width(), hiddenSize())).orElse(0);
  }

  /** Returns the columns that embeddings and convolution need beside the hidden states. */
  int sideSize() {
    int embedded = embedding.projection().isPresent() ? embedding.size() : 0;
    int convolved = convolution.isPresent() ? hiddenSize() : 0;
    return Math.max(embedded, convolved);
  }
}
