package org.lanewise.encoder.tokenizer;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Builds the RoBERTa tokenizer that vocab.json, merges.txt and tokenizer_config.json imply when
 * there is no tokenizer.json.
 */
final class MergesFile {
  // Model classes whose two files mean exactly the RoBERTa pipeline.
  private static final Set<String> ROBERTA_LIKE =
      Set.of("RobertaTokenizer", "RobertaTokenizerFast");
  private static final Map<String, String> SPECIAL = new LinkedHashMap<>();

  static {
    SPECIAL.put("bos_token", "<s>");
    SPECIAL.put("eos_token", "</s>");
    SPECIAL.put("unk_token", "<unk>");
    SPECIAL.put("sep_token", "</s>");
    SPECIAL.put("pad_token", "<pad>");
    SPECIAL.put("cls_token", "<s>");
    SPECIAL.put("mask_token", "<mask>");
  }

  private MergesFile() {}

  /** Returns the tokenizer of two files under the options of a tokenizer_config.json. */
  static Tokenizer read(Path vocabJson, Path mergesTxt, JsonFields config) {
    config
        .optional("tokenizer_class")
        .ifPresent(
            name -> {
              if (!ROBERTA_LIKE.contains(name.text())) {
                throw name.complaint(
                    String.format(
                        Locale.ROOT,
                        "[%s] is not supported with merges.txt; supported: RobertaTokenizer. Save"
                            + " the tokenizer as tokenizer.json instead",
                        name.text()));
              }
            });
    String name = vocabJson.getFileName().toString();
    JsonFields vocab = JsonFields.read(vocabJson);
    Vocabulary vocabulary =
        TokenizerJson.checked(vocab, () -> Vocabulary.of(TokenizerJson.ids(vocab)));
    int cls = VocabularyFile.id(name, vocabulary, VocabularyFile.token(config, "cls_token", "<s>"));
    int sep =
        VocabularyFile.id(name, vocabulary, VocabularyFile.token(config, "sep_token", "</s>"));
    boolean prefixSpace = config.bool("add_prefix_space", false);
    List<PreTokenizer> steps = new ArrayList<>();
    if (prefixSpace) {
      steps.add(new PreTokenizer.PrefixSpace());
    }
    steps.add(new PreTokenizer.Split(WordPattern.GPT_2, PreTokenizer.Behavior.ISOLATED, false));
    List<Bpe.Merge> merges = merges(mergesTxt);
    Bpe.Options options = new Bpe.Options(true, "", false, false, false, "", "");
    Bpe model = TokenizerJson.checked(vocab, () -> new Bpe(vocabulary, merges, options));
    return TokenizerJson.tokenizer(
        config,
        VocabularyFile.addedTokens(vocabulary, config, SPECIAL),
        new Normalizer.Sequence(List.of()),
        new PreTokenizer.Sequence(steps),
        model,
        new PostProcessor.Trimmed(prefixSpace, PostProcessor.Template.roberta(cls, sep)),
        new Decoder.Bytes());
  }

  private static List<Bpe.Merge> merges(Path file) {
    List<Bpe.Merge> merges = new ArrayList<>();
    int number = 0;
    for (String line : VocabularyFile.lines(file)) {
      number++;
      if (line.startsWith("#version")) {
        continue;
      }
      Optional<Bpe.Merge> merge = TokenizerJson.merge(line);
      if (merge.isEmpty()) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "[%s] line %d is [%s], expected two tokens with a space between them",
                file.getFileName(),
                number,
                line));
      }
      merges.add(merge.get());
    }
    return merges;
  }
}
