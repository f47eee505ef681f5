package org.lanewise.encoder.tokenizer;

import java.util.List;

/** Rewrites characters before the text is split: case, accents, control characters. */
sealed interface Normalizer
    permits BertNormalizer,
        NormalizationForm,
        PrecompiledMap,
        Normalizer.Lowercase,
        Normalizer.StripAccents,
        Normalizer.Strip,
        Normalizer.Replace,
        Normalizer.Prepend,
        Normalizer.Bytes,
        Normalizer.Nmt,
        Normalizer.Sequence {

  /** Rewrites the text in place, keeping track of where each character came from. */
  void normalize(NormalizedText text);

  /** One normalizer after the other. */
  record Sequence(List<Normalizer> normalizers) implements Normalizer {
    public Sequence {
      normalizers = List.copyOf(normalizers);
    }

    @Override
    public void normalize(NormalizedText text) {
      for (Normalizer normalizer : normalizers) {
        normalizer.normalize(text);
      }
    }
  }

  /** Lower case, code point by code point. */
  record Lowercase() implements Normalizer {
    @Override
    public void normalize(NormalizedText text) {
      char[] chars = text.chars();
      int length = text.length();
      for (int i = 0; i < length; i++) {
        char c = chars[i];
        if (c < 0x80) {
          chars[i] = c >= 'A' && c <= 'Z' ? (char) (c | 0x20) : c;
        } else if (c != '\u0130' && !Character.isSurrogate(c)) {
          // No letter of the basic plane leaves it in lower case, or the other way round.
          chars[i] = (char) CharacterFacts.toLowerCase(c);
        } else if (c != '\u0130' && Character.isHighSurrogate(c)) {
          Character.toChars(CharacterFacts.toLowerCase(text.codePointAt(i)), chars, i++);
        }
      }
      if (indexOf(chars, length, '\u0130') >= 0) {
        for (int i = 0; i < length; i += Character.charCount(text.codePointAt(i))) {
          text.emit(chars[i] == '\u0130' ? 'i' : text.codePointAt(i), i);
          if (chars[i] == '\u0130') {
            text.emit('\u0307', i);
          }
        }
        text.replace();
      }
    }

    private static int indexOf(char[] chars, int length, char wanted) {
      for (int i = 0; i < length; i++) {
        if (chars[i] == wanted) {
          return i;
        }
      }
      return -1;
    }
  }

  /** Removes combining marks; decomposing first is another normalizer's job. */
  record StripAccents() implements Normalizer {
    @Override
    public void normalize(NormalizedText text) {
      int first = 0;
      // U+0300 is the first mark.
      while (first < text.length() && text.chars()[first] < 0x300) {
        first++;
      }
      if (first == text.length()) {
        return;
      }
      int codePoint;
      for (int i = 0; i < text.length(); i += Character.charCount(codePoint)) {
        codePoint = text.codePointAt(i);
        if (!CharacterFacts.isCombiningMark(codePoint)) {
          text.emit(codePoint, i);
        }
      }
      text.replace();
    }
  }

  /** Removes whitespace at the ends. */
  record Strip(boolean left, boolean right) implements Normalizer {
    @Override
    public void normalize(NormalizedText text) {
      char[] chars = text.chars();
      int start = 0;
      int end = text.length();
      // Every whitespace is in the basic plane.
      while (right && end > start && CharacterFacts.isWhitespace(chars[end - 1])) {
        end--;
      }
      while (left && start < end && CharacterFacts.isWhitespace(chars[start])) {
        start++;
      }
      if (end - start < text.length()) {
        emit(text, start, end);
        text.replace();
      }
    }
  }

  /**
   * Replaces what a pattern matches; the content stands for the last character of the match, as in
   * the reference.
   */
  record Replace(TextPattern pattern, String content) implements Normalizer {
    @Override
    public void normalize(NormalizedText text) {
      if (pattern instanceof TextPattern.Literal(String literal)
          && literal.length() == 1
          && content.length() == 1) {
        char wanted = literal.charAt(0);
        char[] chars = text.chars();
        for (int i = 0; i < text.length(); i++) {
          chars[i] = chars[i] == wanted ? content.charAt(0) : chars[i];
        }
        return;
      }
      int[] end = {-1};
      pattern.find(
          text.chars(),
          0,
          text.length(),
          (from, to) -> {
            emit(text, Math.max(end[0], 0), from);
            int last = to - Character.charCount(Character.codePointBefore(text.chars(), to));
            for (int i = 0;
                i < content.length();
                i += Character.charCount(content.codePointAt(i))) {
              text.emit(content.codePointAt(i), last);
            }
            end[0] = to;
          });
      if (end[0] >= 0) {
        emit(text, end[0], text.length());
        text.replace();
      }
    }
  }

  /** Puts something in front of a text that is not empty. */
  record Prepend(String content) implements Normalizer {
    @Override
    public void normalize(NormalizedText text) {
      if (text.length() > 0) {
        for (int i = 0; i < content.length(); i += Character.charCount(content.codePointAt(i))) {
          text.emit(content.codePointAt(i), 0);
        }
        emit(text, 0, text.length());
        text.replace();
      }
    }
  }

  /** Writes every byte of the text in UTF-8 with its letter of the {@link ByteAlphabet}. */
  record Bytes() implements Normalizer {
    @Override
    public void normalize(NormalizedText text) {
      int codePoint;
      for (int i = 0; i < text.length(); i += Character.charCount(codePoint)) {
        codePoint = text.codePointAt(i);
        int count = ByteAlphabet.utf8Length(codePoint);
        for (int index = 0; index < count; index++) {
          int value = ByteAlphabet.utf8Byte(codePoint, count, index);
          text.emit(ByteAlphabet.letter(value), i);
        }
      }
      text.replace();
    }
  }

  /** Removes control characters and makes separators of other kinds spaces. */
  record Nmt() implements Normalizer {
    @Override
    public void normalize(NormalizedText text) {
      int codePoint;
      for (int i = 0; i < text.length(); i += Character.charCount(codePoint)) {
        codePoint = text.codePointAt(i);
        boolean control =
            switch (codePoint) {
              case 0x0b, 0x7f, 0x8f, 0x9f -> true;
              default ->
                  (codePoint > 0 && codePoint <= 8) || (codePoint >= 0x0e && codePoint <= 0x1f);
            };
        if (!control) {
          text.emit(isSeparator(codePoint) ? ' ' : codePoint, i);
        }
      }
      text.replace();
    }

    private static boolean isSeparator(int codePoint) {
      return switch (codePoint) {
        case '\t', '\n', 0x0c, '\r', 0x1680, 0x2028, 0x2029, 0x2581, 0xfeff, 0xfffd -> true;
        default -> codePoint >= 0x200b && codePoint <= 0x200f;
      };
    }
  }

  private static void emit(NormalizedText text, int from, int to) {
    int codePoint;
    for (int i = from; i < to; i += Character.charCount(codePoint)) {
      codePoint = text.codePointAt(i);
      text.emit(codePoint, i);
    }
  }
}
