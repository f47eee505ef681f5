package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.EncoderOutputs.Answer;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.EncoderOutputs.Reading;
import org.lanewise.encoder.TokenEmbedder.Role;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.head.SparseVector;

/** Outputs of one pass against the doors that make one output each. */
final class EncoderOutputsTest {
  private static final List<String> TEXTS =
      List.of("the cat sat on the mat.", "a dog!", "is it the cat, or is it a dog?");

  private static TextEmbedder open(String name) throws IOException {
    return TextEmbedder.open(
        ModelDirectory.open(Goldens.path("heads/" + name)),
        EmbedderOptions.defaults()
            .withPrecision(Precision.FP32)
            .withPooling(PoolingMode.MEAN)
            .withThreads(1));
  }

  @Test
  void aDenseAndASparseVectorComeFromOnePass() throws IOException {
    try (TextEmbedder embedder = open("masked_lm_splade")) {
      EncoderOutputs outputs = EncoderOutputs.over(embedder);
      assertEquals(EnumSet.of(Output.DENSE, Output.SPARSE), outputs.available());
      List<Reading> texts =
          List.of(
              read(outputs, 0, Set.of(Output.DENSE, Output.SPARSE)),
              read(outputs, 1, Set.of(Output.SPARSE)),
              read(outputs, 2, Set.of(Output.SPARSE, Output.DENSE)));
      texts.forEach(text -> assertEquals(1, text.parts().size()));
      List<Answer> answers = outputs.forward(texts);
      SparseEmbedder sparse = SparseEmbedder.over(embedder);
      List<Embedding> dense = embedder.embed(TEXTS, "");
      for (int i = 0; i < answers.size(); i++) {
        SparseVector expected = sparse.embed(List.of(TEXTS.get(i))).getFirst();
        SparseVector actual = answers.get(i).sparse().orElseThrow();
        assertArrayEquals(expected.ids(), actual.ids());
        assertArrayEquals(expected.weights(), actual.weights(), 1e-5f);
        assertEquals(sparse.tokens(expected).keySet(), outputs.tokens(actual).keySet());
        if (i == 1) {
          assertTrue(answers.get(i).dense().isEmpty());
        } else {
          assertArrayEquals(dense.get(i).vector(), answers.get(i).vector(), 1e-6f);
        }
        assertEquals(dense.get(i).tokens(), answers.get(i).tokens());
        assertTrue(answers.get(i).multiVector().isEmpty());
      }
    }
  }

  @Test
  void whatReadsOtherTokensIsReadBesides() throws IOException {
    for (String name : List.of("colbert_stanford", "colbert_sentence_transformers")) {
      try (TextEmbedder embedder = open(name)) {
        EncoderOutputs outputs = EncoderOutputs.over(embedder);
        assertTrue(outputs.available().contains(Output.MULTI_VECTOR));
        for (Role role : Role.values()) {
          List<Reading> texts = new ArrayList<>();
          for (String text : TEXTS) {
            texts.add(outputs.read(text, "", role, EnumSet.of(Output.DENSE, Output.MULTI_VECTOR)));
          }
          int parts = role == Role.PLAIN ? 1 : 2;
          texts.forEach(text -> assertEquals(parts, text.parts().size()));
          List<Answer> answers = outputs.forward(texts);
          List<TokenEmbedder.TokenVectors> expected =
              TokenEmbedder.over(embedder).embed(TEXTS, role);
          List<Embedding> dense = embedder.embed(TEXTS, "");
          for (int i = 0; i < answers.size(); i++) {
            float[][] vectors = answers.get(i).multiVector().orElseThrow();
            assertEquals(expected.get(i).vectors().length, vectors.length);
            for (int token = 0; token < vectors.length; token++) {
              assertArrayEquals(expected.get(i).vectors()[token], vectors[token], 1e-6f);
            }
            assertArrayEquals(dense.get(i).vector(), answers.get(i).vector(), 1e-6f);
          }
        }
      }
    }
  }

  @Test
  void whatTheModelHasNotGotIsRefused() throws IOException {
    try (TextEmbedder embedder = open("masked_lm_splade")) {
      EncoderOutputs outputs = EncoderOutputs.over(embedder);
      ModelException e =
          assertThrows(ModelException.class, () -> read(outputs, 0, Set.of(Output.MULTI_VECTOR)));
      assertTrue(e.getMessage().contains("it is no ColBERT model"), e.getMessage());
    }
    try (TextEmbedder embedder =
        TextEmbedder.open(
            ModelDirectory.open(Goldens.path("heads/masked_lm_splade")),
            EmbedderOptions.defaults())) {
      EncoderOutputs outputs = EncoderOutputs.over(embedder);
      assertEquals(EnumSet.of(Output.SPARSE), outputs.available());
      ModelException e =
          assertThrows(ModelException.class, () -> read(outputs, 0, Set.of(Output.DENSE)));
      assertTrue(e.getMessage().contains("it states no pooling"), e.getMessage());
    }
  }

  private static Reading read(EncoderOutputs outputs, int text, Set<Output> wanted) {
    return outputs.read(TEXTS.get(text), "", Role.DOCUMENT, wanted);
  }
}
