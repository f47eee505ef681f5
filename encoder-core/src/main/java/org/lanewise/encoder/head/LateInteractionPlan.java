package org.lanewise.encoder.head;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * How a ColBERT model makes vectors of tokens.
 *
 * @param modules Dense and Normalize, which every token's state goes through
 * @param query how queries are read
 * @param document how documents are read
 * @param skipped ids of tokens that have no vector on the sides that skip: punctuation
 * @param expansion what fills queries up
 */
public record LateInteractionPlan(
    List<SentenceModule> modules,
    Side query,
    Side document,
    Set<Integer> skipped,
    Optional<Expansion> expansion) {
  /** Copies the list and the set. */
  public LateInteractionPlan {
    modules = List.copyOf(modules);
    skipped = Set.copyOf(skipped);
  }

  /**
   * How texts of one kind are read.
   *
   * @param prompt what goes in front of the text, where there is no marker
   * @param marker id of the token that follows the first special one
   * @param length most tokens, special ones included
   * @param skips whether tokens that are skipped have no vector
   */
  public record Side(String prompt, OptionalInt marker, OptionalInt length, boolean skips) {}

  /**
   * Tokens that follow a query and are scored like its own.
   *
   * @param token id of each of them: [MASK]
   * @param length tokens of a query, filled up
   * @param cut whether longer queries are cut to that length
   * @param read whether other tokens read them; they always read the query's own
   */
  public record Expansion(int token, int length, boolean cut, boolean read) {}
}
