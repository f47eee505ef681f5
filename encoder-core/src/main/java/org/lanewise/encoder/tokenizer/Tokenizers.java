package org.lanewise.encoder.tokenizer;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.nio.file.Path;
import java.util.Optional;

/** Opens the tokenizer files of a model directory. */
public final class Tokenizers {
  private Tokenizers() {}

  /**
   * Returns the tokenizer that a Hugging Face {@code tokenizer.json} describes. Its blocks {@code
   * truncation} and {@code padding} have no effect: nothing is cut or padded unless asked.
   *
   * @throws IllegalArgumentException if the file is malformed or names a piece that is not
   *     supported; the message says which, and what is
   * @throws java.io.UncheckedIOException if the file cannot be read
   */
  public static Tokenizer fromJson(Path tokenizerJson) {
    return TokenizerJson.read(JsonFields.read(tokenizerJson));
  }

  /**
   * Returns the BERT tokenizer of a {@code vocab.txt}: one token per line, the id is the number of
   * the line, counted from 0.
   *
   * @param tokenizerConfigJson the file that states {@code do_lower_case} (default true), {@code
   *     strip_accents}, {@code tokenize_chinese_chars} and the special tokens; without it the
   *     defaults of an uncased BERT hold
   * @throws IllegalArgumentException if a file is malformed, or the vocabulary lacks a special
   *     token
   * @throws java.io.UncheckedIOException if a file cannot be read
   */
  public static Tokenizer fromVocabulary(Path vocabTxt, Optional<Path> tokenizerConfigJson) {
    return VocabularyFile.read(vocabTxt, config(tokenizerConfigJson));
  }

  /**
   * Returns the RoBERTa tokenizer of a {@code vocab.json}, an object from token to id, and a {@code
   * merges.txt}: two tokens per line, the earlier merged first.
   *
   * @param tokenizerConfigJson the file that states {@code add_prefix_space} (default false) and
   *     the special tokens; without it the defaults of RoBERTa hold
   * @throws IllegalArgumentException if a file is malformed, or the vocabulary lacks a token that
   *     merges or texts need
   * @throws java.io.UncheckedIOException if a file cannot be read
   */
  public static Tokenizer fromVocabularyAndMerges(
      Path vocabJson, Path mergesTxt, Optional<Path> tokenizerConfigJson) {
    return MergesFile.read(vocabJson, mergesTxt, config(tokenizerConfigJson));
  }

  private static JsonFields config(Optional<Path> tokenizerConfigJson) {
    return tokenizerConfigJson
        .map(JsonFields::read)
        .orElseGet(
            () ->
                new JsonFields("tokenizer_config.json", "", JsonNodeFactory.instance.objectNode()));
  }
}
