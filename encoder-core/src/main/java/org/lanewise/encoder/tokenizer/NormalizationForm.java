package org.lanewise.encoder.tokenizer;

import java.text.Normalizer.Form;
import java.util.Arrays;
import java.util.BitSet;

/**
 * The normalisation forms with alignment.
 *
 * <p>{@link java.text.Normalizer} says what each code point decomposes to, but not where the parts
 * of a text came from, and it takes quadratic time over long runs of marks. So its answers are kept
 * in a table, and runs of combining marks are sorted and composed here. As in the reference, marks
 * that change places take the alignment of the place: the k-th code point of the source aligns with
 * the k-th first part in the sorted output, and the other parts with the one before them. What is
 * composed aligns with the first code point that went into it.
 */
enum NormalizationForm implements Normalizer {
  NFD(Form.NFD, 0xc0),
  NFKD(Form.NFKD, 0xa0),
  NFC(Form.NFC, 0x300),
  NFKC(Form.NFKC, 0xa0);

  private static final int LAST_DECOMPOSABLE = 0x2fa1f;

  private final Form form;
  private final int firstChanged;

  NormalizationForm(Form form, int firstChanged) {
    this.form = form;
    this.firstChanged = firstChanged;
  }

  @Override
  public void normalize(NormalizedText text) {
    char[] chars = text.chars();
    for (int i = 0; i < text.length(); i++) {
      if (chars[i] >= firstChanged && mayChange(text, i)) {
        boolean compatibility = this == NFKD || this == NFKC;
        Table table = compatibility ? CompatibilityTable.TABLE : CanonicalTable.TABLE;
        new Run(text, table, composes()).run();
        return;
      }
    }
  }

  private boolean composes() {
    return this == NFC || this == NFKC;
  }

  private boolean mayChange(NormalizedText text, int at) {
    if (!composes() || Character.isLowSurrogate(text.chars()[at])) {
      return !composes();
    }
    BitSet active = this == NFC ? Composition.ACTIVE_CANONICAL : Composition.ACTIVE_COMPATIBILITY;
    return active.get(text.codePointAt(at));
  }

  private static final class CanonicalTable {
    static final Table TABLE = new Table(NFD.form);
  }

  private static final class CompatibilityTable {
    static final Table TABLE = new Table(NFKD.form);
  }

  /** Which two code points are one, and which can change a text when it is composed. */
  private static final class Composition {
    static final BitSet ACTIVE_CANONICAL = new BitSet();
    static final BitSet ACTIVE_COMPATIBILITY = new BitSet();

    // First, second and composed code point, 21 bits each, ascending.
    private static final long[] PAIRS = pairs();

    private static long[] pairs() {
      long[] found = new long[1024];
      int count = 0;
      Table canonical = CanonicalTable.TABLE;
      Table compatibility = CompatibilityTable.TABLE;
      for (int c = 0xa0; c <= LAST_DECOMPOSABLE; c++) {
        int entry = canonical.entry(c);
        boolean changed = false;
        if (Table.parts(entry) > 0) {
          String composed = java.text.Normalizer.normalize(Character.toString(c), Form.NFC);
          changed =
              composed.codePointCount(0, composed.length()) > 1 || composed.codePointAt(0) != c;
          if (!changed) {
            int parts = Table.parts(entry);
            int second = canonical.part(entry, parts - 1);
            StringBuilder before = new StringBuilder();
            for (int part = 0; part < parts - 1; part++) {
              before.appendCodePoint(canonical.part(entry, part));
            }
            int first = java.text.Normalizer.normalize(before, Form.NFC).codePointAt(0);
            if (count == found.length) {
              found = Arrays.copyOf(found, count * 2);
            }
            found[count++] = (long) first << 42 | (long) second << 21 | c;
            ACTIVE_CANONICAL.set(second);
          }
        }
        if (changed || Table.rank(entry) > 0) {
          ACTIVE_CANONICAL.set(c);
        }
        if (Table.parts(compatibility.entry(c)) > 0
            && !java.text.Normalizer.isNormalized(Character.toString(c), Form.NFKC)) {
          ACTIVE_COMPATIBILITY.set(c);
        }
      }
      ACTIVE_CANONICAL.set(VOWEL, VOWEL + 21);
      ACTIVE_CANONICAL.set(TRAIL + 1, TRAIL + TRAILS);
      ACTIVE_COMPATIBILITY.or(ACTIVE_CANONICAL);
      long[] pairs = Arrays.copyOf(found, count);
      Arrays.sort(pairs);
      return pairs;
    }

