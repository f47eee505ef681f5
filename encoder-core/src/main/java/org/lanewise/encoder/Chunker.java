package org.lanewise.encoder;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.lanewise.encoder.ChunkOptions.Strategy;

/**
 * Cuts long texts into chunks by the model's own tokens.
 *
 * <p>Together the chunks hold every character of every token, but for blanks and invisible
 * characters between them, in order; a text without tokens has none. No chunk has more tokens than
 * asked when it is read by itself, which may be more than it has within the text. Where the next
 * sentence or word would not fit beside what is to be repeated, half as much is, down to nothing.
 * Thread-safe and deterministic; lives as long as the embedder under it.
 */
public final class Chunker {
  /** Characters of a token that are tried where nothing but characters can be counted. */
  private static final int MOST_CHARACTERS = 4;

  private final TextEmbedder encoder;
  private final ChunkOptions options;
  private final String prompt;
  private final int most;
  private final int added;

  private Chunker(TextEmbedder encoder, ChunkOptions options, String prompt) {
    this.encoder = encoder;
    this.options = options;
    this.prompt = prompt;
    added = encoder.countTokens("", prompt);
    most = options.maxChunkSize().orElse(encoder.maxLength());
    if (most > encoder.maxLength()) {
      throw new IllegalArgumentException(
          "[max_chunk_size] is ["
              + most
              + "] tokens, expected at most the "
              + encoder.maxLength()
              + " that the model takes");
    }
    if (most <= added) {
      throw new IllegalArgumentException(
          "[max_chunk_size] is ["
              + most
              + "] tokens, expected more than the "
              + added
              + " that special tokens and the prompt take");
    }
    if (options.strategy() == Strategy.TOKEN) {
      ChunkOptions.checkOverlap(options.overlap(), most - added);
    }
  }

  /**
   * Returns the chunker for a model that is open.
   *
   * @param prompt goes in front of every chunk as it is; empty for none
   * @throws IllegalArgumentException if the options do not fit the model
   */
  public static Chunker over(TextEmbedder encoder, ChunkOptions options, String prompt) {
    return new Chunker(encoder, options, prompt);
  }

  /** What is cut off, blanks at its ends included, and how many tokens are read of it. */
  record Piece(int end, int tokens) {}

  /**
   * Returns the chunks of a text, in order.
   *
   * @throws IllegalArgumentException if one character alone has more tokens than a chunk may have
   */
  public List<Chunk> chunks(String text) {
    return chunks(places(text));
  }

  /** Returns where the text may be cut. */
  CutPlaces places(String text) {
    return new CutPlaces(text, encoder.allTokens(encoder.casedInPlace(text)));
  }

  List<Chunk> chunks(CutPlaces places) {
    List<Chunk> chunks = new ArrayList<>();
    if (places.end() == 0) {
      return chunks;
    }
    int from = 0;
    Piece piece = cut(places, from);
    while (true) {
      int start = places.firstOfWord(from, piece.end);
      Chunk chunk = new Chunk(start, places.endOfWord(start, piece.end), piece.tokens);
      if (hasTokens(chunk.of(places.text()))) {
        chunks.add(chunk);
      }
      int end = piece.end;
      if (end == places.end()) {
        return chunks;
      }
      for (int overlap = options.overlap(); ; overlap /= 2) {
        from = overlap(places, start, end, overlap);
        piece = cut(places, from);
        boolean addsWords = places.firstOfWord(end, piece.end) < piece.end;
        if (addsWords || from == end) {
          break;
        }
      }
    }
  }

  private boolean hasTokens(String text) {
    return encoder
            .directory()
            .tokenizer()
            .encode(text, Optional.empty(), false, Optional.empty())
            .length()
        > 0;
  }

  /** Returns where the chunk after one from {@code from} to {@code end} begins. */
  private int overlap(CutPlaces places, int from, int end, int overlap) {
    return switch (options.strategy()) {
      case SENTENCE -> places.backSentences(from, end, overlap);
      case TOKEN -> places.back(from, end, overlap);
    };
  }

  private Piece cut(CutPlaces places, int from) {
    return cut(places, from, most, options.strategy() == Strategy.SENTENCE);
  }

  /**
   * Returns as much of the text as fits.
   *
   * @param tokens most tokens when it is read by itself, special tokens and prompt included
   * @param sentences whether a cut between sentences is preferred to one between words
   */
  Piece cut(CutPlaces places, int from, int tokens, boolean sentences) {
    int room = tokens - added;
    for (int tries = 0; ; tries++) {
      int end = places.furthest(from, room, sentences);
      if (end == places.next(from) && places.tokens(from, end) > tokens - added) {
        return cutCharacters(places, from, end, tokens);
      }
      int count = count(places, from, end);
      if (count <= tokens) {
        return new Piece(end, count);
      }
      if (end <= places.next(from)) {
        return cutCharacters(places, from, end, tokens);
      }
      // Ever more at once: each try reads the piece again.
      int excess = (count - tokens) << Math.min(tries, 10);
      room = Math.max(0, Math.min(room - excess, places.tokens(from, end) - 1));
    }
  }

  /** Cuts between characters, where tokens leave no place. */
  private Piece cutCharacters(CutPlaces places, int from, int to, int tokens) {
    String text = places.text();
    int one = text.offsetByCodePoints(from, 1);
    // Not all of it: tokens may leave no place in a whole book.
    int length = Math.min(to - from, MOST_CHARACTERS * tokens);
    for (; ; length /= 2) {
      int end = from + length;
      if (end < to && Character.isSurrogatePair(text.charAt(end - 1), text.charAt(end))) {
        end--;
      }
      end = Math.max(one, end);
      int count = count(places, from, end);
      if (count <= tokens) {
        return new Piece(end, count);
      }
      if (end == one) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "the character [U+%04X] at [%d] has %d tokens by itself, special tokens and prompt"
                    + " included, expected at most the %d of [max_chunk_size]",
                text.codePointAt(from),
                from,
                count,
                tokens));
      }
    }
  }

  /** Returns how many tokens are read of what lies between the places, blanks left out. */
  private int count(CutPlaces places, int from, int to) {
    int start = places.firstOfWord(from, to);
    String read = prompt + places.text().substring(start, places.endOfWord(start, to));
    int count = encoder.countTokens(read, "");
    boolean grows =
        encoder.directory().lowerCase() && read.toLowerCase(Locale.ROOT).length() != read.length();
    // Late chunking needs every unit in its place, which may give other tokens.
    return grows ? Math.max(count, encoder.countTokens(encoder.casedInPlace(read), "")) : count;
  }

  TextEmbedder encoder() {
    return encoder;
  }

  String prompt() {
    return prompt;
  }

  /** Returns the tokens that special tokens and the prompt take. */
  int added() {
    return added;
  }
}
