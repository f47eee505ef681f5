package org.lanewise.encoder.tokenizer;

import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Turns regular expressions of the Oniguruma library into Java's.
 *
 * <p>Only what means the same in both is taken, or has a counterpart: categories, scripts, escapes,
 * classes, look-around, groups, alternatives and quantifiers of single characters. The categories
 * and whitespace of Oniguruma 6.9.10 and of Java 25 were compared for every code point and are the
 * same. Groups may be optional but not repeated, so matching needs no stack that grows with the
 * text.
 */
final class RegexSyntax {
  private static final int MOST_CHARACTERS = 4096;
  private static final int MOST_NESTED = 20;

  /** Each takes some frames of the stack while it is matched; published expressions have 60. */
  private static final int MOST_PIECES = 500;

  private static final Set<String> CATEGORIES =
      Set.of(
          "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P",
          "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl",
          "Zp");
  private static final Set<String> SCRIPTS =
      Set.of(
          "Han", "Hiragana", "Katakana", "Hangul", "Latin", "Greek", "Cyrillic", "Arabic", "Thai");
  // Letters that other single characters are equal to when case does not matter.
  private static final List<String> FOLDED_TOGETHER = List.of("ss", "ff", "fi", "fl", "st");
  // Oniguruma counts six more characters as word characters than the properties say, and no
  // joiners.
  private static final String WORD =
      "\\p{IsAlphabetic}\\p{M}\\p{Nd}\\p{Pc}\u00b2\u00b3\u00b9\u00bc-\u00be";

  private final String expression;
  private final StringBuilder java = new StringBuilder();
  private int at;
  private int pieces;

  private RegexSyntax(String expression) {
    this.expression = expression;
  }

