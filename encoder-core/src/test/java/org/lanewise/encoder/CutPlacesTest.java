package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.tokenizer.Tokens;

/** Places between tokens whose offsets tokenizers rarely, but may, give. */
final class CutPlacesTest {
  /** The places of a text whose tokens have these offsets, between two special ones. */
  private static List<Integer> places(String text, int... offsets) {
    int length = offsets.length / 2 + 2;
    int[] starts = new int[length];
    int[] ends = new int[length];
    boolean[] special = new boolean[length];
    for (int i = 1; i < length - 1; i++) {
      starts[i] = offsets[2 * i - 2];
      ends[i] = offsets[2 * i - 1];
    }
    special[0] = true;
    special[length - 1] = true;
    int[] ids = new int[length];
    CutPlaces places =
        new CutPlaces(text, new Tokens(ids, ids, starts, ends, special, false, List.of()));
    List<Integer> found = new ArrayList<>();
    for (int place = 0; place < places.end(); place = places.next(place)) {
      found.add(place);
    }
    return found;
  }

  @Test
  void tokensThatShareCharactersAreNotParted() {
    assertEquals(List.of(0, 2, 4), places("abcdef", 0, 2, 2, 4, 4, 6));
    assertEquals(List.of(0, 4), places("abcdef", 0, 2, 1, 3, 2, 4, 4, 6));
    assertEquals(List.of(0, 2), places("abcdef", 0, 2, 2, 6, 2, 6, 4, 6));
  }

  @Test
  void tokensOutOfOrderStayTogether() {
    assertEquals(List.of(0, 1, 4), places("abcdef", 0, 1, 2, 4, 1, 2, 4, 6));
    assertEquals(List.of(0, 5), places("abcdef", 3, 5, 0, 1, 5, 6));
  }

  @Test
  void pairsAndEmptyTokensAreNoPlaces() {
    assertEquals(List.of(0, 3), places("a\ud83d\ude80b", 0, 1, 2, 3, 3, 4));
    assertEquals(List.of(0, 2), places("ab cd", 0, 0, 0, 2, 2, 2, 2, 5));
    assertEquals(List.of(0), places(" \n "));
  }

  @Test
  void placesBeforeWordsTakeTheBlanksAlong() {
    CutPlaces places =
        new CutPlaces(
            "ab cd. Ef",
            new Tokens(
                new int[4],
                new int[4],
                new int[] {0, 2, 5, 6},
                new int[] {2, 5, 6, 9},
                new boolean[4],
                false,
                List.of()));
    assertEquals(2, places.furthest(0, 1, false));
    assertEquals(5, places.furthest(0, 2, false));
    assertEquals(6, places.furthest(0, 3, false));
    assertEquals(3, places.tokens(0, 6));
    assertEquals(1, places.firstOfWord(1, 2));
    assertEquals(3, places.firstOfWord(2, 3));
    assertEquals(3, places.firstOfWord(2, 5));
    assertEquals(2, places.endOfWord(0, 3));
    assertEquals(6, places.back(0, 9, 1));
    assertEquals(6, places.backSentences(0, 9, 3));
  }
}
