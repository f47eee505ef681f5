package org.lanewise.plugin.encode;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.lanewise.encoder.ChunkOptions;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.Prompts;
import org.lanewise.encoder.TokenEmbedder.Role;

/**
 * Texts that want vectors, or whatever else an encoder makes.
 *
 * @param modelId the model to use
 * @param texts what to encode
 * @param side which of the model's prompts goes in front
 * @param promptName the prompt to use instead of that of the side; the model must have it
 * @param truncate what to do with texts longer than the model takes
 * @param labels classes of tags that the model must know, because they are looked for
 */
public record EncodeRequest(
    String modelId,
    List<Text> texts,
    Side side,
    Optional<String> promptName,
    Truncate truncate,
    Set<String> labels) {

  /**
   * A text and what is wanted of it.
   *
   * @param text has a character that {@linkplain #hasText is text}
   * @param outputs at least one
   * @param chunking how it is cut; empty for a text that is read as a whole
   */
  public record Text(String text, Set<Output> outputs, Optional<Chunking> chunking) {
    /** Copies the set. */
    public Text {
      outputs = Set.copyOf(outputs);
    }
  }

  /**
   * How a text is read in chunks.
   *
   * @param options where it is cut
   * @param late whether the vectors of chunks come from one pass over the whole text
   */
  public record Chunking(ChunkOptions options, boolean late) {}

  /** What a text is, which decides the prompt; the names are those of sentence-transformers. */
  public enum Side {
    /** A text to be found. */
    INGEST,
    /** A question. */
    SEARCH;

    /** Returns what the text is to late interaction. */
    Role role() {
      return this == SEARCH ? Role.QUERY : Role.DOCUMENT;
    }

    private List<String> prompts() {
      return switch (this) {
        case INGEST -> List.of("document", "passage", "corpus");
        case SEARCH -> List.of("query");
      };
    }
  }

  /** What becomes of a text longer than the model takes. */
  public enum Truncate {
    /** Its end is cut away, and the cut is counted. */
    FIRST,
    /** It is refused. */
    NONE
  }

  /** Copies the list and the set. */
  public EncodeRequest {
    texts = List.copyOf(texts);
    labels = Set.copyOf(labels);
  }

  /** Returns a request in which no class is looked for. */
  public EncodeRequest(
      String modelId, List<Text> texts, Side side, Optional<String> promptName, Truncate truncate) {
    this(modelId, texts, side, promptName, truncate, Set.of());
  }

  /** Returns the same of each text. */
  public static List<Text> all(List<String> texts, Set<Output> outputs) {
    return texts.stream().map(text -> new Text(text, outputs, Optional.empty())).toList();
  }

  /** Returns whether the text has anything to encode: a character neither blank nor invisible. */
  public static boolean hasText(String text) {
    return text.codePoints()
        .anyMatch(
            c ->
                !Character.isWhitespace(c)
                    && !Character.isSpaceChar(c)
                    && !Character.isISOControl(c)
                    && Character.getType(c) != Character.FORMAT);
  }

  /** Returns whether the request is one question, for which the search lane is kept free. */
  boolean isQuery() {
    return side == Side.SEARCH && texts.size() == 1;
  }

  /** Returns the text to put in front, or throws naming the prompts there are. */
  String prompt(Prompts prompts) {
    return promptName
        .or(() -> side.prompts().stream().filter(prompts.byName()::containsKey).findFirst())
        .map(prompts::named)
        .orElseGet(prompts::byDefault);
  }
}
