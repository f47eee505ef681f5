package org.lanewise.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Horizontal bars in groups, as SVG that needs no font or style of its own. */
final class BarChart {
  /**
   * One bar.
   *
   * @param label what stands beside it
   * @param value its length
   * @param ours whether it is one of ours
   */
  record Bar(String label, double value, boolean ours) {}

  /** Bars with a scale of their own. */
  record Group(String title, List<Bar> bars) {
    Group {
      bars = List.copyOf(bars);
    }
  }

  private static final int LABELS = 120;
  private static final int LENGTH = 380;
  private static final int VALUES = 100;
  private static final int BAR = 16;
  private static final int GAP = 4;
  private static final int TITLE = 34;
  private static final String OURS = "#1f6f8b";
  private static final String THEIRS = "#b8b8b8";

  private BarChart() {}

  /** Returns the picture of all groups, one below the other. */
  static String svg(String title, List<Group> groups) {
    List<String> parts = new ArrayList<>();
    int y = TITLE;
    parts.add(text(GAP, y - 12, "bold", title));
    for (Group group : groups) {
      double most = group.bars().stream().mapToDouble(Bar::value).max().orElse(1);
      y += TITLE;
      parts.add(text(GAP, y - GAP, "bold", group.title()));
      y += GAP;
      for (Bar bar : group.bars()) {
        int length = (int) Math.max(1, Math.round(LENGTH * bar.value() / most));
        parts.add(text(GAP, y + BAR - GAP, "normal", bar.label()));
        parts.add(
            String.format(
                Locale.ROOT,
                "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>",
                LABELS,
                y,
                length,
                BAR - 2,
                bar.ours() ? OURS : THEIRS));
        parts.add(
            text(
                LABELS + length + GAP,
                y + BAR - GAP,
                "normal",
                String.format(Locale.ROOT, "%,.0f", bar.value())));
        y += BAR + 2;
      }
    }
    int width = LABELS + LENGTH + VALUES;
    int height = y + TITLE;
    return String.format(
            Locale.ROOT,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\""
                + " font-family=\"sans-serif\" font-size=\"12\">%n"
                + "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>%n",
            width,
            height,
            width,
            height)
        + String.join("\n", parts)
        + "\n</svg>\n";
  }

  private static String text(int x, int y, String weight, String text) {
    return String.format(
        Locale.ROOT,
        "<text x=\"%d\" y=\"%d\" font-weight=\"%s\">%s</text>",
        x,
        y,
        weight,
        text.replace("&", "&amp;").replace("<", "&lt;"));
  }
}
