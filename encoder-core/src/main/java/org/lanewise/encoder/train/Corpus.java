package org.lanewise.encoder.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.tokenizer.SegmentedText;

/**
 * Reads labelled texts. Files are UTF-8, gzipped or not, with or without a byte order mark; what is
 * malformed is refused with file, line and reason.
 */
public final class Corpus {
  private static final int CONLLU_COLUMNS = 10;
  private static final Pattern CONLLU_WORD = Pattern.compile("[1-9][0-9]*");
  private static final Pattern CONLLU_RANGE = Pattern.compile("[1-9][0-9]*-[1-9][0-9]*");
  private static final Pattern CONLLU_EMPTY = Pattern.compile("[0-9]+\\.[1-9][0-9]*");
  private static final String TEXT = "# text = ";
  private static final String NO_SPACE = "SpaceAfter=No";

  /** Stands for a word of white space: corpora of tweets have lost some of their symbols. */
  private static final String LOST_WORD = "\uFFFD";

  private Corpus() {}

  /**
   * Returns texts with a tag for each word.
   *
   * <p>A line has a word, a tab and its tag; a blank line ends a text; lines that begin with a
   * number sign and have no tab, or a space after it, are comments. A third column that says {@code
   * SpaceAfter=No} joins the word to the next one; further columns are not read. Files whose first
   * word has ten columns are CoNLL-U: the word is FORM, the tag UPOS, {@code SpaceAfter=No} stands
   * in MISC; the words of a range such as {@code 1-2} are joined where they spell it, and empty
   * nodes such as {@code 1.1} are left out.
   *
   * <p>A word that is empty, or white space, is read as U+FFFD: its tag counts.
   *
   * <p>The text is that of a comment {@code # text = ...} where it has the words in this order and
   * only white space between them; else the words with a space between them, unless joined.
   *
   * @throws IllegalArgumentException naming file, line and reason
   */
  public static List<Example> readTagged(Path file) throws IOException {
    List<Example> examples = new ArrayList<>();
    try (CorpusLines lines = CorpusLines.open(file)) {
      TaggedText text = new TaggedText();
      Boolean conllu = null;
      for (String line = lines.next(); line != null; line = lines.next()) {
        if (line.isBlank()) {
          text.endTo(examples);
          continue;
        }
        if (line.startsWith("# ") || (line.startsWith("#") && line.indexOf('\t') < 0)) {
          if (line.startsWith(TEXT)) {
            text.stated = line.substring(TEXT.length());
          }
          continue;
        }
        String[] columns = line.split("\t", -1);
        if (conllu == null) {
          conllu = columns.length == CONLLU_COLUMNS;
        }
        if (conllu) {
          addConllu(text, columns, lines);
        } else {
          if (columns.length < 2) {
            throw lines.wrong("has no tab, expected a word, a tab and its tag");
          }
          boolean joined = columns.length > 2 && columns[2].equals(NO_SPACE);
          add(text, columns[0], columns[1], joined, lines);
        }
      }
      text.endTo(examples);
    }
    return required(examples, file);
  }

  /**
   * Returns texts with their classes: a line has the class, a tab and the text; blank lines are
   * skipped. Where a text may have any number of classes a bar stands between them, and nothing
   * before the tab says that it has none.
   *
   * @param choice how many classes a text has
   * @param segmenter cuts a text into what the model reads
   * @throws IllegalArgumentException naming file, line and reason
   */
  public static List<Example> readClassified(
      Path file, Choice choice, Function<String, SegmentedText> segmenter) throws IOException {
    List<Example> examples = new ArrayList<>();
    try (CorpusLines lines = CorpusLines.open(file)) {
      for (String line = lines.next(); line != null; line = lines.next()) {
        if (line.isBlank()) {
          continue;
        }
        int tab = line.indexOf('\t');
        if (tab < 0) {
          throw lines.wrong("has no tab, expected a class, a tab and a text");
        }
        List<String> classes = classes(line.substring(0, tab), choice, lines);
        SegmentedText text = segmenter.apply(line.substring(tab + 1));
        if (text.words() == 0) {
          throw lines.wrong("has no text after its tab");
        }
        examples.add(new Example(text, classes));
      }
    }
    return required(examples, file);
  }

  private static List<String> classes(String column, Choice choice, CorpusLines lines) {
    if (choice == Choice.MULTI_LABEL && column.isBlank()) {
      return List.of();
    }
    List<String> classes =
        choice == Choice.MULTI_LABEL ? List.of(column.split("\\|", -1)) : List.of(column);
    if (classes.stream().anyMatch(String::isBlank)) {
      throw lines.wrong(
          column.isBlank()
              ? "has no class before its tab"
              : "has the classes [" + column + "], of which one has no name");
    }
    if (new HashSet<>(classes).size() != classes.size()) {
      throw lines.wrong("has the classes [" + column + "], of which two are alike");
    }
    return classes;
  }

