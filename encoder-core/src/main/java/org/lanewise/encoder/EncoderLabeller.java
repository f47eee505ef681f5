package org.lanewise.encoder;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.head.EncoderHeads;
import org.lanewise.encoder.head.HeadKind;
import org.lanewise.encoder.head.PredictionHead;
import org.lanewise.encoder.head.TokenLabeller;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.tokenizer.Truncation;
import org.lanewise.encoder.tokenizer.WordSegmenter;

/**
 * Labels words by an encoder that was trained to label tokens. A word has the scores of the first
 * token that touches it, as such models are trained. A text that is too long is read in windows
 * that overlap by half, and a word belongs to the window in which it is farthest from an end.
 */
final class EncoderLabeller implements WordLabeller {
  private final TextEmbedder encoder;
  private final List<String> labels;
  private final PredictionHead head;
  private final TokenLabeller decoder;

  private EncoderLabeller(TextEmbedder encoder) {
    this.encoder = encoder;
    EncoderHeads heads = encoder.directory().heads();
    head =
        encoder.prepare(
            (backend, arena) ->
                new PredictionHead(backend, arena, heads.require(HeadKind.TOKEN_CLASSIFICATION)));
    labels = heads.labels();
    decoder = new TokenLabeller(labels);
  }

  static EncoderLabeller open(Path directory, EmbedderOptions options) {
    TextEmbedder encoder = TextEmbedder.open(ModelDirectory.open(directory), options);
    try {
      return new EncoderLabeller(encoder);
    } catch (RuntimeException | Error e) {
      encoder.close();
      throw e;
    }
  }

  @Override
  public List<String> labels() {
    return labels;
  }

  @Override
  public List<SegmentedText> cut(String text) {
    SegmentedText words = WordSegmenter.words(text);
    return words.words() == 0 ? List.of() : List.of(words);
  }

  @Override
  public WordLabels[] label(List<SegmentedText> texts) {
    List<List<Tokens>> windows = new ArrayList<>();
    texts.forEach(text -> windows.add(windows(text.text())));
    List<float[][]> logits =
        encoder.answer(
            windows.stream()
                .flatMap(List::stream)
                .map(tokens -> new EncodedText(tokens, 0))
                .toList(),
            (backend, call, hidden, batch) -> {
              Matrix output = head.forward(backend, call, hidden, batch);
              List<float[][]> answers = new ArrayList<>();
              for (int i = 0; i < batch.sequences(); i++) {
                float[][] rows = new float[batch.length(i)][];
                for (int token = 0; token < rows.length; token++) {
                  int row = batch.sequenceStarts()[i] + token;
                  rows[token] = backend.read(output, row, labels.size());
                }
                answers.add(rows);
              }
              return answers;
            });
    WordLabels[] labelled = new WordLabels[texts.size()];
    int window = 0;
    for (int i = 0; i < labelled.length; i++) {
      int count = windows.get(i).size();
      float[] emissions =
          emissions(texts.get(i), windows.get(i), logits.subList(window, window + count));
      window += count;
      TokenLabeller.Labelled best = decoder.label(emissions);
      labelled[i] = new WordLabels(best.labels(), best.probabilities());
    }
    return labelled;
  }

  private List<Tokens> windows(String original) {
    String text = encoder.casedInPlace(original);
    Truncation whole = Truncation.to(encoder.maxLength());
    Tokens tokens = encoder.tokens(text, Optional.empty(), whole);
    if (!tokens.truncated()) {
      return List.of(tokens);
    }
    int content = 0;
    for (boolean special : tokens.special()) {
      content += special ? 0 : 1;
    }
    if (content == 0) {
      throw new IllegalArgumentException(
          "the model reads ["
              + encoder.maxLength()
              + "] tokens at once, all of them special ones, so no word fits; its files must state"
              + " a larger [max_seq_length] or [model_max_length]");
    }
    Truncation overlapping =
        new Truncation(
            encoder.maxLength(), OptionalInt.of(content / 2), whole.strategy(), whole.direction());
    Tokens first = encoder.tokens(text, Optional.empty(), overlapping);
    List<Tokens> windows = new ArrayList<>(List.of(first));
    windows.addAll(first.overflow());
    return windows;
  }

  /** Returns the logits of the words, (words, labels); 0 of a word that no token touches. */
  private float[] emissions(SegmentedText text, List<Tokens> windows, List<float[][]> logits) {
    float[] emissions = new float[text.words() * labels.size()];
    int[] distances = new int[text.words()];
    Arrays.fill(distances, -1);
    for (int i = 0; i < windows.size(); i++) {
      Tokens tokens = windows.get(i);
      int word = 0;
      int next = 0; // words before this one have their first token in this window
      for (int token = 0; token < tokens.length(); token++) {
        if (tokens.special()[token]) {
          continue;
        }
        while (word < text.words() && text.ends()[word] <= tokens.starts()[token]) {
          word++;
        }
        for (int each = Math.max(word, next);
            each < text.words() && text.starts()[each] < tokens.ends()[token];
            each++) {
          int distance = Math.min(token, tokens.length() - 1 - token);
          if (distance > distances[each]) {
            distances[each] = distance;
            System.arraycopy(
                logits.get(i)[token], 0, emissions, each * labels.size(), labels.size());
          }
          next = each + 1;
        }
      }
    }
    return emissions;
  }

  @Override
  public void forEach(int count, IntConsumer body) {
    encoder.forEach(count, body);
  }

  @Override
  public Backend backend() {
    return encoder.alone();
  }

  @Override
  public void warmUp(Consumer<List<String>> reader) {
    encoder.warmUp();
  }

  @Override
  public void close() {
    encoder.close();
  }
}
