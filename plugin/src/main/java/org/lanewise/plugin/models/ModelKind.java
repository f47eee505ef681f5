package org.lanewise.plugin.models;

import java.util.Locale;

/** What a model makes of a text. */
public enum ModelKind {
  /** A vector. */
  ENCODER("an encoder", "lanewise_embed"),
  /** Spans, or a tag for each word. */
  TAGGER("a tagger", "lanewise_tag"),
  /** A class. */
  CLASSIFIER("a classifier", "lanewise_tag"),
  /** A score of how well it answers a query. */
  RERANKER("a reranker", "lanewise_rerank"),
  /** The answer to a question. */
  ANSWERER("a model that answers questions", "lanewise_answer");

  private final String inWords;
  private final String feature;

  ModelKind(String inWords, String feature) {
    this.inWords = inWords;
    this.feature = feature;
  }

  /** Returns the kind as answers name it. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * Returns what is wrong where a model of this kind was named in place of another.
   *
   * @param id the model
   * @param expected what kind was wanted, in words
   */
  public String misnamed(String id, String expected) {
    return "[" + id + "] is " + inWords + ", expected " + expected;
  }

  /** Returns the processor, retriever or highlighter that uses models of this kind. */
  public String feature() {
    return feature;
  }
}