  private static List<Example> required(List<Example> examples, Path file) {
    if (examples.isEmpty()) {
      throw new IllegalArgumentException("[" + file + "] has no texts, expected at least one");
    }
    return examples;
  }

  private static void addConllu(TaggedText text, String[] columns, CorpusLines lines) {
    if (columns.length != CONLLU_COLUMNS) {
      throw lines.wrong(
          "has " + columns.length + " columns, expected the " + CONLLU_COLUMNS + " of CoNLL-U");
    }
    boolean joined = List.of(columns[9].split("\\|")).contains(NO_SPACE);
    String id = columns[0];
    if (CONLLU_WORD.matcher(id).matches()) {
      if (columns[3].equals("_")) {
        throw lines.wrong("has no tag: column 4, UPOS, is [_]");
      }
      add(text, columns[1], columns[3], joined, lines);
    } else if (CONLLU_RANGE.matcher(id).matches()) {
      int last;
      int length;
      try {
        last = Integer.parseInt(id.substring(id.indexOf('-') + 1));
        length = Math.subtractExact(last, Integer.parseInt(id.substring(0, id.indexOf('-')))) + 1;
      } catch (NumberFormatException e) {
        length = 0;
      }
      if (length < 1) {
        throw lines.wrong("has the range [" + id + "], expected its first word before its last");
      }
      text.beginRange(columns[1], length, joined);
    } else if (!CONLLU_EMPTY.matcher(id).matches()) {
      throw lines.wrong("has the id [" + id + "], expected a number as CoNLL-U writes it");
    }
  }

  private static void add(
      TaggedText text, String word, String tag, boolean joined, CorpusLines lines) {
    if (tag.isBlank()) {
      throw lines.wrong("has no tag for the word [" + word + "]");
    }
    text.add(word.isBlank() ? LOST_WORD : word, tag, joined);
  }

  /** The words of one text so far. */
  private static final class TaggedText {
    private final List<String> words = new ArrayList<>();
    private final List<String> tags = new ArrayList<>();
    private final List<Boolean> joined = new ArrayList<>();
    private String stated = "";
    private String range = "";
    private int rangeStart;
    private int rangeLength;
    private boolean rangeJoined;

    void add(String word, String tag, boolean joinedToNext) {
      words.add(word);
      tags.add(tag);
      joined.add(joinedToNext);
      if (rangeLength > 0 && words.size() == rangeStart + rangeLength) {
        endRange();
      }
    }

    /** The next {@code length} words are one word of the text, spelled {@code surface}. */
    void beginRange(String surface, int length, boolean joinedToNext) {
      range = surface;
      rangeStart = words.size();
      rangeLength = length;
      rangeJoined = joinedToNext;
    }

    private void endRange() {
      boolean spelled = String.join("", words.subList(rangeStart, words.size())).equals(range);
      for (int i = rangeStart; i < words.size(); i++) {
        joined.set(i, i == words.size() - 1 ? rangeJoined : spelled);
      }
      rangeLength = 0;
    }

    void endTo(List<Example> examples) {
      rangeLength = 0;
      if (words.isEmpty()) {
        return;
      }
      examples.add(new Example(find(stated).orElseGet(this::join), tags));
      words.clear();
      tags.clear();
      joined.clear();
      stated = "";
    }

    /** Returns the text with its words, if they are all there is in it. */
    private Optional<SegmentedText> find(String text) {
      int[] starts = new int[words.size()];
      int[] ends = new int[words.size()];
      int at = 0;
      for (int i = 0; i < starts.length; i++) {
        starts[i] = skipSpace(text, at);
        if (!text.startsWith(words.get(i), starts[i])) {
          return Optional.empty();
        }
        at = starts[i] + words.get(i).length();
        ends[i] = at;
      }
      return skipSpace(text, at) == text.length()
          ? Optional.of(new SegmentedText(text, starts, ends))
          : Optional.empty();
    }

    private static int skipSpace(String text, int from) {
      int at = from;
      while (at < text.length()
          && (Character.isWhitespace(text.charAt(at)) || Character.isSpaceChar(text.charAt(at)))) {
        at++;
      }
      return at;
    }

    private SegmentedText join() {
      StringBuilder text = new StringBuilder();
      int[] starts = new int[words.size()];
      int[] ends = new int[words.size()];
      for (int i = 0; i < starts.length; i++) {
        starts[i] = text.length();
        text.append(words.get(i));
        ends[i] = text.length();
        if (i < starts.length - 1 && !joined.get(i)) {
          text.append(' ');
        }
      }
      return new SegmentedText(text.toString(), starts, ends);
    }
  }
}
