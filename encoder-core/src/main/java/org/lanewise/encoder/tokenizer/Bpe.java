package org.lanewise.encoder.tokenizer;

import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Byte-pair encoding: a piece begins as one symbol for each character, or for each byte, and the
 * pair of neighbours whose merge stands first in the list becomes one symbol until no pair is in
 * the list.
 *
 * <p>A long piece is cut first where no merge can ever join two neighbouring characters. The parts
 * do not influence each other, so this changes nothing but the time, and most of the parts are
 * words that the cache knows.
 */
final class Bpe implements TokenModel {
  /** Up to this many symbols looking at all pairs is quicker than a heap. */
  private static final int FEW_SYMBOLS = 40;

  private static final int JOINED_BITS = 20;

  /**
   * What a file says beside vocabulary and merges.
   *
   * @param bytes whether symbols are bytes, written with the {@link ByteAlphabet}
   * @param unknown the token for characters that the vocabulary lacks; empty for none
   * @param fuseUnknown whether unknown characters in a row are one token
   * @param byteFallback whether bytes as in {@code <0x0A>} stand for characters that the vocabulary
   *     lacks
   * @param ignoreMerges whether a piece that is a token is this token, whatever the merges say
   * @param prefix what symbols that continue a piece begin with
   * @param suffix what the last symbol of a piece ends with
   */
  record Options(
      boolean bytes,
      String unknown,
      boolean fuseUnknown,
      boolean byteFallback,
      boolean ignoreMerges,
      String prefix,
      String suffix) {}

  /** Two tokens that are joined. */
  record Merge(String left, String right) {}

  private final Vocabulary vocabulary;
  private final Options options;
  private final MergeTable merges;
  private final WordCache cache = new WordCache();
  private final int unknownId;
  private final int[] byteIds = new int[256];
  private final int longestToken;
  // Ids of the tokens of one character: those of the basic plane by character, then the others.
  private final int[] basicIds;
  private final Map<Integer, Integer> otherIds = new HashMap<>();
  // Hashes of two characters that some merge joins; empty if pieces are not cut.
  private final BitSet joined = new BitSet();
  private final boolean cuts;

