package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Function;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.head.SentenceHead.Range;
import org.lanewise.encoder.tokenizer.Tokens;

/**
 * Makes the vectors of a text's chunks from one forward pass over the text, so that each knows what
 * stands around it: late chunking.
 *
 * <p>A chunk's vector is the mean of the hidden states of the tokens that share a character with
 * it, then what the model's modules do to a mean. A text that the model takes whole is read whole,
 * with special tokens and prompt around it; a longer one in windows, each with special tokens and
 * prompt. A window begins at most a quarter of the model's length before the first chunk that the
 * window before did not hold whole, and a chunk's vector comes from the first window that does.
 * Thread-safe; lives as long as the embedder under it.
 *
 * @see <a href="https://arxiv.org/abs/2409.04701">Late Chunking</a>
 */
public final class LateChunker {
  private final TextEmbedder encoder;
  private final Chunker chunker;

  /**
   * What is read at once.
   *
   * @param text the tokens of a text or of a part of it
   * @param chunks the chunks that get their vectors from it, at least one
   * @param ranges the tokens of each chunk
   */
  public record Window(EncodedText text, List<Chunk> chunks, List<Range> ranges) {
    /** Copies the lists. */
    public Window {
      chunks = List.copyOf(chunks);
      ranges = List.copyOf(ranges);
    }
  }

  /**
   * A chunk and its vector.
   *
   * @param chunk where it stands in the text; its tokens are counted as if it were read by itself
   * @param vector {@link TextEmbedder#dimensions()} numbers
   */
  public record ChunkVector(Chunk chunk, float[] vector) {}

  private LateChunker(Chunker chunker) {
    this.chunker = chunker;
    encoder = chunker.encoder();
    encoder.requireMean();
  }

  /**
   * Returns what makes vectors of the chunks that the chunker cuts.
   *
   * @throws ModelException if the model pools in another way than by the mean
   */
  public static LateChunker over(Chunker chunker) {
    return new LateChunker(chunker);
  }

  /** Returns the vectors of the chunks of a text, in order, using all of the embedder's threads. */
  public List<ChunkVector> embed(String text) {
    List<ChunkVector> answers = new ArrayList<>();
    for (Window window : windows(text)) {
      List<float[]> vectors =
          encoder
              .answer(
                  List.of(window.text()),
                  Function.identity(),
                  (computed, backend, call, hidden, batch) ->
                      vectors(computed, List.of(window.ranges()), backend, call, hidden, batch))
              .getFirst();
      for (int i = 0; i < vectors.size(); i++) {
        answers.add(new ChunkVector(window.chunks().get(i), vectors.get(i)));
      }
    }
    return answers;
  }

  /**
   * Returns the vectors of ranges of tokens, one for each, by sequence.
   *
   * @param computed what computed the hidden states
   * @param ranges those of each sequence of the batch, counted from its first token
   */
  static List<List<float[]>> vectors(
      TextEmbedder computed,
      List<List<Range>> ranges,
      Backend backend,
      Arena call,
      Matrix hidden,
      PackedBatch batch) {
    List<Range> all = new ArrayList<>();
    for (int i = 0; i < ranges.size(); i++) {
      int first = batch.sequenceStarts()[i];
      for (Range range : ranges.get(i)) {
        all.add(new Range(first + range.first(), first + range.end()));
      }
    }
    Iterator<float[]> vectors = computed.vectors(backend, call, hidden, all).iterator();
    return ranges.stream().map(each -> each.stream().map(_ -> vectors.next()).toList()).toList();
  }

  /**
   * Returns what is read of a text, in order; nothing of a text without tokens.
   *
   * @throws IllegalArgumentException if one character alone has more tokens than a chunk may have
   */
  public List<Window> windows(String text) {
    CutPlaces places = chunker.places(text);
    List<Chunk> chunks = chunker.chunks(places);
    if (chunks.isEmpty()) {
      return List.of();
    }
    int longest = encoder.maxLength();
    Tokens whole = read(text, 0, text.length());
    if (whole.length() <= longest) {
      return List.of(window(whole, 0, chunks));
    }
    int context = (longest - chunker.added()) / 4;
    List<Window> windows = new ArrayList<>();
    for (int first = 0; first < chunks.size(); ) {
      Chunk chunk = chunks.get(first);
      int start = places.back(-1, chunk.start(), context);
      int end = chunker.cut(places, start, longest, false).end();
      if (end < chunk.end()) {
        start = chunk.start();
        end = Math.max(chunk.end(), chunker.cut(places, start, longest, false).end());
      }
      int last = first + 1;
      while (last < chunks.size() && chunks.get(last).end() <= end) {
        last++;
      }
      start = places.firstOfWord(start, end);
      end = places.endOfWord(start, end);
      windows.add(window(read(text, start, end), start, chunks.subList(first, last)));
      first = last;
    }
    return windows;
  }

  private Tokens read(String text, int start, int end) {
    String piece = chunker.prompt() + text.substring(start, end);
    return encoder.allTokens(encoder.casedInPlace(piece));
  }

  /**
   * Returns a window.
   *
   * @param start where in the text it begins
   */
  private Window window(Tokens tokens, int start, List<Chunk> chunks) {
    int shift = start - chunker.prompt().length();
    List<Range> ranges =
        chunks.stream()
            .map(chunk -> range(tokens, chunk.start() - shift, chunk.end() - shift))
            .toList();
    return new Window(new EncodedText(tokens, 0), chunks, ranges);
  }

  /** The tokens that share a character with a piece of what is read, or else the one before it. */
  private static Range range(Tokens tokens, int start, int end) {
    int first = tokens.length();
    int last = -1;
    int before = 0;
    for (int i = 0; i < tokens.length(); i++) {
      if (tokens.special()[i]) {
        continue;
      }
      if (tokens.starts()[i] < end && tokens.ends()[i] > start) {
        first = Math.min(first, i);
        last = i;
      } else if (tokens.ends()[i] <= start) {
        before = i;
      }
    }
    return last < 0 ? new Range(before, before + 1) : new Range(first, last + 1);
  }
}
