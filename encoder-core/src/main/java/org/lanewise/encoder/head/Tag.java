package org.lanewise.encoder.head;

/**
 * A label of a span scheme, taken apart.
 *
 * @param prefix B, I, E, S or O
 * @param type what follows the hyphen; empty for O
 */
record Tag(char prefix, String type) {
  private static final Tag OUTSIDE = new Tag('O', "");

  /** Returns the parts of {@code O} or of a prefix, a hyphen and a type that is not empty. */
  static Tag parse(String label) {
    if (label.equals("O")) {
      return OUTSIDE;
    }
    if (!isTag(label)) {
      throw new IllegalArgumentException(
          "label ["
              + label
              + "] is not a span label; expected [O], or [B-], [I-], [E-] or [S-] and a name");
    }
    return new Tag(label.charAt(0), label.substring(2));
  }

  /** Returns whether {@link #parse} takes the label. */
  static boolean isTag(String label) {
    return label.equals("O")
        || label.length() >= 3 && label.charAt(1) == '-' && "BIES".indexOf(label.charAt(0)) >= 0;
  }

  String label() {
    return outside() ? "O" : prefix + "-" + type;
  }

  boolean outside() {
    return prefix == 'O';
  }

  /** Returns whether the label belongs to a span that began before it. */
  boolean continues() {
    return prefix == 'I' || prefix == 'E';
  }

  /** Returns whether the span may go on after the label. */
  boolean open() {
    return prefix == 'B' || prefix == 'I';
  }
}
