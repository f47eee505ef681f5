package org.lanewise.encoder.tokenizer;

import java.text.BreakIterator;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Cuts raw text into sentences and words, as the English Web Treebank of Universal Dependencies
 * writes them.
 *
 * <ul>
 *   <li>White space, control and invisible format characters part words and belong to none.
 *   <li>Addresses of pages and mail, file names, {@code @names} and {@code #tags} are one word, and
 *       so are numbers with their separators, times, dates and telephone numbers: {@code 1,200.50},
 *       {@code 7:30}, {@code 11/28/2000}, {@code 713-853-3989}. A unit behind a number is a word:
 *       {@code 7:30|PM}.
 *   <li>A run of letters, marks, digits and low lines is one word, apostrophes between letters
 *       included; a hyphen parts words, but for prefixes such as {@code non-} and {@code e-}. Where
 *       a script writes no spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) the run is cut by
 *       {@link BreakIterator#getWordInstance}.
 *   <li>English contractions are cut: {@code do|n't}, {@code it|'s}, {@code we|'re}, {@code
 *       can|not}, {@code gon|na}, {@code students|'}.
 *   <li>A full stop belongs to an abbreviation ({@code Dr.}, {@code U.S.}, the initial in {@code
 *       George W. Bush}) and is a word of its own elsewhere.
 *   <li>Runs of full stops, question and exclamation marks are one word, and so are runs of one
 *       other mark ({@code --}, {@code ***}) and common emoticons; every other mark or symbol is a
 *       word of its own, with the marks, joiners and modifiers that follow it.
 * </ul>
 *
 * <p>Sentences are those of {@link BreakIterator#getSentenceInstance}, joined where an abbreviation
 * or an initial ended one; a blank line ends them too. A text has the same words whole or by
 * sentences.
 */
public final class WordSegmenter {
  private static final String LETTERS = "\\p{L}\\p{M}\\p{N}_\\u200c\\u200d\\u00ad";
  private static final String APOSTROPHES = "'\\u2019`";
  private static final String END = "(?![" + LETTERS + "])";
  private static final String NO_SPACE = "[^\\p{Z}\\s<>\"]";
  private static final int ANY_CASE = Pattern.CASE_INSENSITIVE;

  /** Addresses; the marks that a sentence puts behind one are taken off again. */
  private static final Pattern ADDRESS =
      Pattern.compile(
          "(?:(?:https?|ftp)://|mailto:|www\\.)"
              + NO_SPACE
              + "++|[\\w.%+-]{1,64}@\\p{Alpha}[\\w-]{0,63}(?:\\.[\\w-]{1,63}){0,8}"
              + "|[\\p{Alnum}-]{1,63}(?:\\.[\\p{Alnum}-]{1,63}){0,8}\\."
              + "(?:com|org|net|edu|gov|mil|info|biz|co\\.uk)(?:/"
              + NO_SPACE
              + "*+)?"
              + END,
          ANY_CASE);

  /** What words look like, the first that fits. Repetition is bounded or possessive throughout. */
  private static final List<Pattern> WORDS =
      List.of(
          Pattern.compile(
              "[\\w#-]{1,64}(?:\\.[\\w#-]{1,64}){0,4}\\.(?:docx?|xlsx?|pptx?|pdf|txt|html?|jpe?g)"
                  + END,
              ANY_CASE),
          Pattern.compile("[@#](?=\\p{L})[" + LETTERS + "]{2,}+"),
          Pattern.compile(
              "[:;=]['\\u2019]?-?(?:[()\\[\\]|*]++|[DPpOo/\\\\3](?![/"
                  + LETTERS
                  + "]))|<3(?!\\d)|\\^_{0,3}\\^"),
          Pattern.compile(
              "(?:\\+?\\d-)?(?:\\d{3}-)?\\d{3}-\\d{4}"
                  + END
                  + "|\\d{1,4}-\\d{1,2}-\\d{1,4}(?![-"
                  + LETTERS
                  + "])|\\d++(?:,\\d{3}|[.:/]\\d{1,9}+){1,20}+(?:['\\u2019]?s)?"
                  + "|\\d++['\\u2019]s"
                  + END),
          Pattern.compile(
              "\\d++(?=(?:[ap]m|[ckm]m|ft|k?g|lbs?|oz|m[gl]|mph|[gkm]b|[gkm]?hz|hrs?|mins?)"
                  + END
                  + ")",
              ANY_CASE),
          Pattern.compile("(?:\\p{L}\\.){2,12}+" + END + "|(?:\\p{L}\\.){1,12}\\p{L}" + END),
          Pattern.compile("\\p{Lu}{1,5}&\\p{Lu}{1,5}" + END),
          Pattern.compile(
              "(?:anti|co|e|ex|mid|multi|non|post|pre|pro|re|semi|un)-[" + LETTERS + "]++",
              ANY_CASE),
          Pattern.compile("[" + APOSTROPHES + "](?:s|m|re|ve|ll|d)" + END, ANY_CASE),
          Pattern.compile(
              "[" + LETTERS + "]++(?:[" + APOSTROPHES + "](?=\\p{L})[" + LETTERS + "]++){0,3}+"),
          Pattern.compile("[.!?\\u2026]{2,}+|['\\u2018\\u2019]{2}+|([-=*+#~_<>`|])\\1++|-+>|<-+"),
          Pattern.compile(
              "\\P{M}\\p{M}*+(?:[\\u200d\\ufe0e\\ufe0f\\x{1F3FB}-\\x{1F3FF}]\\p{So}?\\p{M}*+)*+"
                  + "|\\p{M}++",
              Pattern.DOTALL));

  /** Where a word is cut, seen from its end. */
  private static final Pattern CONTRACTION =
      Pattern.compile(
          "(?<=\\p{L})(?:n['\\u2019]t|["
              + APOSTROPHES
              + "](?:s|m|re|ve|ll|d))$"
              + "|(?<=^(?:do|did|does|is|was|are|have|has|had|would|could|should|wo|ca))nt$"
              + "|(?<=^can)not$|(?<=^gon|^wan)na$|(?<=^got)ta$",
          ANY_CASE);

  private static final Set<String> ABBREVIATIONS =
      Set.of(
          ("al approx apr arrv attn aug ave blvd bros capt cf co col corp dec dept dr est feb fri"
               + " ft gen gov inc jan jr lt ltd messrs mme mr mrs ms mt nov oct prof rep reps rev"
               + " sen sep sept sgt sr st thu thur thurs tue tues vs")
              .split(" "));

  /** Words, too, so abbreviations only before a number. */
  private static final Set<String> BEFORE_NUMBERS = Set.of("No", "Mon", "Wed", "Sat", "Sun", "Mar");

  /** Abbreviations that often end a sentence. */
  private static final Set<String> LAST = Set.of("etc.", "a.m.", "p.m.");

  /** Where the Thai letters begin, and with them the scripts that write no spaces. */
  private static final char FIRST_UNSPACED = 0xE00;

  private final String text;
  private final Matcher address;
  private final Matcher[] words;
  private int[] starts = new int[64];
  private int[] ends = new int[64];
  private int count;

  private WordSegmenter(String text) {
    this.text = text;
    address = ADDRESS.matcher(text);
    words = WORDS.stream().map(each -> each.matcher(text)).toArray(Matcher[]::new);
  }

  /** Returns the words of a text. */
  public static SegmentedText words(String text) {
    WordSegmenter segmenter = new WordSegmenter(text);
    for (int at = 0; at < text.length(); ) {
      int end = at;
      while (end < text.length() && !parts(text.codePointAt(end))) {
        end += Character.charCount(text.codePointAt(end));
      }
      segmenter.cut(at, end);
      at = end < text.length() ? end + Character.charCount(text.codePointAt(end)) : end;
    }
    return new SegmentedText(
        text,
        Arrays.copyOf(segmenter.starts, segmenter.count),
        Arrays.copyOf(segmenter.ends, segmenter.count));
  }

  /** Returns the sentences of a text, each with its words; none where there are no words. */
  public static List<SegmentedText> sentences(String text) {
    SegmentedText words = words(text);
    BreakIterator breaks = BreakIterator.getSentenceInstance(Locale.ROOT);
    breaks.setText(text);
    List<SegmentedText> sentences = new ArrayList<>();
    int first = 0;
    int boundary = breaks.next();
    for (int word = 1; word < words.words(); word++) {
      int before = words.ends()[word - 1];
      int start = words.starts()[word];
      while (boundary != BreakIterator.DONE && boundary < before) {
        boundary = breaks.next();
      }
      boolean ended = boundary != BreakIterator.DONE && boundary <= start;
      if ((ended && !continues(words.word(word - 1)))
          || (start > before + 1 && blankLine(text, before, start))) {
        sentences.add(words.part(first, word));
        first = word;
      }
    }
    if (words.words() > 0) {
      sentences.add(words.part(first, words.words()));
    }
    return sentences;
  }

  /** Returns whether a sentence goes on after the word although it ends with a full stop. */
  private static boolean continues(String word) {
    return word.length() > 1
        && word.endsWith(".")
        && Character.isLetter(word.charAt(0))
        && !LAST.contains(word.toLowerCase(Locale.ROOT));
  }

  private static boolean blankLine(String text, int from, int to) {
    return text.substring(from, to).chars().filter(unit -> unit == '\n').count() > 1;
  }

  /** Returns whether the character is between words and part of none. */
  private static boolean parts(int codePoint) {
    return switch (Character.getType(codePoint)) {
      case Character.SPACE_SEPARATOR,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.CONTROL ->
          true;
      // Joiners and soft hyphens are inside words.
      case Character.FORMAT -> codePoint != 0x200C && codePoint != 0x200D && codePoint != 0xAD;
      default -> false;
    };
  }

  /** Cuts what stands between spaces. */
  private void cut(int from, int to) {
    for (int at = from; at < to; ) {
      int plain = plain(at, to);
      at = plain > at ? addWord(at, plain, to) : addAny(at, to);
    }
  }

  /**
   * Returns the end of a word of ASCII letters, or of a mark, that no pattern could read otherwise;
   * {@code from} where only the patterns tell. Most words are such, and patterns are slow.
   */
  private int plain(int from, int to) {
    int end = from;
    while (end < to && asciiLetter(text.charAt(end))) {
      end++;
    }
    if (end > from) {
      boolean stop = end == to - 1 && text.charAt(end) == '.';
      return end == to || stop || ",;!?)\"".indexOf(text.charAt(end)) >= 0 ? end : from;
    }
    char mark = text.charAt(from);
    return mark == ',' || mark == '"' || (mark == '.' && from == to - 1) ? from + 1 : from;
  }

  private static boolean asciiLetter(char unit) {
    return (unit >= 'a' && unit <= 'z') || (unit >= 'A' && unit <= 'Z');
  }

  private int addAny(int from, int to) {
    if (address.region(from, to).lookingAt()) {
      int end = address.end();
      while (end > from + 1 && ".,;:!?)]}'\u2019\u201d*".indexOf(text.charAt(end - 1)) >= 0) {
        end--;
      }
      add(from, end);
      return end;
    }
    for (Matcher word : words) {
      if (word.region(from, to).lookingAt()) {
        return addWord(from, word.end(), to);
      }
    }
    throw new IllegalStateException("no word begins at unit " + from);
  }

  /** Adds a word, with its full stop or in its parts, and returns where the next may begin. */
  private int addWord(int start, int end, int to) {
    String word = text.substring(start, end);
    if (end < to && text.charAt(end) == '.' && abbreviation(word, end, to)) {
      add(start, end + 1);
      return end + 1;
    }
    if (unspaced(word)) {
      BreakIterator breaks = BreakIterator.getWordInstance(Locale.ROOT);
      breaks.setText(word);
      int first = breaks.first();
      for (int next = breaks.next(); next != BreakIterator.DONE; next = breaks.next()) {
        add(start + first, start + next);
        first = next;
      }
      return end;
    }
    addContracted(start, end, word);
    return end;
  }

  private void addContracted(int start, int end, String word) {
    if (mayBeContracted(word)) {
      Matcher contraction = CONTRACTION.matcher(word);
      if (contraction.find()) {
        int cut = contraction.start();
        addContracted(start, start + cut, word.substring(0, cut));
        add(start + cut, end);
        return;
      }
    }
    add(start, end);
  }

  private static boolean mayBeContracted(String word) {
    int last = word.length() - 1;
    if (last < 2 || !Character.isLetter(word.charAt(0))) {
      return false;
    }
    for (int i = Math.max(1, last - 2); i < last; i++) {
      if (word.charAt(i) == '\'' || word.charAt(i) == '\u2019' || word.charAt(i) == '`') {
        return true;
      }
    }
    return "tTaA".indexOf(word.charAt(last)) >= 0 && last < 8;
  }

  private static boolean unspaced(String word) {
    for (int i = 0; i < word.length(); i++) {
      if (word.charAt(i) >= FIRST_UNSPACED) {
        switch (Character.UnicodeScript.of(word.codePointAt(i))) {
          case HAN, HIRAGANA, KATAKANA, THAI, LAO, KHMER, MYANMAR -> {
            return true;
          }
          default -> {}
        }
      }
    }
    return false;
  }

  /**
   * Returns whether a full stop belongs to the word before it.
   *
   * @param to end of what stands between spaces
   */
  private boolean abbreviation(String word, int stop, int to) {
    if (ABBREVIATIONS.contains(word.toLowerCase(Locale.ROOT))) {
      return stop + 1 == to || text.charAt(stop + 1) != '.';
    }
    int next = stop + 1;
    while (next < text.length() && parts(text.charAt(next))) {
      next++;
    }
    char after = next < text.length() ? text.charAt(next) : ' ';
    if (word.equalsIgnoreCase("etc")) {
      return Character.isLowerCase(after) || ",;:)".indexOf(after) >= 0;
    }
    if (BEFORE_NUMBERS.contains(word)) {
      return Character.isDigit(after);
    }
    boolean initial = word.length() == 1 && Character.isUpperCase(word.charAt(0));
    return initial && !word.equals("I") && stop + 1 == to && Character.isUpperCase(after);
  }

  private void add(int start, int end) {
    if (count == starts.length) {
      starts = Arrays.copyOf(starts, 2 * count);
      ends = Arrays.copyOf(ends, 2 * count);
    }
    starts[count] = start;
    ends[count] = end;
    count++;
  }
}
