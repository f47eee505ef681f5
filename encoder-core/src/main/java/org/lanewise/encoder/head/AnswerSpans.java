package org.lanewise.encoder.head;

/** Finds the likeliest answer in the scores of where it begins and where it ends. */
public final class AnswerSpans {
  private AnswerSpans() {}

  /**
   * An answer.
   *
   * @param first its first token
   * @param last its last token
   * @param score sum of the logits of both
   */
  public record AnswerSpan(int first, int last, float score) {}

  /**
   * Returns the span of the largest score; the earliest and shortest of equal ones.
   *
   * @param start logit of each token
   * @param end logit of each token
   * @param from first token that may begin an answer
   * @param to one past the last token of an answer, more than from
   * @param mostTokens most tokens of an answer, at least 1
   */
  public static AnswerSpan best(float[] start, float[] end, int from, int to, int mostTokens) {
    if (from < 0 || from >= to || to > Math.min(start.length, end.length) || mostTokens < 1) {
      throw new IllegalArgumentException(
          "an answer of up to "
              + mostTokens
              + " of the tokens "
              + from
              + " to "
              + to
              + " was asked for, of "
              + Math.min(start.length, end.length)
              + "; expected at least one token");
    }
    AnswerSpan best = new AnswerSpan(from, from, start[from] + end[from]);
    for (int first = from; first < to; first++) {
      int longest = Math.min(to - first, mostTokens);
      for (int last = first; last < first + longest; last++) {
        float score = start[first] + end[last];
        if (score > best.score()) {
          best = new AnswerSpan(first, last, score);
        }
      }
    }
    return best;
  }
}
