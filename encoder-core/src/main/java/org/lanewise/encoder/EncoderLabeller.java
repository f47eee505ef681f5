package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.stream.Stream;
import org.lanewise.encoder.TextTagger.Entity;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.head.EncoderHeads;
import org.lanewise.encoder.head.HeadKind;
import org.lanewise.encoder.head.PredictionHead;
import org.lanewise.encoder.head.Spans;
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
  private final boolean spans;
  private final PreparedHead<TextEmbedder, PredictionHead> head;
  private final TokenLabeller decoder;

  private EncoderLabeller(TextEmbedder encoder) {
    this.encoder = encoder;
    EncoderHeads heads = encoder.directory().heads();
    head =
        encoder.prepare(
            (backend, arena) ->
                new PredictionHead(backend, arena, heads.require(HeadKind.TOKEN_CLASSIFICATION)));
    labels = heads.labels();
    spans = Spans.mark(labels);
    decoder = new TokenLabeller(labels);
  }

  /**
   * Returns the labeller of a model that is open, which it closes with itself.
   *
   * @throws ModelException if the model has no such head
   */
  static EncoderLabeller over(TextEmbedder encoder) {
    return new EncoderLabeller(encoder);
  }

  static EncoderLabeller open(Path directory, EmbedderOptions options) {
    TextEmbedder encoder = TextEmbedder.open(ModelDirectory.open(directory), options);
    try {
      return over(encoder);
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
            head::on,
            EncoderLabeller::logits);
    WordLabels[] labelled = new WordLabels[texts.size()];
    int window = 0;
    for (int i = 0; i < labelled.length; i++) {
      int count = windows.get(i).size();
      labelled[i] = labels(texts.get(i), windows.get(i), logits.subList(window, window + count));
      window += count;
    }
    return labelled;
  }

  /**
   * Returns the logits of the tokens of each sequence, [token][label].
   *
   * @param computed what computed the hidden states: the embedder under this one, or its stand-in
   */
  List<float[][]> logits(
      TextEmbedder computed, Backend backend, Arena call, Matrix hidden, PackedBatch batch) {
    return logits(head.on(computed), backend, call, hidden, batch);
  }

  private static List<float[][]> logits(
      PredictionHead head, Backend backend, Arena call, Matrix hidden, PackedBatch batch) {
    Matrix output = head.forward(backend, call, hidden, batch);
    List<float[][]> answers = new ArrayList<>();
    for (int i = 0; i < batch.sequences(); i++) {
      float[][] rows = new float[batch.length(i)][];
      for (int token = 0; token < rows.length; token++) {
        int row = batch.sequenceStarts()[i] + token;
        rows[token] = backend.read(output, row, head.outputs());
      }
      answers.add(rows);
    }
    return answers;
  }

  /**
   * Returns the labels of the words.
   *
   * @param text at least one word
   * @param windows those of the text
   * @param logits of the tokens of each window
   */
  WordLabels labels(SegmentedText text, List<Tokens> windows, List<float[][]> logits) {
    TokenLabeller.Labelled best = decoder.label(emissions(text, windows, logits));
    return new WordLabels(best.labels(), best.probabilities());
  }

  /** Returns the entities of a text; parameters as for {@link #labels}. */
  List<Entity> entities(SegmentedText text, List<Tokens> windows, List<float[][]> logits) {
    return TextTagger.entities(labels, spans, text, labels(text, windows, logits));
  }

  /** Returns what is read of a text: all of it, in windows where it is too long. */
  List<Tokens> windows(String original) {
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
    return Stream.concat(Stream.of(first), first.overflow().stream())
        .map(EncoderLabeller::whole)
        .toList();
  }

  /** A window as a text of its own, of which nothing is missing. */
  private static Tokens whole(Tokens window) {
    return new Tokens(
        window.ids(),
        window.typeIds(),
        window.starts(),
        window.ends(),
        window.special(),
        false,
        List.of());
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
  public Optional<DeviceReport> deviceReport() {
    return encoder.deviceReport();
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
