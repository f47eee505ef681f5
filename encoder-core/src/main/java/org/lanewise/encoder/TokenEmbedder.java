package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.head.LateInteractionPlan;
import org.lanewise.encoder.head.LateInteractionPlan.Expansion;
import org.lanewise.encoder.head.LateInteractionPlan.Side;
import org.lanewise.encoder.head.TokenVectorHead;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.tokenizer.Truncation;

/**
 * Turns texts into a vector for each token, for late interaction: ColBERT. {@link
 * TokenVectorHead#maxSim} compares them. Thread-safe; lives as long as the embedder under it.
 */
public final class TokenEmbedder {
  private final TextEmbedder encoder;
  private final LateInteractionPlan plan;
  private final PreparedHead<TextEmbedder, TokenVectorHead> head;

  /** What a text is. */
  public enum Role {
    /** What is searched with: marked, and filled up with tokens that are scored too. */
    QUERY,
    /** What is searched: marked, without vectors for punctuation. */
    DOCUMENT,
    /** Neither marked nor filled up, with a vector for every token. */
    PLAIN
  }

  /**
   * The vectors of a text.
   *
   * @param vectors [token][dimensions]
   * @param tokens tokens that were read, special ones included
   * @param truncated whether the text was cut to the model's length
   */
  public record TokenVectors(float[][] vectors, int tokens, boolean truncated) {}

  /**
   * A text on its way.
   *
   * @param kept tokens that get a vector
   */
  record Read(EncodedText text, int[] kept) {
    Tokens tokens() {
      return text.tokens();
    }
  }

  private TokenEmbedder(TextEmbedder encoder) {
    this.encoder = encoder;
    ModelDirectory directory = encoder.directory();
    plan =
        directory
            .lateInteraction()
            .orElseThrow(
                () ->
                    new ModelException(
                        directory.path(),
                        List.of(
                            "it is no ColBERT model: modules.json has no MultiVectorMask and"
                                + " [architectures] of config.json is not HF_ColBERT; take a model"
                                + " that was trained for late interaction")));
    head =
        encoder.prepare(
            (backend, arena) ->
                new TokenVectorHead(
                    backend, arena, plan.modules(), directory.config().hiddenSize()));
  }

  /**
   * Returns the token embedder of a model that is open.
   *
   * @throws ModelException if the model is not one for late interaction
   */
  public static TokenEmbedder over(TextEmbedder encoder) {
    return new TokenEmbedder(encoder);
  }

  /** Returns the length of the vectors. */
  public int dimensions() {
    return head.any().dimensions();
  }

  /** Returns the vectors of the tokens of each text, in order. */
  public List<TokenVectors> embed(List<String> texts, Role role) {
    Read[] read = new Read[texts.size()];
    encoder.forEach(read.length, i -> read[i] = read(texts.get(i), role));
    List<EncodedText> encoded = Arrays.stream(read).map(Read::text).toList();
    List<float[][]> vectors = encoder.answer(encoded, head::on, TokenEmbedder::vectors);
    List<TokenVectors> answers = new ArrayList<>();
    for (int i = 0; i < read.length; i++) {
      Tokens tokens = read[i].tokens();
      answers.add(
          new TokenVectors(
              kept(vectors.get(i), read[i].kept), tokens.length(), tokens.truncated()));
    }
    return answers;
  }

  /**
   * Returns the vectors of all tokens of a batch; {@code hidden} may be changed.
   *
   * @param computed what computed the hidden states: the embedder under this one, or its stand-in
   */
  List<float[][]> vectors(
      TextEmbedder computed, Backend backend, Arena call, Matrix hidden, PackedBatch batch) {
    return vectors(head.on(computed), backend, call, hidden, batch);
  }

  private static List<float[][]> vectors(
      TokenVectorHead head, Backend backend, Arena call, Matrix hidden, PackedBatch batch) {
    Matrix rows = head.forward(backend, call, hidden);
    List<float[][]> answers = new ArrayList<>();
    for (int i = 0; i < batch.sequences(); i++) {
      answers.add(
          IntStream.range(batch.sequenceStarts()[i], batch.sequenceStarts()[i + 1])
              .mapToObj(token -> backend.read(rows, token, head.dimensions()))
              .toArray(float[][]::new));
    }
    return answers;
  }

  /** Returns the vectors of some tokens. */
  static float[][] kept(float[][] all, int[] tokens) {
    return Arrays.stream(tokens).mapToObj(token -> all[token]).toArray(float[][]::new);
  }

  /** Returns the tokens of a text, and which of them get a vector. */
  Read read(String text, Role role) {
    return switch (role) {
      case QUERY -> read(text, plan.query(), plan.expansion());
      case DOCUMENT -> read(text, plan.document(), Optional.empty());
      case PLAIN -> {
        Tokens tokens = encoder.tokens(text, Optional.empty(), Truncation.to(encoder.maxLength()));
        yield new Read(new EncodedText(tokens, 0), IntStream.range(0, tokens.length()).toArray());
      }
    };
  }

  private Read read(String text, Side side, Optional<Expansion> expansion) {
    int length = side.length().orElse(encoder.maxLength());
    if (expansion.isPresent()) {
      int filled = expansion.get().length();
      length = expansion.get().cut() ? filled : Math.max(length, filled);
    }
    length = Math.min(length, encoder.maxLength());
    int markers = side.marker().isPresent() ? 1 : 0;
    Tokens tokens =
        encoder.tokens(
            side.prompt() + text, Optional.empty(), Truncation.to(Math.max(0, length - markers)));
    if (markers > 0) {
      tokens = inserted(tokens, side.marker().getAsInt());
    }
    int unread = 0;
    if (expansion.isPresent()) {
      int own = tokens.length();
      int filled = Math.min(expansion.get().length(), length);
      tokens = filled(tokens, expansion.get().token(), filled);
      unread = expansion.get().read() ? 0 : tokens.length() - own;
    }
    int[] ids = tokens.ids();
    int[] kept =
        IntStream.range(0, ids.length)
            .filter(token -> !side.skips() || !plan.skipped().contains(ids[token]))
            .toArray();
    return new Read(new EncodedText(tokens, 0, unread), kept);
  }

  /** The tokens with one more behind the first, which is special. */
  private static Tokens inserted(Tokens tokens, int id) {
    int at = Math.min(1, tokens.length());
    int[] from =
        IntStream.rangeClosed(0, tokens.length())
            .map(i -> i == at ? -1 : i < at ? i : i - 1)
            .toArray();
    return taken(tokens, from, id);
  }

  /** The tokens, with more behind them until there are so many. */
  private static Tokens filled(Tokens tokens, int id, int length) {
    int[] from =
        IntStream.range(0, Math.max(length, tokens.length()))
            .map(i -> i < tokens.length() ? i : -1)
            .toArray();
    return taken(tokens, from, id);
  }

  /** The tokens at these places; -1 is a special token of that id and type 0. */
  private static Tokens taken(Tokens tokens, int[] from, int id) {
    boolean[] special = new boolean[from.length];
    for (int i = 0; i < from.length; i++) {
      special[i] = from[i] < 0 || tokens.special()[from[i]];
    }
    return new Tokens(
        taken(tokens.ids(), from, id),
        taken(tokens.typeIds(), from, 0),
        taken(tokens.starts(), from, 0),
        taken(tokens.ends(), from, 0),
        special,
        tokens.truncated(),
        List.of());
  }

  private static int[] taken(int[] numbers, int[] from, int absent) {
    return Arrays.stream(from).map(i -> i < 0 ? absent : numbers[i]).toArray();
  }
}
