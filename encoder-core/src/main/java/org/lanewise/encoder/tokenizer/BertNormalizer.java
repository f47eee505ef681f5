package org.lanewise.encoder.tokenizer;

/**
 * The cleaning of the original BERT: control characters out, every whitespace a space, spaces
 * around Chinese characters, accents off, lower case; each step can be switched off.
 */
record BertNormalizer(
    boolean cleanText, boolean handleChineseChars, boolean stripAccents, boolean lowercase)
    implements Normalizer {
  private static final Lowercase LOWERCASE = new Lowercase();

  @Override
  public void normalize(NormalizedText text) {
    if (text.isAscii()) {
      normalizeAscii(text);
      return;
    }
    if (cleanText || handleChineseChars) {
      cleanAndIsolateChinese(text);
    }
    if (stripAccents) {
      NormalizationForm.NFD.normalize(text);
      stripNonspacingMarks(text);
    }
    if (lowercase) {
      LOWERCASE.normalize(text);
    }
  }

  private void normalizeAscii(NormalizedText text) {
    char[] chars = text.chars();
    boolean control = false;
    for (int i = 0; i < text.length(); i++) {
      char c = chars[i];
      if (c >= 'A' && c <= 'Z') {
        chars[i] = lowercase ? (char) (c | 0x20) : c;
      } else if (cleanText && (c < ' ' || c == 0x7f)) {
        if (c == '\t' || c == '\n' || c == '\r') {
          chars[i] = ' ';
        } else {
          control = true;
        }
      }
    }
    if (control) {
      cleanAndIsolateChinese(text);
    }
  }

  private void cleanAndIsolateChinese(NormalizedText text) {
    int codePoint;
    for (int i = 0; i < text.length(); i += Character.charCount(codePoint)) {
      codePoint = text.codePointAt(i);
      if (cleanText) {
        if (codePoint == 0 || codePoint == 0xfffd || CharacterFacts.isControl(codePoint)) {
          continue;
        }
        if (CharacterFacts.isWhitespace(codePoint)) {
          text.emit(' ', i);
          continue;
        }
      }
      if (handleChineseChars && CharacterFacts.isChinese(codePoint)) {
        text.emit(' ', i);
        text.emit(codePoint, i);
        text.emit(' ', i);
      } else {
        text.emit(codePoint, i);
      }
    }
    text.replace();
  }

  private static void stripNonspacingMarks(NormalizedText text) {
    int codePoint;
    for (int i = 0; i < text.length(); i += Character.charCount(codePoint)) {
      codePoint = text.codePointAt(i);
      // U+0300 is the first mark.
      if (codePoint < 0x300 || !CharacterFacts.isNonspacingMark(codePoint)) {
        text.emit(codePoint, i);
      }
    }
    text.replace();
  }
}
