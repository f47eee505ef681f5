package org.lanewise.encoder.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** The tokenizer that runs the pieces of a pipeline one after the other. */
final class PipelineTokenizer implements Tokenizer {
  private final AddedTokens addedTokens;
  private final Vocabulary vocabulary;
  private final Normalizer normalizer;
  private final PreTokenizer preTokenizer;
  private final TokenModel model;
  private final PostProcessor postProcessor;
  private final Decoder decoder;

  /**
   * Returns the tokenizer of these pieces.
   *
   * @param vocabulary the model's tokens and the added ones
   */
  PipelineTokenizer(
      AddedTokens addedTokens,
      Vocabulary vocabulary,
      Normalizer normalizer,
      PreTokenizer preTokenizer,
      TokenModel model,
      PostProcessor postProcessor,
      Decoder decoder) {
    this.addedTokens = addedTokens;
    this.vocabulary = vocabulary;
    this.normalizer = normalizer;
    this.preTokenizer = preTokenizer;
    this.model = model;
    this.postProcessor = postProcessor;
    this.decoder = decoder;
  }

  @Override
  public String kind() {
    return model.kind();
  }

  @Override
  public Tokens encode(
      String text,
      Optional<String> pair,
      boolean addSpecialTokens,
      Optional<Truncation> truncation) {
    TokenBuffer first = tokenize(text);
    Optional<TokenBuffer> second = pair.map(this::tokenize);
    int added = addSpecialTokens ? postProcessor.addedTokens(pair.isPresent()) : 0;
    List<Windows> texts = new ArrayList<>(2);
    if (truncation.isPresent()) {
      texts.addAll(truncation.get().cut(first, second, added));
    } else {
      texts.add(Windows.whole(first));
      second.map(Windows::whole).ifPresent(texts::add);
    }
    boolean truncated = texts.stream().anyMatch(windows -> windows.count() > 1);
    if (truncated && truncation.get().stride().isEmpty()) {
      texts.replaceAll(Windows::kept);
    }
    List<TokenBuffer> sequences =
        postProcessor.assemble(texts, addSpecialTokens, vocabulary, addedTokens::contains);
    List<Tokens> overflow = new ArrayList<>(sequences.size() - 1);
    for (TokenBuffer window : sequences.subList(1, sequences.size())) {
      overflow.add(window.toTokens(true, List.of()));
    }
    return sequences.getFirst().toTokens(truncated, List.copyOf(overflow));
  }

  @Override
  public String token(int id) {
    return vocabulary.token(id);
  }

  @Override
  public OptionalInt id(String token) {
    return vocabulary.id(token);
  }

  @Override
  public int vocabularySize() {
    return vocabulary.size();
  }

  @Override
  public String decode(int[] ids, boolean skipSpecialTokens) {
    List<String> tokens = new ArrayList<>(ids.length);
    for (int id : ids) {
      if (vocabulary.contains(id) && !(skipSpecialTokens && addedTokens.isSpecial(id))) {
        tokens.add(vocabulary.token(id));
      }
    }
    return String.join("", decoder.decode(tokens));
  }

  private TokenBuffer tokenize(String text) {
    // English has a token per four to five characters.
    TokenBuffer tokens = new TokenBuffer(text, text.length() / 4 + 8);
    PreTokenizer.Pieces toModel = (piece, from, to) -> model.tokenize(piece, from, to, tokens);
    addedTokens.splitRaw(
        text,
        (start, end, id) -> {
          if (id >= 0) {
            tokens.add(id, start, end);
          } else {
            tokenizeStretch(new NormalizedText(text, start, end), toModel, tokens);
          }
        });
    return tokens;
  }

  private void tokenizeStretch(
      NormalizedText text, PreTokenizer.Pieces toModel, TokenBuffer tokens) {
    normalizer.normalize(text);
    addedTokens.splitNormalized(
        text,
        (from, to, id) -> {
          if (id >= 0) {
            tokens.add(id, text.originalStart(from), text.originalEnd(to));
          } else if (from < to) {
            preTokenizer.split(text, from, to, toModel);
          }
        });
  }
}
