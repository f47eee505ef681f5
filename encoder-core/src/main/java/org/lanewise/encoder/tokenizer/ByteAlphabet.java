package org.lanewise.encoder.tokenizer;

import java.util.Arrays;

/**
 * The letters that byte-level vocabularies write bytes with: a byte that is a printable character
 * of Latin-1 is itself, the others are U+0100, U+0101 and so on, in ascending order.
 */
final class ByteAlphabet {
  /** The letter of the byte 0x20. */
  static final char SPACE = '\u0120';

  private static final char[] LETTERS = letters();
  private static final short[] BYTES = bytes();

  private ByteAlphabet() {}

  /** Returns the letter of a byte, 0 to 255. */
  static char letter(int value) {
    return LETTERS[value];
  }

  /** Returns the byte of a letter, or -1. */
  static int value(int letter) {
    return letter < BYTES.length ? BYTES[letter] : -1;
  }

  /** Returns the letters of the bytes that UTF-8 has for characters [start, end). */
  static String letters(char[] chars, int start, int end) {
    StringBuilder letters = new StringBuilder((end - start) * 2);
    for (int i = start; i < end; ) {
      int codePoint = Character.codePointAt(chars, i, end);
      i += Character.charCount(codePoint);
      int count = utf8Length(codePoint);
      for (int index = 0; index < count; index++) {
        letters.append(LETTERS[utf8Byte(codePoint, count, index)]);
      }
    }
    return letters.toString();
  }

  /** Returns the number of bytes that UTF-8 has for a code point. */
  static int utf8Length(int codePoint) {
    return codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
  }

  /** Returns the byte at an index of the {@code count} bytes that UTF-8 has for a code point. */
  static int utf8Byte(int codePoint, int count, int index) {
    int bits = codePoint >>> 6 * (count - 1 - index);
    if (index > 0) {
      return 0x80 | bits & 0x3f;
    }
    return count == 1 ? bits : 0xf00 >>> count & 0xff | bits;
  }

  private static char[] letters() {
    char[] letters = new char[256];
    char next = '\u0100';
    for (int value = 0; value < 256; value++) {
      boolean printable =
          (value > ' ' && value < 0x7f) || (value > 0xa0 && value != 0xad && value <= 0xff);
      letters[value] = printable ? (char) value : next++;
    }
    return letters;
  }

  private static short[] bytes() {
    short[] bytes = new short[0x144];
    Arrays.fill(bytes, (short) -1);
    for (short value = 0; value < 256; value++) {
      bytes[LETTERS[value]] = value;
    }
    return bytes;
  }
}
