package org.lanewise.encoder.tokenizer;

import java.text.Normalizer.Form;
import java.util.Arrays;

/**
 * The normalisation forms D and KD with alignment.
 *
 * <p>{@link java.text.Normalizer} says what each code point decomposes to, but not where the parts
 * of a text came from, and it takes quadratic time over long runs of marks. So its answers are kept
 * in a table, and runs of combining marks are sorted here. As in the reference, marks that change
 * places take the alignment of the place: the k-th code point of the source aligns with the k-th
 * first part in the sorted output, and the other parts with the one before them.
 */
enum DecompositionForm implements Normalizer {
  NFD(Form.NFD),
  NFKD(Form.NFKD);

  private static final int LAST_DECOMPOSABLE = 0x2fa1f;

  private final Form form;

  DecompositionForm(Form form) {
    this.form = form;
  }

  @Override
  public void normalize(NormalizedText text) {
    boolean plain = true;
    for (int i = 0; i < text.length() && plain; i++) {
      plain = text.chars()[i] < (this == NFD ? 0xc0 : 0xa0);
    }
    if (!plain) {
      new Run(text, this == NFD ? CanonicalTable.TABLE : CompatibilityTable.TABLE).decompose();
    }
  }

  private static final class CanonicalTable {
    static final Table TABLE = new Table(NFD.form);
  }

  private static final class CompatibilityTable {
    static final Table TABLE = new Table(NFKD.form);
  }

  /** The state of one pass over one text. */
  private static final class Run {
    private static final int FIRST = 1 << 21;
    private static final int ORDER_SHIFT = 22;
    private static final int RANK_SHIFT = 54;

    private final NormalizedText text;
    private final Table table;
    // Combining marks that wait for the end of their run: rank, order of arrival, first, code
    // point.
    private long[] marks = new long[8];
    private int markCount;
    private int nextSource;
    private int lastSource;

    Run(NormalizedText text, Table table) {
      this.text = text;
      this.table = table;
    }

    void decompose() {
      int codePoint;
      for (int i = 0; i < text.length(); i += Character.charCount(codePoint)) {
        codePoint = text.codePointAt(i);
        if (codePoint < 0xa0) {
          add(codePoint, 0, true);
        } else if (codePoint >= 0xac00 && codePoint <= 0xd7a3) {
          int syllable = codePoint - 0xac00;
          add(0x1100 + syllable / 588, 0, true);
          add(0x1161 + syllable % 588 / 28, 0, false);
          if (syllable % 28 != 0) {
            add(0x11a7 + syllable % 28, 0, false);
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
      text.replace();
    }

    private void add(int codePoint, int rank, boolean first) {
      if (rank == 0) {
        flush();
        emit(codePoint, first);
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
        emit((int) marks[i] & (FIRST - 1), (marks[i] & FIRST) != 0);
      }
      markCount = 0;
    }

    private void emit(int codePoint, boolean first) {
      if (first) {
        lastSource = nextSource;
        nextSource += Character.charCount(text.codePointAt(nextSource));
      }
      text.emit(codePoint, lastSource);
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
