package org.lanewise.encoder.tokenizer;

import java.util.HexFormat;

/**
 * Character classes as the reference implementation sees them.
 *
 * <p>The Rust library takes its categories from crates with older Unicode tables than Java's
 * (categories of Unicode 8, normalisation of Unicode 9), so a mark or punctuation character that
 * was added later is an ordinary character to it. Models were trained behind those tables, so the
 * ranges below keep them: each was found by comparing every code point of tokenizers 0.22.2 with
 * Java 25 (Unicode 16). Lower-casing there follows Unicode 17; the 28 pairs that Java 25 does not
 * know yet are listed too.
 */
final class CharacterFacts {
  private static final Ranges NOT_NONSPACING =
      new Ranges(
          """
          7fd 897-89f 8ca-8e1 9fe afa-aff b55 c04 c3c d00 d3b-d3c d81 eba ece 180f 1885-1886
          1abf-1ace 1df6-1dfb a82c a8c5 a8ff a9bd 10d24-10d27 10d69-10d6d 10eab-10eac 10efc-10eff
          10f46-10f50 10f82-10f85 11070 11073-11074 110c2 111c9 111cf 1123e 11241 1133b 113bb-113c0
          113ce 113d0 113d2 113e1-113e2 11438-1143f 11442-11444 11446 1145e 1182f-11837 11839-1183a
          1193b-1193c 1193e 11943 119d4-119d7 119da-119db 119e0 11a01-11a0a 11a33-11a38 11a3b-11a3e
          11a47 11a51-11a56 11a59-11a5b 11a8a-11a96 11a98-11a99 11c30-11c36 11c38-11c3d 11c3f
          11c92-11ca7 11caa-11cb0 11cb2-11cb3 11cb5-11cb6 11d31-11d36 11d3a 11d3c-11d3d 11d3f-11d45
          11d47 11d90-11d91 11d95 11d97 11ef3-11ef4 11f00-11f01 11f36-11f3a 11f40 11f42 11f5a 13440
          13447-13455 1611e-16129 1612d-1612f 16f4f 16fe4 1cf00-1cf2d 1cf30-1cf46 1e000-1e006
          1e008-1e018 1e01b-1e021 1e023-1e024 1e026-1e02a 1e08f 1e130-1e136 1e2ae 1e2ec-1e2ef
          1e4ec-1e4ef 1e5ee-1e5ef 1e944-1e94a\
          """);
  private static final Ranges NOT_COMBINING =
      new Ranges(
          """
          7fd 897-89f 8ca-8d3 9fe afa-aff b55 c04 c3c cf3 d00 d3b-d3c d81 eba ece 1715 180f
          1abf-1ace 1cf7 1df6-1dfa a82c a8ff 10d24-10d27 10d69-10d6d 10eab-10eac 10efc-10eff
          10f46-10f50 10f82-10f85 11070 11073-11074 110c2 11145-11146 111c9 111ce-111cf 11241 1133b
          113b8-113c0 113c2 113c5 113c7-113ca 113cc-113d0 113d2 113e1-113e2 1145e 1182c-1183a
          11930-11935 11937-11938 1193b-1193e 11940 11942-11943 119d1-119d7 119da-119e0 119e4
          11a01-11a0a 11a33-11a39 11a3b-11a3e 11a47 11a51-11a5b 11a8a-11a99 11d31-11d36 11d3a
          11d3c-11d3d 11d3f-11d45 11d47 11d8a-11d8e 11d90-11d91 11d93-11d97 11ef3-11ef6 11f00-11f01
          11f03 11f34-11f3a 11f3e-11f42 11f5a 13440 13447-13455 1611e-1612f 16f4f 16f7f-16f87 16fe4
          16ff0-16ff1 1cf00-1cf2d 1cf30-1cf46 1e08f 1e130-1e136 1e2ae 1e2ec-1e2ef 1e4ec-1e4ef
          1e5ee-1e5ef\
          """);
  private static final Ranges NOT_PUNCTUATION =
      new Ranges(
          """
          61d 9fd a76 c77 c84 1b4e-1b4f 1b7d-1b7f 2e43-2e4f 2e52-2e5d 10d6e 10ead 10f55-10f59
          10f86-10f89 113d4-113d5 113d7-113d8 1144b-1144f 1145a-1145b 1145d 11660-1166c 116b9 1183b
          11944-11946 119e2 11a3f-11a46 11a9a-11a9c 11a9e-11aa2 11b00-11b09 11be1 11c41-11c45
          11c70-11c71 11ef7-11ef8 11f43-11f4f 11fff 12ff1-12ff2 16d6d-16d6f 16e97-16e9a 16fe2 1e5ff
          1e95e-1e95f\
          """);
  private static final Ranges NOT_CONTROL = new Ranges("890-891 8e2 110cd 13430-1343f");
  private static final Ranges NOT_DECOMPOSED =
      new Ranges(
          """
          32ff a7f2-a7f4 ab69 105c9 105e4 10781-10785 10787-107b0 107b2-107ba 11383 11385 1138e
          11391 113c5 113c7-113c8 11938 16121-16128 16d68-16d6a 1ccd6-1ccf9 1e030-1e06d 1f16c
          1fbf0-1fbf9\
          """);

  private CharacterFacts() {}

  /** Returns whether the code point has the property White_Space. */
  static boolean isWhitespace(int codePoint) {
    if (codePoint < 0x80) {
      return codePoint == ' ' || isBetween(codePoint, '\t', '\r');
    }
    return switch (Character.getType(codePoint)) {
      case Character.SPACE_SEPARATOR, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR ->
          true;
      default -> codePoint == 0x85;
    };
  }

