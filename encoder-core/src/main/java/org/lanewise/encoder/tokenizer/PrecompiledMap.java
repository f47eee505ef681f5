package org.lanewise.encoder.tokenizer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The character map that SentencePiece puts into its models, read and applied as the reference
 * does.
 *
 * <p>The map is a double-array trie over UTF-8, whose values are places in a block of texts that
 * end with a zero. A grapheme of less than six bytes is looked up first: if it begins with a key,
 * the text of the shortest such key replaces all of it. Otherwise its code points are looked up.
 *
 * @see <a href="https://github.com/huggingface/spm_precompiled">spm_precompiled</a>
 */
final class PrecompiledMap implements Normalizer {
  private static final int MOST_GRAPHEME_BYTES = 5;
  private static final int NONE = -1;
  private static final Pattern GRAPHEME = Pattern.compile("\\X");

  private final int[] units;
  private final String texts;
  // Where a byte of the block of texts is in its string.
  private final int[] places;
  private final boolean[] mappedAscii = new boolean[128];

  /**
   * Returns the map of a file.
   *
   * @throws IllegalArgumentException if the bytes are no such map
   */
  PrecompiledMap(byte[] map) {
    ByteBuffer bytes = ByteBuffer.wrap(map).order(ByteOrder.LITTLE_ENDIAN);
    long size = map.length < 4 ? 0 : Integer.toUnsignedLong(bytes.getInt());
    if (size < 4 || size > bytes.remaining() || size % 4 != 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "the map has %d bytes and states a trie of %d, expected one of 4 or more, a multiple"
                  + " of 4, inside the map",
              map.length,
              size));
    }
    units = new int[(int) size / 4];
    bytes.asIntBuffer().get(units);
    bytes.position(4 + (int) size);
    places = new int[bytes.remaining() + 1];
    Arrays.fill(places, NONE);
    try {
      texts = StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("the texts of the map are not valid UTF-8", e);
    }
    int place = 0;
    for (int i = 0; i < texts.length(); ) {
      places[place] = i;
      int codePoint = texts.codePointAt(i);
      place += ByteAlphabet.utf8Length(codePoint);
      i += Character.charCount(codePoint);
    }
    places[place] = texts.length();
    byte[] key = new byte[1];
    for (byte c = 0; c >= 0; c++) {
      key[0] = c;
      mappedAscii[c] = find(key, 1) != NONE;
    }
  }

  @Override
  public void normalize(NormalizedText text) {
    int plain = plainLength(text);
    if (plain < text.length()) {
      new Run(text).map(plain);
    }
  }

  /** Returns how many characters from the start are surely not mapped and graphemes alone. */
  private int plainLength(NormalizedText text) {
    char[] chars = text.chars();
    int length = text.length();
    int i = 0;
    while (i < length && chars[i] < 0x80 && !mappedAscii[chars[i]] && chars[i] != '\r') {
      i++;
    }
    return i == length || i == 0 ? i : i - 1;
  }

  /** Returns the place of the text for the shortest key that the bytes begin with, or -1. */
  private int find(byte[] key, int length) {
    long node = offset(units[0]);
    for (int i = 0; i < length; i++) {
      int label = key[i] & 0xff;
      node ^= label;
      if (label == 0 || node >= units.length) {
        return NONE;
      }
      int unit = units[(int) node];
      if ((unit & 0x800000ff) != label) {
        return NONE;
      }
      node ^= offset(unit);
      if ((unit >>> 8 & 1) == 1) {
        int value = node < units.length ? units[(int) node] & 0x7fffffff : places.length;
        return value < places.length ? places[value] : NONE;
      }
    }
    return NONE;
  }

  private static long offset(int unit) {
    return (long) (unit >>> 10) << ((unit & 1 << 9) >>> 6);
  }

  /** The mapping of one text: the new code points, and what each changes. */
  private final class Run {
    private final NormalizedText text;
    private final char[] chars;
    private final int length;
    private final Matcher graphemes;
    private final byte[] key = new byte[MOST_GRAPHEME_BYTES];
    private int[] codePoints;
    private int[] changes;
    private int count;
    private boolean mapped;

    Run(NormalizedText text) {
      this.text = text;
      chars = text.chars();
      length = text.length();
      codePoints = new int[length + 16];
      changes = new int[length + 16];
      graphemes = GRAPHEME.matcher(CharBuffer.wrap(assigned(chars, length)));
    }

    void map(int plain) {
      for (int i = 0; i < plain; i++) {
        add(chars[i], 0);
      }
      for (int i = plain; i < length; ) {
        int end = graphemeEnd(i);
        if (!replaced(i, end)) {
          for (int at = i; at < end; ) {
            int codePoint = Character.codePointAt(chars, at, end);
            int after = at + Character.charCount(codePoint);
            if (after - at == end - i || !replaced(at, after)) {
              add(codePoint, 0);
            }
            at = after;
          }
        }
        i = end;
      }
      if (mapped) {
        for (int i = 0; i < count; i++) {
          text.emitChange(codePoints[i], changes[i]);
        }
        text.replace();
      }
    }

    private int graphemeEnd(int at) {
      int codePoint = Character.codePointAt(chars, at, length);
      int after = at + Character.charCount(codePoint);
      if (after == length
          || (standsAlone(codePoint) && standsAlone(Character.codePointAt(chars, after, length)))) {
        return after;
      }
      graphemes.region(at, length);
      return graphemes.lookingAt() ? graphemes.end() : after;
    }

    /**
     * Returns characters with the same graphemes, where unassigned code points are letters: to
     * Java's expression they are controls, which nothing joins, to the standard only some of them
     * are.
     */
    private static char[] assigned(char[] chars, int length) {
      char[] assigned = Arrays.copyOf(chars, length);
      for (int i = 0; i < length; i++) {
        int codePoint = Character.codePointAt(chars, i, length);
        boolean pair = Character.isSupplementaryCodePoint(codePoint);
        boolean control =
            codePoint == 0x2065
                || (codePoint >= 0xfff0 && codePoint <= 0xfff8)
                || (codePoint >= 0xe0000 && codePoint <= 0xe0fff);
        if (Character.getType(codePoint) == Character.UNASSIGNED && !control) {
          Character.toChars(pair ? 0x10400 : 'x', assigned, i);
        }
        i += pair ? 1 : 0;
      }
      return assigned;
    }

    /** Returns whether two such code points side by side are never one grapheme. */
    private static boolean standsAlone(int codePoint) {
      if (codePoint < 0x300) {
        return codePoint != '\r' && codePoint != '\n';
      }
      return switch (Character.getType(codePoint)) {
        case Character.UPPERCASE_LETTER,
            Character.LOWERCASE_LETTER,
            Character.TITLECASE_LETTER,
            Character.DECIMAL_DIGIT_NUMBER,
            Character.LETTER_NUMBER,
            Character.OTHER_NUMBER,
            Character.DASH_PUNCTUATION,
            Character.START_PUNCTUATION,
            Character.END_PUNCTUATION,
            Character.OTHER_PUNCTUATION,
            Character.SPACE_SEPARATOR ->
            true;
        // Kana and Chinese; other scripts have letters that join.
        case Character.OTHER_LETTER ->
            (codePoint >= 0x3041 && codePoint < 0xa000)
                || (codePoint >= 0x5d0 && codePoint < 0x700);
        default -> false;
      };
    }

    private boolean replaced(int start, int end) {
      int bytes = 0;
      int old = 0;
      for (int i = start; i < end; old++) {
        int codePoint = Character.codePointAt(chars, i, end);
        int size = ByteAlphabet.utf8Length(codePoint);
        if (bytes + size > MOST_GRAPHEME_BYTES) {
          return false;
        }
        for (int index = 0; index < size; index++) {
          key[bytes++] = (byte) ByteAlphabet.utf8Byte(codePoint, size, index);
        }
        i += Character.charCount(codePoint);
      }
      int place = find(key, bytes);
      if (place == NONE) {
        return false;
      }
      mapped = true;
      int added = 0;
      while (place < texts.length() && texts.charAt(place) != 0) {
        int codePoint = texts.codePointAt(place);
        add(codePoint, added < old ? 0 : 1);
        added++;
        place += Character.charCount(codePoint);
      }
      if (added < old && count > 0) {
        // What went without a trace counts with the code point before it.
        changes[count - 1] += added - old;
      }
      return true;
    }

    private void add(int codePoint, int change) {
      if (count == codePoints.length) {
        codePoints = Arrays.copyOf(codePoints, count * 2);
        changes = Arrays.copyOf(changes, count * 2);
      }
      codePoints[count] = codePoint;
      changes[count++] = change;
    }
  }
}