    /** Returns what the two compose to, or -1. */
    static int compose(int first, int second) {
      if (first >= LEAD && first < LEAD + 19 && second >= VOWEL && second < VOWEL + 21) {
        return SYLLABLE + ((first - LEAD) * 21 + second - VOWEL) * TRAILS;
      }
      if (first >= SYLLABLE && first < SYLLABLE + SYLLABLES && second >= TRAIL) {
        boolean open = (first - SYLLABLE) % TRAILS == 0;
        if (open && second > TRAIL && second < TRAIL + TRAILS) {
          return first + second - TRAIL;
        }
      }
      long key = (long) first << 42 | (long) second << 21;
      int at = -Arrays.binarySearch(PAIRS, key) - 1;
      boolean found = at < PAIRS.length && (PAIRS[at] ^ key) >>> 21 == 0;
      return found ? (int) PAIRS[at] & 0x1fffff : -1;
    }
  }

  // Hangul syllables are computed from their letters.
  private static final int SYLLABLE = 0xac00;
  private static final int SYLLABLES = 11172;
  private static final int LEAD = 0x1100;
  private static final int VOWEL = 0x1161;
  private static final int TRAIL = 0x11a7;
  private static final int TRAILS = 28;

  /** The state of one pass over one text. */
  private static final class Run {
    private static final int FIRST = 1 << 21;
    private static final int ORDER_SHIFT = 22;
    private static final int RANK_SHIFT = 54;

    private final NormalizedText text;
    private final Table table;
    private final boolean composes;
    // Combining marks that wait for the end of their run: rank, order of arrival, first, code
    // point.
    private long[] marks = new long[8];
    private int markCount;

    // While composing: the last starter, or -1, its change, and the marks behind it.
    private int starter = -1;
    private int starterChange;
    private long[] behind = new long[8];
    private int behindCount;
    private int lastRank;

    Run(NormalizedText text, Table table, boolean composes) {
      this.text = text;
      this.table = table;
      this.composes = composes;
    }

    void run() {
      int codePoint;
      for (int i = 0; i < text.length(); i += Character.charCount(codePoint)) {
        codePoint = text.codePointAt(i);
        if (codePoint < 0xa0) {
          add(codePoint, 0, true);
        } else if (codePoint >= SYLLABLE && codePoint < SYLLABLE + SYLLABLES) {
          int syllable = codePoint - SYLLABLE;
          add(LEAD + syllable / (21 * TRAILS), 0, true);
          add(VOWEL + syllable % (21 * TRAILS) / TRAILS, 0, false);
          if (syllable % TRAILS != 0) {
            add(TRAIL + syllable % TRAILS, 0, false);
          }
        } else {
          int entry = table.entry(codePoint);
          int parts = Table.parts(entry);
          if (parts == 0) {
            add(codePoint, Table.rank(entry), true);
          }
          for (int part = 0; part < parts; part++) {
            int decomposed = table.part(entry, part);
            add(decomposed, Table.rank(table.entry(decomposed)), part == 0);
          }
        }
      }
      flush();
      finishStarter();
      text.replace();
    }

    private void add(int codePoint, int rank, boolean first) {
      if (rank == 0) {
        flush();
        put(codePoint, 0, first ? 0 : 1);
        return;
      }
      if (markCount == marks.length) {
        marks = Arrays.copyOf(marks, markCount * 2);
      }
      marks[markCount] =
          (long) rank << RANK_SHIFT
              | (long) markCount << ORDER_SHIFT
              | (first ? FIRST : 0)
              | codePoint;
      markCount++;
    }

    private void flush() {
      if (markCount > 1) {
        Arrays.sort(marks, 0, markCount);
      }
      for (int i = 0; i < markCount; i++) {
        int rank = (int) (marks[i] >>> RANK_SHIFT);
        put((int) marks[i] & (FIRST - 1), rank, (marks[i] & FIRST) != 0 ? 0 : 1);
      }
      markCount = 0;
    }

    private void put(int codePoint, int rank, int change) {
      if (!composes || (starter < 0 && rank != 0)) {
        text.emitChange(codePoint, change);
        return;
      }
      if (starter >= 0 && (behindCount == 0 || lastRank < rank)) {
        int composed = Composition.compose(starter, codePoint);
        if (composed >= 0) {
          starter = composed;
          starterChange += change - 1;
          return;
        }
      }
      if (rank == 0) {
        finishStarter();
        starter = codePoint;
        starterChange = change;
        return;
      }
      if (behindCount == behind.length) {
        behind = Arrays.copyOf(behind, behindCount * 2);
      }
      behind[behindCount++] = (long) change << 32 | codePoint;
      lastRank = rank;
    }

