package org.lanewise.encoder.tokenizer;

import java.util.List;

/** Rewrites characters before the text is split: case, accents, control characters. */
sealed interface Normalizer
    permits BertNormalizer,
        DecompositionForm,
        Normalizer.Lowercase,
        Normalizer.StripAccents,
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
}
