package org.lanewise.encoder.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;

/** Puts one or two texts and the special tokens together. */
sealed interface PostProcessor permits PostProcessor.Template, PostProcessor.Trimmed {

  /** Returns the number of special tokens that are added to one text or to a pair. */
  int addedTokens(boolean pair);

  /** Returns the ids of all special tokens that may be added. */
  List<Integer> specialIds();

  /**
   * Returns the whole sequence, and after it the overflowing windows in the library's order.
   *
   * @param vocabulary says what the tokens look like
   * @param added whether a token is an added one
   */
  List<TokenBuffer> assemble(
      List<Windows> texts, boolean addSpecialTokens, Vocabulary vocabulary, IntPredicate added);

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
   * @param uniform whether overflowing windows with special tokens take the type ids of the
   *     template; otherwise they keep the number of their text, as in the library
   */
  record Template(List<Part> single, List<Part> pair, boolean uniform) implements PostProcessor {
    /** The texts alone, one after the other. */
    static final Template PLAIN =
        new Template(
            List.of(new Part.Text(0, 0)), List.of(new Part.Text(0, 0), new Part.Text(1, 1)), false);

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
          List.of(start, first, end, new Part.Text(1, 1), new Part.Special(List.of(sep), 1)),
          false);
    }

    /** Returns {@code <s> A </s>} and {@code <s> A </s> </s> B </s>}, all of type 0. */
    static Template roberta(int cls, int sep) {
      Part start = new Part.Special(List.of(cls), 0);
      Part end = new Part.Special(List.of(sep), 0);
      Part first = new Part.Text(0, 0);
      return new Template(
          List.of(start, first, end),
          List.of(start, first, end, end, new Part.Text(1, 0), end),
          true);
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
    public List<TokenBuffer> assemble(
        List<Windows> texts, boolean addSpecialTokens, Vocabulary vocabulary, IntPredicate added) {
      List<TokenBuffer> sequences = List.of(new TokenBuffer("", 0));
      for (Part part : texts.size() == 2 ? pair : single) {
        switch (part) {
          case Part.Special special -> {
            if (addSpecialTokens) {
              for (TokenBuffer sequence : sequences) {
                special.ids().forEach(id -> sequence.addSpecial(id, special.typeId()));
              }
            }
          }
          case Part.Text text -> {
            int typeId = uniform && addSpecialTokens ? text.typeId() : text.index();
            sequences = append(sequences, texts.get(text.index()), text, typeId);
          }
        }
      }
      return sequences;
    }

    /**
     * Returns every sequence followed by every window: first the overflowing sequences, each with
     * all windows, then the main one with the further windows.
     */
    private static List<TokenBuffer> append(
        List<TokenBuffer> sequences, Windows windows, Part.Text text, int overflowTypeId) {
      List<TokenBuffer> result = new ArrayList<>();
      result.add(windows.appendTo(sequences.getFirst(), 0, text.typeId()));
      for (int i = 1; i <= sequences.size(); i++) {
        TokenBuffer sequence = sequences.get(i % sequences.size());
        for (int window = i == sequences.size() ? 1 : 0; window < windows.count(); window++) {
          int typeId = window == 0 ? text.typeId() : overflowTypeId;
          result.add(windows.appendTo(sequence, window, typeId));
        }
      }
      return result;
    }
  }

  /**
   * Takes the spaces at the ends of byte-level tokens out of their offsets.
   *
   * @param prefixSpace whether one space at the start of a text was put there and is not taken out
   * @param rest what happens then
   */
  record Trimmed(boolean prefixSpace, PostProcessor rest) implements PostProcessor {
    @Override
    public int addedTokens(boolean pair) {
      return rest.addedTokens(pair);
    }

    @Override
    public List<Integer> specialIds() {
      return rest.specialIds();
    }

    @Override
    public List<TokenBuffer> assemble(
        List<Windows> texts, boolean addSpecialTokens, Vocabulary vocabulary, IntPredicate added) {
      List<Windows> trimmed = new ArrayList<>(texts.size());
      for (Windows windows : texts) {
        trimmed.add(windows.trimmed(vocabulary, added, prefixSpace));
      }
      return rest.assemble(trimmed, addSpecialTokens, vocabulary, added);
    }
  }
}
