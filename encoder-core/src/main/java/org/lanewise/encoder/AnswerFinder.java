package org.lanewise.encoder;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.head.AnswerSpans;
import org.lanewise.encoder.head.HeadKind;
import org.lanewise.encoder.head.PredictionHead;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.tokenizer.Truncation;

/**
 * Finds the answer to a question in a text. Thread-safe; lives as long as the embedder under it.
 */
public final class AnswerFinder {
  /** Most tokens of an answer, as in the pipeline of transformers. */
  public static final int USUAL_TOKENS = 15;

  private final TextEmbedder encoder;
  private final PredictionHead head;

  /**
   * A piece of a text.
   *
   * @param text the piece as it stands there
   * @param score sum of the logits of its first and its last token; comparable between texts of the
   *     same question
   * @param start first UTF-16 unit in the text
   * @param end the UTF-16 unit after it
   */
  public record Answer(String text, float score, int start, int end) {}

  private AnswerFinder(TextEmbedder encoder) {
    this.encoder = encoder;
    head =
        encoder.prepare(
            (backend, arena) ->
                new PredictionHead(
                    backend,
                    arena,
                    encoder.directory().heads().require(HeadKind.QUESTION_ANSWERING)));
  }

  /**
   * Returns the finder of a model that is open.
   *
   * @throws ModelException if the model has no question answering head
   */
  public static AnswerFinder over(TextEmbedder encoder) {
    return new AnswerFinder(encoder);
  }

  /**
   * Returns the best answer; none where the text has no tokens. A text that is too long is read in
   * windows that overlap by a quarter, each after the question.
   *
   * @param mostTokens most tokens of the answer
   * @throws IllegalArgumentException if the question leaves no room for the text
   */
  public Optional<Answer> answer(String question, String text, int mostTokens) {
    String read = encoder.casedInPlace(text);
    List<Tokens> windows = new ArrayList<>();
    Tokens first =
        encoder.tokens(
            question,
            Optional.of(read),
            new Truncation(
                encoder.maxLength(),
                OptionalInt.empty(),
                Truncation.Strategy.ONLY_SECOND,
                Truncation.Direction.RIGHT));
    windows.add(first);
    if (first.truncated()) {
      int overlap = (last(first) - first(first)) / 4;
      Truncation truncation =
          new Truncation(
              encoder.maxLength(),
              OptionalInt.of(overlap),
              Truncation.Strategy.ONLY_SECOND,
              Truncation.Direction.RIGHT);
      windows.addAll(encoder.tokens(question, Optional.of(read), truncation).overflow());
    }
    boolean empty =
        encoder
                .directory()
                .tokenizer()
                .encode(text, Optional.empty(), false, Optional.empty())
                .length()
            == 0;
    if (empty) {
      return Optional.empty();
    }
    List<AnswerSpans.AnswerSpan> spans = spans(windows, mostTokens);
    int best = 0;
    for (int i = 1; i < spans.size(); i++) {
      best = spans.get(i).score() > spans.get(best).score() ? i : best;
    }
    AnswerSpans.AnswerSpan span = spans.get(best);
    int start = windows.get(best).starts()[span.first()];
    int end = windows.get(best).ends()[span.last()];
    return Optional.of(new Answer(text.substring(start, end), span.score(), start, end));
  }

  private List<AnswerSpans.AnswerSpan> spans(List<Tokens> windows, int mostTokens) {
    List<float[][]> logits =
        encoder.answer(
            windows.stream().map(tokens -> new EncodedText(tokens, 0)).toList(),
            (backend, call, hidden, batch) -> {
              Matrix output = head.forward(backend, call, hidden, batch);
              List<float[][]> answers = new ArrayList<>();
              for (int i = 0; i < batch.sequences(); i++) {
                float[][] startAndEnd = new float[2][batch.length(i)];
                for (int token = 0; token < batch.length(i); token++) {
                  float[] both = backend.read(output, batch.sequenceStarts()[i] + token, 2);
                  startAndEnd[0][token] = both[0];
                  startAndEnd[1][token] = both[1];
                }
                answers.add(startAndEnd);
              }
              return answers;
            });
    List<AnswerSpans.AnswerSpan> spans = new ArrayList<>();
    for (int i = 0; i < windows.size(); i++) {
      Tokens tokens = windows.get(i);
      float[][] both = logits.get(i);
      spans.add(AnswerSpans.best(both[0], both[1], first(tokens), last(tokens), mostTokens));
    }
    return spans;
  }

  /** The first token of the second text: behind the last special ones within. */
  private static int first(Tokens tokens) {
    int first = last(tokens);
    while (first > 0 && !tokens.special()[first - 1]) {
      first--;
    }
    return first;
  }

  /** One past the last token of the second text. */
  private static int last(Tokens tokens) {
    int last = tokens.length();
    while (last > 0 && tokens.special()[last - 1]) {
      last--;
    }
    return last;
  }
}
