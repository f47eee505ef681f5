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

/**
 * Finds the answer to a question in a text. Thread-safe; lives as long as the embedder under it.
 */
public final class AnswerFinder {
  /** Most tokens of an answer, as in the pipeline of transformers. */
  public static final int USUAL_TOKENS = 15;

  private final TextEmbedder encoder;
  private final PreparedHead<TextEmbedder, PredictionHead> head;

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
   * A text as it is read for an answer to one question.
   *
   * @param windows tokens of the question and of a part of the text each; none where the text has
   *     no tokens
   * @param mostTokens most tokens of the answer
   */
  public record Reading(String text, List<Tokens> windows, int mostTokens) {
    /** Copies the list. */
    public Reading {
      windows = List.copyOf(windows);
    }

    /** Returns the tokens of all windows. */
    public int length() {
      return windows.stream().mapToInt(Tokens::length).sum();
    }
  }

  /**
   * Returns the best answer; none where the text has no tokens.
   *
   * @param mostTokens most tokens of the answer
   * @throws IllegalArgumentException if the question leaves no room for the text
   */
  public Optional<Answer> answer(String question, String text, int mostTokens) {
    return answers(List.of(read(question, text, mostTokens))).getFirst();
  }

  /**
   * Returns the tokens that are read for an answer. A text that is too long is read in windows that
   * overlap by a quarter, each after the question.
   *
   * @param mostTokens most tokens of the answer, at least 1
   * @throws IllegalArgumentException if the question leaves no room for the text
   */
  public Reading read(String question, String text, int mostTokens) {
    if (mostTokens < 1) {
      throw new IllegalArgumentException(
          "an answer may have [" + mostTokens + "] tokens, expected at least [1]");
    }
    String read = encoder.casedInPlace(text);
    Tokens first = encoder.pair("question", question, read, OptionalInt.empty());
    boolean empty =
        encoder
                .directory()
                .tokenizer()
                .encode(text, Optional.empty(), false, Optional.empty())
                .length()
            == 0;
    if (empty) {
      return new Reading(text, List.of(), mostTokens);
    }
    List<Tokens> windows = new ArrayList<>();
    windows.add(first);
    if (first.truncated()) {
      int overlap = (last(first) - first(first)) / 4;
      windows.addAll(encoder.pair("question", question, read, OptionalInt.of(overlap)).overflow());
    }
    return new Reading(text, windows, mostTokens);
  }

  /** Returns the best answer in each text, in order; none where it has no tokens. */
  public List<Optional<Answer>> answers(List<Reading> readings) {
    List<EncodedText> windows = new ArrayList<>();
    for (Reading reading : readings) {
      reading.windows().forEach(tokens -> windows.add(new EncodedText(tokens, 0)));
    }
    List<float[][]> logits = logits(windows);
    List<Optional<Answer>> answers = new ArrayList<>();
    int window = 0;
    for (Reading reading : readings) {
      Optional<Answer> best = Optional.empty();
      for (Tokens tokens : reading.windows()) {
        float[][] both = logits.get(window++);
        AnswerSpans.AnswerSpan span =
            AnswerSpans.best(both[0], both[1], first(tokens), last(tokens), reading.mostTokens());
        if (best.isEmpty() || span.score() > best.get().score()) {
          int start = tokens.starts()[span.first()];
          int end = tokens.ends()[span.last()];
          best =
              Optional.of(
                  new Answer(reading.text().substring(start, end), span.score(), start, end));
        }
      }
      answers.add(best);
    }
    return answers;
  }

  /** Returns start and end logit of each token of each window. */
  private List<float[][]> logits(List<EncodedText> windows) {
    return encoder.answer(
        windows,
        head::on,
        (layers, backend, call, hidden, batch) -> {
          Matrix output = layers.forward(backend, call, hidden, batch);
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