  /**
   * Returns the model.
   *
   * @throws IllegalArgumentException if a merge names a token that the vocabulary lacks, or there
   *     are texts that no tokens stand for
   */
  Bpe(Vocabulary vocabulary, List<Merge> mergeList, Options options) {
    this.vocabulary = vocabulary;
    this.options = options;
    this.merges = new MergeTable(vocabulary, mergeList, options.prefix().length());
    this.unknownId = vocabulary.id(options.unknown()).orElse(-1);
    int missing = -1;
    for (int value = 0; value < 256; value++) {
      String token =
          options.bytes()
              ? String.valueOf(ByteAlphabet.letter(value))
              : String.format(Locale.ROOT, "<0x%02X>", value);
      byteIds[value] = vocabulary.id(token).orElse(-1);
      missing = byteIds[value] < 0 && missing < 0 ? value : missing;
    }
    boolean needsBytes = options.bytes() || options.byteFallback();
    if (needsBytes && missing >= 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "no token stands for the byte [0x%02X], expected one for each of the 256",
              missing));
    }
    if (!needsBytes && unknownId < 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "the unknown token [%s] is not in the vocabulary, expected one because not every text"
                  + " can be written with the others",
              options.unknown()));
    }
    this.cuts = !options.bytes() && options.prefix().isEmpty() && options.suffix().isEmpty();
    this.basicIds = new int[options.bytes() ? 0 : 1 << 16];
    Arrays.fill(basicIds, -1);
    this.longestToken = options.bytes() ? vocabulary.longest() : indexCharacters();
    if (cuts) {
      for (Merge merge : mergeList) {
        int left = merge.left().codePointBefore(merge.left().length());
        joined.set(hash(left, merge.right().codePointAt(0)));
      }
    }
  }

  private int indexCharacters() {
    vocabulary.forEach(
        (token, id) -> {
          if (!token.isEmpty() && token.length() == Character.charCount(token.codePointAt(0))) {
            if (token.length() == 1) {
              basicIds[token.charAt(0)] = id;
            } else {
              otherIds.put(token.codePointAt(0), id);
            }
          }
        });
    return vocabulary.longest();
  }

  @Override
  public String kind() {
    return "BPE";
  }

  @Override
  public Vocabulary vocabulary() {
    return vocabulary;
  }

  @Override
  public void tokenize(NormalizedText text, int start, int end, TokenBuffer tokens) {
    char[] chars = text.chars();
    if (end - start <= WordCache.LONGEST_WORD) {
      tokenizeWord(text, start, end, true, tokens);
      return;
    }
    int id = wholeId(chars, start, end);
    if (id >= 0) {
      tokens.add(id, text.originalStart(start), text.originalEnd(end));
    } else if (cuts) {
      tokenizeParts(text, start, end, tokens);
    } else {
      merge(chars, start, end).addTo(text, start, tokens);
    }
  }

  private void tokenizeParts(NormalizedText text, int start, int end, TokenBuffer tokens) {
    int part = start;
    int before = text.codePointAt(start);
    boolean knownBefore = characterId(before) >= 0;
    for (int i = start + Character.charCount(before); i < end; ) {
      int codePoint = text.codePointAt(i);
      boolean known = characterId(codePoint) >= 0;
      if (known && knownBefore && !joined.get(hash(before, codePoint))) {
        tokenizeWord(text, part, i, false, tokens);
        part = i;
      }
      before = codePoint;
      knownBefore = known;
      i += Character.charCount(codePoint);
    }
    tokenizeWord(text, part, end, false, tokens);
  }

  /**
   * Appends the tokens of a whole piece, or of a part of one, which {@code ignoreMerges} does not
   * concern. The cache holds either: with this option only whole pieces.
   */
  private void tokenizeWord(
      NormalizedText text, int start, int end, boolean whole, TokenBuffer tokens) {
    char[] chars = text.chars();
    boolean cached = end - start <= WordCache.LONGEST_WORD && (whole || !options.ignoreMerges());
    WordCache.Word word = cached ? cache.find(chars, start, end) : null;
    if (word == null) {
      int id = whole ? wholeId(chars, start, end) : -1;
      word =
          id >= 0
              ? new WordCache.Word(
                  new String(chars, start, end - start),
                  new int[] {id},
                  new int[] {0},
                  new int[] {end - start})
              : merge(chars, start, end);
      if (cached) {
        cache.keep(chars, start, word);
      }
    }
    word.addTo(text, start, tokens);
  }

  private int wholeId(char[] chars, int start, int end) {
    if (!options.ignoreMerges() || end - start > longestToken) {
      return -1;
    }
    String token =
        options.bytes()
            ? ByteAlphabet.letters(chars, start, end)
            : new String(chars, start, end - start);
    return vocabulary.id(token).orElse(-1);
  }

  private int characterId(int codePoint) {
    return codePoint < basicIds.length ? basicIds[codePoint] : otherIds.getOrDefault(codePoint, -1);
  }

  /** Returns the tokens of the characters [start, end), offsets counted from the start. */
  private WordCache.Word merge(char[] chars, int start, int end) {
    Symbols symbols = new Symbols((end - start) * (options.bytes() ? 3 : 1));
    if (options.bytes()) {
      addBytes(chars, start, end, symbols);
    } else {
      addCharacters(chars, start, end, symbols);
    }
    if (symbols.count <= FEW_SYMBOLS) {
      symbols.mergeFew(merges);
    } else {
      symbols.mergeMany(merges);
    }
    return new WordCache.Word(
        new String(chars, start, end - start),
        Arrays.copyOf(symbols.ids, symbols.count),
        Arrays.copyOf(symbols.starts, symbols.count),
        Arrays.copyOf(symbols.ends, symbols.count));
  }

  private void addBytes(char[] chars, int start, int end, Symbols symbols) {
    for (int i = start; i < end; ) {
      int codePoint = Character.codePointAt(chars, i, end);
      int after = i + Character.charCount(codePoint);
      int count = ByteAlphabet.utf8Length(codePoint);
      for (int index = 0; index < count; index++) {
        int value = ByteAlphabet.utf8Byte(codePoint, count, index);
        symbols.add(byteIds[value], i - start, after - start);
      }
      i = after;
    }
  }

  private void addCharacters(char[] chars, int start, int end, Symbols symbols) {
    boolean afterUnknown = false;
    for (int i = start; i < end; ) {
      int codePoint = Character.codePointAt(chars, i, end);
      int after = i + Character.charCount(codePoint);
      String affixed = affixed(codePoint, i == start, after == end);
      int id = affixed == null ? characterId(codePoint) : vocabulary.id(affixed).orElse(-1);
      if (id >= 0) {
        symbols.add(id, i - start, after - start);
        afterUnknown = false;
      } else if (options.byteFallback()) {
        String written = affixed == null ? Character.toString(codePoint) : affixed;
        for (int c : written.codePoints().toArray()) {
          int count = ByteAlphabet.utf8Length(c);
          for (int index = 0; index < count; index++) {
            symbols.add(byteIds[ByteAlphabet.utf8Byte(c, count, index)], i - start, after - start);
          }
        }
      } else if (afterUnknown && options.fuseUnknown()) {
        symbols.ends[symbols.count - 1] = after - start;
      } else {
        symbols.add(unknownId, i - start, after - start);
        afterUnknown = true;
      }
      i = after;
    }
  }

  /** Returns a symbol with its prefix and suffix, or null if it has none. */
  private String affixed(int codePoint, boolean first, boolean last) {
    boolean prefixed = !first && !options.prefix().isEmpty();
    boolean suffixed = last && !options.suffix().isEmpty();
    if (!prefixed && !suffixed) {
      return null;
    }
    return (prefixed ? options.prefix() : "")
        + Character.toString(codePoint)
        + (suffixed ? options.suffix() : "");
  }

  private static int hash(int left, int right) {
    return (left * 0x9E3779B1 + right) * 0x85EBCA6B >>> 32 - JOINED_BITS;
  }

  /** The symbols of one piece while they are merged. */
  private static final class Symbols {
    private int[] ids;
    private int[] starts;
    private int[] ends;
    private int count;

    Symbols(int capacity) {
      ids = new int[capacity];
      starts = new int[capacity];
      ends = new int[capacity];
    }

    void add(int id, int start, int end) {
      if (count == ids.length) {
        int capacity = count + (count >> 1) + 16;
        ids = Arrays.copyOf(ids, capacity);
        starts = Arrays.copyOf(starts, capacity);
        ends = Arrays.copyOf(ends, capacity);
      }
      ids[count] = id;
      starts[count] = start;
      ends[count++] = end;
    }

    void mergeFew(MergeTable merges) {
      int[] ranks = new int[count];
      for (int i = 0; i + 1 < count; i++) {
        ranks[i] = merges.rank(ids[i], ids[i + 1]);
      }
      while (count > 1) {
        int best = 0;
        for (int i = 1; i + 1 < count; i++) {
          best = ranks[i] < ranks[best] ? i : best;
        }
        if (ranks[best] == MergeTable.NONE) {
          return;
        }
        ids[best] = merges.merged(ids[best], ids[best + 1]);
        ends[best] = ends[best + 1];
        int moved = count - best - 2;
        System.arraycopy(ids, best + 2, ids, best + 1, moved);
        System.arraycopy(starts, best + 2, starts, best + 1, moved);
        System.arraycopy(ends, best + 2, ends, best + 1, moved);
        System.arraycopy(ranks, best + 2, ranks, best + 1, moved);
        count--;
        if (best > 0) {
          ranks[best - 1] = merges.rank(ids[best - 1], ids[best]);
        }
        if (best + 1 < count) {
          ranks[best] = merges.rank(ids[best], ids[best + 1]);
        }
      }
    }

    void mergeMany(MergeTable merges) {
      int[] previous = new int[count];
      int[] next = new int[count];
      LongHeap heap = new LongHeap(count);
      for (int i = 0; i < count; i++) {
        previous[i] = i - 1;
        next[i] = i + 1;
        if (i + 1 < count) {
          offer(heap, merges.rank(ids[i], ids[i + 1]), i);
        }
      }
      while (!heap.isEmpty()) {
        long top = heap.poll();
        int at = (int) top;
        int right = next[at];
        // An entry whose symbols have changed since is left in the heap until it comes up.
        if (ids[at] < 0
            || right >= count
            || merges.rank(ids[at], ids[right]) != (int) (top >>> 32)) {
          continue;
        }
        ids[at] = merges.merged(ids[at], ids[right]);
        ends[at] = ends[right];
        ids[right] = -1;
        next[at] = next[right];
        if (next[at] < count) {
          previous[next[at]] = at;
          offer(heap, merges.rank(ids[at], ids[next[at]]), at);
        }
        if (previous[at] >= 0) {
          offer(heap, merges.rank(ids[previous[at]], ids[at]), previous[at]);
        }
      }
      int kept = 0;
      for (int i = 0; i < count; i = next[i]) {
        ids[kept] = ids[i];
        starts[kept] = starts[i];
        ends[kept++] = ends[i];
      }
      count = kept;
    }

    private static void offer(LongHeap heap, int rank, int at) {
      if (rank != MergeTable.NONE) {
        heap.offer((long) rank << 32 | at);
      }
    }
  }

  /** A heap whose smallest number comes first. */
  private static final class LongHeap {
    private long[] values;
    private int size;

    LongHeap(int capacity) {
      values = new long[Math.max(16, capacity)];
    }

    boolean isEmpty() {
      return size == 0;
    }

    void offer(long value) {
      if (size == values.length) {
        values = Arrays.copyOf(values, size * 2);
      }
      int at = size++;
      while (at > 0 && values[(at - 1) >>> 1] > value) {
        values[at] = values[(at - 1) >>> 1];
        at = (at - 1) >>> 1;
      }
      values[at] = value;
    }

    long poll() {
      long top = values[0];
      long value = values[--size];
      int at = 0;
      for (int child = 1; child < size; child = at * 2 + 1) {
        if (child + 1 < size && values[child + 1] < values[child]) {
          child++;
        }
        if (values[child] >= value) {
          break;
        }
        values[at] = values[child];
        at = child;
      }
      values[at] = value;
      return top;
    }
  }
}