  /**
   * Returns whether the code point is a control, format or private-use character; tab, \n, \r not.
   */
  static boolean isControl(int codePoint) {
    return switch (Character.getType(codePoint)) {
      case Character.CONTROL -> codePoint != '\t' && codePoint != '\n' && codePoint != '\r';
      case Character.FORMAT -> !NOT_CONTROL.contains(codePoint);
      case Character.PRIVATE_USE -> true;
      default -> false;
    };
  }

  /** Returns whether the code point is ASCII punctuation or symbol, or of a category P*. */
  static boolean isPunctuation(int codePoint) {
    if (codePoint < 0x80) {
      return codePoint > ' ' && codePoint < 0x7f && !isAsciiLetterOrDigit(codePoint);
    }
    return switch (Character.getType(codePoint)) {
      case Character.CONNECTOR_PUNCTUATION,
          Character.DASH_PUNCTUATION,
          Character.START_PUNCTUATION,
          Character.END_PUNCTUATION,
          Character.INITIAL_QUOTE_PUNCTUATION,
          Character.FINAL_QUOTE_PUNCTUATION,
          Character.OTHER_PUNCTUATION ->
          !NOT_PUNCTUATION.contains(codePoint);
      default -> codePoint == 0x166d || codePoint == 0x111c9;
    };
  }

  /** Returns whether the code point is of a category N*. */
  static boolean isNumber(int codePoint) {
    return switch (Character.getType(codePoint)) {
      case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER -> true;
      default -> false;
    };
  }

  /** Returns whether the code point is a nonspacing mark (Mn). */
  static boolean isNonspacingMark(int codePoint) {
    return switch (Character.getType(codePoint)) {
      case Character.NON_SPACING_MARK -> !NOT_NONSPACING.contains(codePoint);
      case Character.COMBINING_SPACING_MARK -> codePoint == 0x1734 || codePoint == 0x1171e;
      default -> false;
    };
  }

  /** Returns whether the code point is a combining mark (Mn, Mc or Me). */
  static boolean isCombiningMark(int codePoint) {
    return switch (Character.getType(codePoint)) {
      case Character.NON_SPACING_MARK, Character.COMBINING_SPACING_MARK, Character.ENCLOSING_MARK ->
          !NOT_COMBINING.contains(codePoint);
      default -> codePoint == 0x1cf2 || codePoint == 0x1cf3;
    };
  }

  /** Returns whether normalisation forms leave the code point alone although Java's do not. */
  static boolean isNeverDecomposed(int codePoint) {
    return NOT_DECOMPOSED.contains(codePoint);
  }

  /** Returns whether the code point lies in a block of Chinese characters, as BERT defines them. */
  static boolean isChinese(int codePoint) {
    return codePoint >= 0x3400
        && (codePoint <= 0x4dbf
            || isBetween(codePoint, 0x4e00, 0x9fff)
            || isBetween(codePoint, 0xf900, 0xfaff)
            || isBetween(codePoint, 0x20000, 0x2a6df)
            || isBetween(codePoint, 0x2a700, 0x2b81f)
            || isBetween(codePoint, 0x2b920, 0x2ceaf)
            || isBetween(codePoint, 0x2f800, 0x2fa1f));
  }

  /** Returns whether a regular expression's \w matches the code point. */
  static boolean isWord(int codePoint) {
    return switch (Character.getType(codePoint)) {
      case Character.NON_SPACING_MARK,
          Character.COMBINING_SPACING_MARK,
          Character.ENCLOSING_MARK,
          Character.DECIMAL_DIGIT_NUMBER,
          Character.CONNECTOR_PUNCTUATION ->
          true;
      default -> Character.isAlphabetic(codePoint) || codePoint == 0x200c || codePoint == 0x200d;
    };
  }

  /**
   * Returns the lower-case form of one code point, without regard to locale and neighbours. U+0130
   * alone has two code points there: 'i' and, for the caller to add, U+0307.
   */
  static int toLowerCase(int codePoint) {
    if (isBetween(codePoint, 0x16ea0, 0x16eb8)) {
      return codePoint + 27;
    }
    return switch (codePoint) {
      case 0xa7ce, 0xa7d2, 0xa7d4 -> codePoint + 1;
      default -> Character.toLowerCase(codePoint);
    };
  }

  private static boolean isAsciiLetterOrDigit(int c) {
    return isBetween(c, 'a', 'z') || isBetween(c, 'A', 'Z') || isBetween(c, '0', '9');
  }

  private static boolean isBetween(int codePoint, int first, int last) {
    return codePoint >= first && codePoint <= last;
  }

  /** Sorted, disjoint ranges of code points. */
  private static final class Ranges {
    private final int[] first;
    private final int[] last;

    Ranges(String hexadecimal) {
      String[] ranges = hexadecimal.split("\\s+", -1);
      first = new int[ranges.length];
      last = new int[ranges.length];
      for (int i = 0; i < ranges.length; i++) {
        int dash = ranges[i].indexOf('-');
        first[i] = HexFormat.fromHexDigits(dash < 0 ? ranges[i] : ranges[i].substring(0, dash));
        last[i] = HexFormat.fromHexDigits(ranges[i].substring(dash + 1));
      }
    }

    boolean contains(int codePoint) {
      int low = 0;
      int high = first.length - 1;
      while (low <= high) {
        int middle = (low + high) >>> 1;
        if (codePoint < first[middle]) {
          high = middle - 1;
        } else if (codePoint > last[middle]) {
          low = middle + 1;
        } else {
          return true;
        }
      }
      return false;
    }
  }
}
