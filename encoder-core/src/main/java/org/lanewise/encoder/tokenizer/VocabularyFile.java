package org.lanewise.encoder.tokenizer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Builds the BERT tokenizer that vocab.txt and tokenizer_config.json imply when there is no
 * tokenizer.json: one token per line, the line number is the id.
 */
final class VocabularyFile {
  // Model classes whose vocab.txt means exactly the BERT pipeline.
  private static final Set<String> BERT_LIKE =
      Set.of("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer");

  private static final Map<String, String> SPECIAL = new LinkedHashMap<>();

  static {
    SPECIAL.put("unk_token", "[UNK]");
    SPECIAL.put("sep_token", "[SEP]");
    SPECIAL.put("pad_token", "[PAD]");
    SPECIAL.put("cls_token", "[CLS]");
    SPECIAL.put("mask_token", "[MASK]");
  }

  private VocabularyFile() {}

  /** Returns the tokenizer of a vocabulary under the options of a tokenizer_config.json. */
  static Tokenizer read(Path file, JsonFields config) {
    config
        .optional("tokenizer_class")
        .ifPresent(
            name -> {
              String plain =
                  name.text().endsWith("Fast")
                      ? name.text().substring(0, name.text().length() - 4)
                      : name.text();
              if (!BERT_LIKE.contains(plain)) {
                throw name.complaint(
                    String.format(
                            Locale.ROOT,
                            "[%s] is not supported with vocab.txt; supported: %s. Save the"
                                + " tokenizer as",
                            name.text(),
                            String.join(", ", BERT_LIKE.stream().sorted().toList()))
                        + " tokenizer.json instead");
              }
            });
    String name = file.getFileName().toString();
    Vocabulary vocabulary = Vocabulary.of(lines(file));
    String unknown = token(config, "unk_token", "[UNK]");
    int cls = id(name, vocabulary, token(config, "cls_token", "[CLS]"));
    int sep = id(name, vocabulary, token(config, "sep_token", "[SEP]"));
    id(name, vocabulary, unknown);
    boolean lowercase = config.bool("do_lower_case", true);
    Normalizer normalizer =
        new BertNormalizer(
            true,
            config.bool("tokenize_chinese_chars", true),
            config.bool("strip_accents", lowercase),
            lowercase);
    return TokenizerJson.tokenizer(
        config,
        addedTokens(vocabulary, config, SPECIAL),
        normalizer,
        new PreTokenizer.Bert(),
        new WordPiece(vocabulary, unknown, "##", 100),
        PostProcessor.Template.bert(cls, sep),
        new Decoder.WordPieces("##", true));
  }

  /**
   * Returns the special tokens of a tokenizer_config.json, and those that it lists besides.
   *
   * @param special the names of the special tokens and what they are where the file does not say
   */
  static List<AddedTokens.AddedToken> addedTokens(
      Vocabulary vocabulary, JsonFields config, Map<String, String> special) {
    Map<String, AddedTokens.AddedToken> added = new LinkedHashMap<>();
    config
        .optional("added_tokens_decoder")
        .map(JsonFields::entries)
        .orElse(Map.of())
        .forEach(
            (id, token) -> {
              if (!id.matches("[0-9]{1,9}")) {
                throw token.complaint("has the id [" + id + "], expected a number as its name");
              }
              AddedTokens.AddedToken read = TokenizerJson.addedToken(Integer.parseInt(id), token);
              added.put(read.content(), read);
            });
    special.forEach(
        (name, whenAbsent) -> {
          String content = token(config, name, whenAbsent);
          OptionalInt id = vocabulary.id(content);
          if (id.isPresent()) {
            // As in RoBERTa's files, where alone <mask> is a mask, it takes the space before it.
            boolean leftStrip = whenAbsent.equals("<mask>");
            added.putIfAbsent(
                content,
                new AddedTokens.AddedToken(
                    id.getAsInt(), content, false, leftStrip, false, false, true));
          }
        });
    return new ArrayList<>(added.values());
  }

  /** Returns a token that the configuration states as a string or as an object with its content. */
  static String token(JsonFields config, String name, String whenAbsent) {
    return config
        .optional(name)
        .map(token -> token.node().isObject() ? token.field("content").text() : token.text())
        .orElse(whenAbsent);
  }

  static int id(String file, Vocabulary vocabulary, String token) {
    return vocabulary
        .id(token)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    String.format(
                        Locale.ROOT,
                        "[%s] has %d tokens and none is the token [%s], which is required",
                        file,
                        vocabulary.size(),
                        token)));
  }

  static String[] lines(Path file) {
    String text;
    try {
      text = Files.readString(JsonFields.requireSize(file), StandardCharsets.UTF_8);
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "[%s] is not valid UTF-8, expected one token per line",
              file.getFileName()),
          e);
    } catch (IOException e) {
      throw new UncheckedIOException("[" + file + "] cannot be read", e);
    }
    List<String> lines = new ArrayList<>();
    for (int start = 0; start < text.length(); ) {
      int newline = text.indexOf('\n', start);
      int end = newline < 0 ? text.length() : newline;
      boolean carriageReturn = end > start && text.charAt(end - 1) == '\r';
      lines.add(text.substring(start, carriageReturn ? end - 1 : end));
      if (lines.size() > Vocabulary.MOST_IDS) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "[%s] has more than %d lines, expected one token per line",
                file.getFileName(),
                Vocabulary.MOST_IDS));
      }
      start = end + 1;
    }
    return lines.toArray(String[]::new);
  }
}
