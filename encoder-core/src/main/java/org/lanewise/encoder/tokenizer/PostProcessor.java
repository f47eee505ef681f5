package org.lanewise.encoder.tokenizer;

import java.util.ArrayList;
import java.util.List;

/** Puts one or two texts and the special tokens together. */
sealed interface PostProcessor permits PostProcessor.Template {

  /** Returns the number of special tokens that are added to one text or to a pair. */
  int addedTokens(boolean pair);

  /** Returns the ids of all special tokens that may be added. */
  List<Integer> specialIds();

  /** Returns the whole sequence, and after it the overflowing windows in the library's order. */
  List<TokenBuffer> assemble(List<Windows> texts, boolean addSpecialTokens);

  /** A part of a template. */
  sealed interface Part {
    /** Tokens that stand for themselves, such as [CLS]. */
    record Special(List<Integer> ids, int typeId) implements Part {
      public Special {
        ids = List.copyOf(ids);
      }
    }

    /** The first text (0) or the second (1). */
    record Text(int index, int typeId) implements Part {}
  }

  /**
   * Texts and special tokens in a fixed order.
   *
   * @param single the order for one text
   * @param pair the order for two texts
   */
  record Template(List<Part> single, List<Part> pair) implements PostProcessor {
    /** The texts alone, one after the other. */
    static final Template PLAIN =
        new Template(
            List.of(new Part.Text(0, 0)), List.of(new Part.Text(0, 0), new Part.Text(1, 1)));

    public Template {
      single = List.copyOf(single);
      pair = List.copyOf(pair);
    }

    /**
     * Returns {@code [CLS] A [SEP]} and {@code [CLS] A [SEP] B [SEP]}, B and its [SEP] of type 1.
     */
    static Template bert(int cls, int sep) {
      Part start = new Part.Special(List.of(cls), 0);
      Part end = new Part.Special(List.of(sep), 0);
      Part first = new Part.Text(0, 0);
      return new Template(
          List.of(start, first, end),
          List.of(start, first, end, new Part.Text(1, 1), new Part.Special(List.of(sep), 1)));
    }

    @Override
    public int addedTokens(boolean isPair) {
      int added = 0;
      for (Part part : isPair ? pair : single) {
        if (part instanceof Part.Special special) {
          added += special.ids().size();
        }
      }
      return added;
    }

    @Override
    public List<Integer> specialIds() {
      List<Integer> ids = new ArrayList<>();
      for (List<Part> parts : List.of(single, pair)) {
        for (Part part : parts) {
          if (part instanceof Part.Special special) {
            ids.addAll(special.ids());
          }
        }
      }
      return ids;
    }

    @Override
    public List<TokenBuffer> assemble(List<Windows> texts, boolean addSpecialTokens) {
      List<TokenBuffer> sequences = List.of(new TokenBuffer(0));
      for (Part part : texts.size() == 2 ? pair : single) {
        switch (part) {
          case Part.Special special -> {
            if (addSpecialTokens) {
              for (TokenBuffer sequence : sequences) {
                special.ids().forEach(id -> sequence.addSpecial(id, special.typeId()));
              }
            }
          }
          case Part.Text text -> sequences = append(sequences, texts.get(text.index()), text);
        }
      }
      return sequences;
    }

    /**
     * Returns every sequence followed by every window: first the overflowing sequences, each with
     * all windows, then the main one with the further windows. Only the main window takes the type
     * id of the template; the others keep the number of their text, as in the library.
     */
    private static List<TokenBuffer> append(
        List<TokenBuffer> sequences, Windows windows, Part.Text text) {
      List<TokenBuffer> result = new ArrayList<>();
      result.add(windows.appendTo(sequences.getFirst(), 0, text.typeId()));
      for (int i = 1; i <= sequences.size(); i++) {
        TokenBuffer sequence = sequences.get(i % sequences.size());
        for (int window = i == sequences.size() ? 1 : 0; window < windows.count(); window++) {
          int typeId = window == 0 ? text.typeId() : text.index();
          result.add(windows.appendTo(sequence, window, typeId));
        }
      }
      return result;
    }
  }
}
