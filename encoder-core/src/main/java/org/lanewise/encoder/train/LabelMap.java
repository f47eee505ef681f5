package org.lanewise.encoder.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Replaces the classes of labelled data by others, so that data with finer classes, or with other
 * names for them, can be trained on together. Immutable and thread-safe.
 */
public final class LabelMap {
  private static final Pattern SPAN = Pattern.compile("([BIES]-)(.+)");
  private static final String OUTSIDE = "O";

  private final Map<String, String> classes;
  private final Path file;

  private LabelMap(Map<String, String> classes, Path file) {
    this.classes = Map.copyOf(classes);
    this.file = file;
  }

  /**
   * Returns the map of a file: lines of a class, a tab and the class to take its place; {@code O}
   * for none.
   *
   * @throws IllegalArgumentException naming file, line and what is wrong
   */
  public static LabelMap read(Path file) throws IOException {
    Map<String, String> classes = new HashMap<>();
    try (CorpusLines lines = CorpusLines.open(file)) {
      for (String line = lines.next(); line != null; line = lines.next()) {
        if (line.isBlank()) {
          continue;
        }
        String[] columns = line.split("\t", -1);
        if (columns.length != 2 || columns[0].isBlank() || columns[1].isBlank()) {
          throw lines.wrong("is [" + line + "], expected a class, a tab and another class");
        }
        if (classes.put(columns[0], columns[1]) != null) {
          throw lines.wrong("has the class [" + columns[0] + "] for the second time");
        }
      }
    }
    return new LabelMap(classes, file);
  }

  /**
   * Returns the text with its labels replaced: what follows the prefix of a span label, else the
   * whole label.
   *
   * @throws IllegalArgumentException naming a class that the map lacks
   */
  public Example apply(Example example) {
    List<String> labels = example.labels().stream().map(this::apply).toList();
    return new Example(example.text(), labels, example.unlabelled());
  }

  /**
   * Returns a text of any number of classes with these replaced: O leaves a class out, and what two
   * become is there once.
   *
   * @throws IllegalArgumentException naming a class that the map lacks
   */
  public Example applyToClasses(Example example) {
    List<String> labels =
        apply(example).labels().stream()
            .filter(label -> !label.equals(OUTSIDE))
            .distinct()
            .toList();
    return new Example(example.text(), labels);
  }

  private String apply(String label) {
    if (label.equals(OUTSIDE)) {
      return label;
    }
    Matcher span = SPAN.matcher(label);
    String prefix = span.matches() ? span.group(1) : "";
    String name = span.matches() ? span.group(2) : label;
    String mapped = classes.get(name);
    if (mapped == null) {
      throw new IllegalArgumentException(
          "class [" + name + "] is not in [" + file + "]; map it to itself to keep it, or to O");
    }
    return mapped.equals(OUTSIDE) ? mapped : prefix + mapped;
  }
}
