package org.lanewise.encoder.tokenizer;

import java.util.List;
import java.util.Random;

/** Makes texts that mix scripts, marks, emoji, controls and what tokenizers treat specially. */
public final class RandomTexts {
  private static final String[] WORDS = {
    "the",
    " of",
    "Hello",
    "world's",
    "we'LL",
    "don't",
    "I'\u017f",
    "'re",
    "playing",
    "1234567",
    " 3.14",
    "caf\u00e9",
    "cafe\u0301",
    "stra\u00dfe",
    "\u0130stanbul",
    "\ufb01ne",
    "\uff21\uff22 \uff11\uff12",
    "\u4eca\u65e5\u306f",
    "\u30ac\u30ac\u3099",
    "\uff76\uff9e",
    "\ud55c\uad6d\uc5b4",
    "\u1112\u1161\u11ab",
    "\u041f\u0440\u0438\u0432\u0435\u0442",
    "\u0645\u0631\u062d\u0628\u0627",
    "\u0928\u092e\u0938\u094d\u0924\u0947",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\u0f40\u0f71\u0f72",
    "\u1e69\u0323\u0307",
    "x\u0338\u0302",
    "\ud83d\udc68\u200d\ud83d\udc69\u200d\ud83d\udc67",
    "\ud83c\udde9\ud83c\uddea",
    "\ud83d\udc4d\ud83c\udffd",
    "\u2764\ufe0f",
    "\ud835\udd04\ud835\udfd9",
    "\u2581",
    "\u2581a",
    "\u0120",
    "<0x0A>",
    "...",
    "``",
    "''",
    "a/b-c_d",
    "\u00bd\u00b2\u2460\u216b",
    "http://x.y/z?q=1&r=2",
    "\u00a0",
    "\u3000",
    "\u200b",
    "\ufeff",
    "\ufffd",
    "\r\n",
    "\n\n",
    "\t",
    "  ",
    "    ",
    "\u0085",
    "\u2028",
    "\u00ad",
    "\0",
    "\u0007",
    "\u001f",
    "\ue000",
    "\u0600a",
    "e\u0301\u0323\u0302",
    "\u00c5\u212b\u2126",
    "\u0344",
    "\u09c7\u09be",
    "\u0cca\u0cd5"
  };

  private final Random random;
  private final List<String> special;

  /** Returns a source of texts that now and then hold the special tokens. */
  public RandomTexts(Random random, List<String> special) {
    this.random = random;
    this.special = special;
  }

  /** Returns the next text of up to about {@code most} UTF-16 units, no surrogate unpaired. */
  public String next(int most) {
    int length = random.nextInt(most + 1);
    StringBuilder text = new StringBuilder();
    while (text.length() < length) {
      switch (random.nextInt(12)) {
        case 0, 1, 2 -> text.append(WORDS[random.nextInt(WORDS.length)]);
        case 3, 4 -> text.append((char) (' ' + random.nextInt(95)));
        case 5 -> text.append(' ');
        case 6 -> text.appendCodePoint(codePoint(0x300, 0x370));
        case 7 -> text.appendCodePoint(codePoint(0x80, 0x3000));
        case 8 -> text.appendCodePoint(codePoint(0, 0x10000));
        case 9 -> text.appendCodePoint(codePoint(0, 0x20000));
        case 10 ->
            text.append(String.valueOf(text.isEmpty() ? 'a' : ' ').repeat(random.nextInt(4)));
        default ->
            text.append(special.isEmpty() ? "" : special.get(random.nextInt(special.size())));
      }
    }
    return text.toString();
  }

  private int codePoint(int first, int end) {
    int codePoint;
    do {
      codePoint = first + random.nextInt(end - first);
    } while (codePoint >= 0xd800 && codePoint < 0xe000);
    return codePoint;
  }
}