  /**
   * Returns the pattern that an expression stands for.
   *
   * @throws IllegalArgumentException if it is malformed, or means something else in Java
   */
  static TextPattern read(String expression) {
    if (WordPattern.of(expression).isPresent()) {
      return WordPattern.of(expression).get();
    }
    if (expression.isEmpty() || expression.length() > MOST_CHARACTERS) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "the regular expression has %d characters, expected 1 to %d",
              expression.length(),
              MOST_CHARACTERS));
    }
    RegexSyntax syntax = new RegexSyntax(expression);
    boolean mayBeEmpty = syntax.alternatives(0);
    if (syntax.at < expression.length()) {
      throw syntax.refusal("a [)] without a [(]");
    }
    Pattern pattern;
    try {
      pattern = Pattern.compile(syntax.java.toString(), Pattern.UNICODE_CHARACTER_CLASS);
    } catch (PatternSyntaxException e) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "the regular expression [%s] is malformed: %s",
              expression,
              e.getMessage()),
          e);
    }
    if (mayBeEmpty) {
      throw syntax.refusal("that it may match nothing");
    }
    return new TextPattern.Expression(pattern);
  }

  /** Reads up to the end of the group and returns whether it may match nothing. */
  private boolean alternatives(int depth) {
    boolean anyEmpty = false;
    boolean empty = true;
    if (depth > MOST_NESTED) {
      throw refusal("groups nested deeper than " + MOST_NESTED);
    }
    while (at < expression.length() && expression.charAt(at) != ')') {
      if (++pieces > MOST_PIECES) {
        throw refusal("more than " + MOST_PIECES + " pieces");
      }
      char c = expression.charAt(at);
      switch (c) {
        case '|' -> {
          java.append('|');
          at++;
          anyEmpty |= empty;
          empty = true;
        }
        case '(' -> empty &= group(depth);
        case '[' -> {
          characterClass();
          empty &= quantifier();
        }
        case '^', '$', '*', '+', '?', '{', '}', ']' ->
            throw refusal("[" + c + "] at " + at + " outside a class");
        default -> {
          character(false);
          empty &= quantifier();
        }
      }
    }
    return anyEmpty || empty;
  }

  /** Reads a group and what follows it and returns whether it may match nothing. */
  private boolean group(int depth) {
    int start = at;
    boolean lookAround = false;
    boolean anyCase = false;
    if (!expression.startsWith("(?", at)) {
      java.append("(?:");
      at++;
    } else if (take("(?:") || take("(?>")) {
      java.append(expression, start, at);
    } else if (take("(?i:")) {
      java.append("(?iu:");
      anyCase = true;
    } else if (take("(?=") || take("(?!") || take("(?<=") || take("(?<!")) {
      java.append(expression, start, at);
      lookAround = true;
    } else {
      throw refusal("[" + expression.substring(at, Math.min(at + 4, expression.length())) + "]");
    }
    int body = at;
    boolean empty = alternatives(depth + 1) || lookAround;
    if (at == expression.length()) {
      throw refusal("a [(] without a [)]");
    }
    String inside = expression.substring(body, at).toLowerCase(Locale.ROOT);
    if (anyCase && FOLDED_TOGETHER.stream().anyMatch(inside::contains)) {
      throw refusal("letters without case that are one character in some spelling, such as ss");
    }
    java.append(')');
    at++;
    if (at < expression.length() && "*+{?".indexOf(expression.charAt(at)) >= 0) {
      boolean optional = expression.charAt(at) == '?' && !lookAround;
      at++;
      boolean single = at == expression.length() || "*+{?".indexOf(expression.charAt(at)) < 0;
      if (!optional || !single) {
        throw refusal("a repeated group");
      }
      java.append('?');
      return true;
    }
    return empty;
  }

  private void characterClass() {
    java.append('[');
    at++;
    if (take("^")) {
      java.append('^');
    }
    int start = at;
    while (at < expression.length() && expression.charAt(at) != ']') {
      char c = expression.charAt(at);
      if (c == '[' || expression.startsWith("&&", at)) {
        throw refusal("a class inside a class");
      }
      if (c == '-') {
        java.append('-');
        at++;
      } else {
        character(true);
      }
    }
    if (at == expression.length() || at == start) {
      throw refusal("a class that is empty or has no end");
    }
    java.append(']');
    at++;
  }

  private void character(boolean inClass) {
    char c = expression.charAt(at);
    if (c == '\\') {
      escape();
    } else if (c == '.' && !inClass) {
      java.append("[^\\n]");
      at++;
    } else {
      int codePoint = expression.codePointAt(at);
      literal(codePoint);
      at += Character.charCount(codePoint);
    }
  }

  private void escape() {
    if (at + 1 == expression.length()) {
      throw refusal("a [\\] at the end");
    }
    char c = expression.charAt(at + 1);
    at += 2;
    switch (c) {
      case 's', 'S', 'd', 'D', 'r', 'n', 't', 'f' -> java.append('\\').append(c);
      case 'v' -> java.append("\\x0B");
      case 'w' -> java.append('[').append(WORD).append(']');
      case 'W' -> java.append("[^").append(WORD).append(']');
      case 'p', 'P' -> property(c);
      case 'x', 'u' -> codePoint(c);
      default -> {
        if (Character.isLetterOrDigit(c)) {
          throw refusal("[\\" + c + "]");
        }
        literal(c);
      }
    }
  }

  private void property(char p) {
    int end = expression.indexOf('}', at);
    if (!expression.startsWith("{", at) || end < 0) {
      throw refusal("[\\" + p + "] without [{name}]");
    }
    String name = expression.substring(at + 1, end);
    if (!CATEGORIES.contains(name) && !SCRIPTS.contains(name)) {
      throw refusal("the property [" + name + "]");
    }
    java.append('\\')
        .append(p)
        .append(SCRIPTS.contains(name) ? "{Is" : "{")
        .append(name)
        .append('}');
    at = end + 1;
  }

  private void codePoint(char kind) {
    int end = at + (kind == 'x' ? 2 : 4);
    int start = at;
    if (kind == 'x' && take("{")) {
      start = at;
      end = expression.indexOf('}', at);
    }
    String digits = end < 0 || end > expression.length() ? "" : expression.substring(start, end);
    if (!digits.matches("[0-9A-Fa-f]{1,6}") || Integer.parseInt(digits, 16) > 0x10ffff) {
      throw refusal("[\\" + kind + "] without a code point");
    }
    literal(Integer.parseInt(digits, 16));
    at = start > 0 && expression.charAt(start - 1) == '{' ? end + 1 : end;
  }

  /** Reads a quantifier, if there is one, and returns whether it allows for nothing. */
  private boolean quantifier() {
    if (at == expression.length()) {
      return false;
    }
    boolean optional = false;
    char c = expression.charAt(at);
    if (c == '{') {
      int end = expression.indexOf('}', at);
      String range = end < 0 ? "" : expression.substring(at, end + 1);
      if (!range.matches("\\{[0-9]{1,4}(,[0-9]{0,4})?\\}")) {
        throw refusal("[{] without a range");
      }
      java.append(range);
      optional = range.matches("\\{0+[,}].*");
      at = end + 1;
    } else if (c == '*' || c == '+' || c == '?') {
      java.append(c);
      optional = c != '+';
      at++;
      if (at < expression.length() && "+?".indexOf(expression.charAt(at)) >= 0) {
        java.append(expression.charAt(at++));
      }
    }
    if (at < expression.length() && "*+?{".indexOf(expression.charAt(at)) >= 0) {
      boolean quantified = "*+?{".indexOf(c) >= 0;
      if (quantified) {
        throw refusal("a quantifier behind a quantifier");
      }
    }
    return optional;
  }

  private void literal(int codePoint) {
    if (codePoint < 0x80 && !Character.isLetterOrDigit(codePoint)) {
      java.append(String.format(Locale.ROOT, "\\x%02X", codePoint));
    } else {
      java.appendCodePoint(codePoint);
    }
  }

  private boolean take(String expected) {
    boolean found = expression.startsWith(expected, at);
    at += found ? expected.length() : 0;
    return found;
  }

  private IllegalArgumentException refusal(String what) {
    return new IllegalArgumentException(
        String.format(
            Locale.ROOT,
            "the regular expression [%s] is not supported because of %s",
            expression,
            what));
  }
}