    private void finishStarter() {
      if (starter >= 0) {
        text.emitChange(starter, starterChange);
        starter = -1;
      }
      for (int i = 0; i < behindCount; i++) {
        text.emitChange((int) behind[i], (int) (behind[i] >> 32));
      }
      behindCount = 0;
    }
  }

  /** What each code point decomposes to, and the order of marks, for one form. */
  private static final class Table {
    private static final int BLOCK = 256;
    // One mark of each canonical combining class, in ascending order of the classes.
    private static final String CLASSES =
        "\u0334\ud81b\udff0\u093c\u3099\u094d\u05b0\u05b1\u05b2\u05b3\u05b4\u05b5\u05b6\u05b7"
            + "\u05b8\u05b9\u05bb\u05bc\u05bd\u05bf\u05c1\u05c2\ufb1e\u064b\u064c\u064d\u064e"
            + "\u064f\u0650\u0651\u0652\u0670\u0711\u0c55\u0c56\u0e38\u0e48\u0eb8\u0ec8\u0f71"
            + "\u0f72\u0f74\u0321\u1dce\u031b\u1dfa\u0316\u302e\ud834\udd6d\u05ae\u0301\u0315"
            + "\u035c\u035d\u0345";

    private final int[] blocks = new int[(LAST_DECOMPOSABLE + BLOCK) / BLOCK];
    private int[] entries = new int[BLOCK];
    private int used = BLOCK;
    private int[] codePoints = new int[4096];
    private int codePointCount;

    Table(Form form) {
      int[] classes = CLASSES.codePoints().toArray();
      for (int c = 0xa0; c <= LAST_DECOMPOSABLE; c++) {
        if (c == 0x3400 || c == 0xac00 || c == 0x17000 || c == 0x20000) {
          c = c == 0x3400 ? 0xa000 : c == 0xac00 ? 0xf900 : c == 0x17000 ? 0x18d00 : 0x2f800;
        }
        int type = Character.getType(c);
        if (type == Character.UNASSIGNED || CharacterFacts.isNeverDecomposed(c)) {
          continue;
        }
        String one = Character.toString(c);
        String parts = java.text.Normalizer.normalize(one, form);
        if (!parts.equals(one)) {
          int[] decomposed = parts.codePoints().toArray();
          if (codePointCount + decomposed.length > codePoints.length) {
            codePoints = Arrays.copyOf(codePoints, codePoints.length * 2);
          }
          System.arraycopy(decomposed, 0, codePoints, codePointCount, decomposed.length);
          set(c, codePointCount << 11 | decomposed.length << 6);
          codePointCount += decomposed.length;
        } else if (CharacterFacts.isCombiningMark(c)) {
          set(c, rankOf(one, classes));
        }
      }
    }

    int entry(int codePoint) {
      return codePoint > LAST_DECOMPOSABLE
          ? 0
          : entries[blocks[codePoint / BLOCK] + codePoint % BLOCK];
    }

    static int parts(int entry) {
      return entry >>> 6 & 31;
    }

    int part(int entry, int index) {
      return codePoints[(entry >>> 11) + index];
    }

    static int rank(int entry) {
      return entry & 63;
    }

    private void set(int codePoint, int entry) {
      int block = codePoint / BLOCK;
      if (blocks[block] == 0) {
        blocks[block] = used;
        used += BLOCK;
        entries = Arrays.copyOf(entries, Math.max(entries.length, used + 16 * BLOCK));
      }
      entries[blocks[block] + codePoint % BLOCK] = entry;
    }

    /** Returns 0 for a starter, else one more than the number of classes below the mark's. */
    private static int rankOf(String mark, int[] classes) {
      if (!isBefore(mark, classes[classes.length - 1]) && !isAfter(mark, classes[0])) {
        return 0;
      }
      int low = 0;
      int high = classes.length - 1;
      while (low < high) {
        int middle = (low + high) >>> 1;
        if (isAfter(mark, classes[middle])) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      return low + 1;
    }

    private static boolean isBefore(String mark, int other) {
      String unordered = Character.toString(other) + mark;
      return !java.text.Normalizer.isNormalized(unordered, Form.NFD);
    }

    private static boolean isAfter(String mark, int other) {
      String unordered = mark + Character.toString(other);
      return !java.text.Normalizer.isNormalized(unordered, Form.NFD);
    }
  }
}
