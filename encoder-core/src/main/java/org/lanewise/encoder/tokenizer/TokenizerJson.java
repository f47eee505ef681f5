package org.lanewise.encoder.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Builds a tokenizer from the pieces that a tokenizer.json names; what it does not know it refuses
 * by name. The blocks {@code truncation} and {@code padding} are left to the caller of encode.
 */
final class TokenizerJson {
  private static final String SUPPORTED_NORMALIZERS =
      "BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend,"
          + " Replace, Sequence, Strip, StripAccents";
  private static final String SUPPORTED_PRE_TOKENIZERS =
      "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, Metaspace, Punctuation, Sequence,"
          + " Split, Whitespace, WhitespaceSplit";
  private static final String SUPPORTED_POST_PROCESSORS =
      "BertProcessing, ByteLevel, RobertaProcessing, Sequence, TemplateProcessing";
  private static final String SUPPORTED_DECODERS =
      "BPEDecoder, ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, Strip, WordPiece";

  /** Normalizers, pre-tokenizers and so on of one kind: each rewrites or splits every text. */
  private static final int MOST_STEPS = 64;

  private static final int MOST_SPECIAL = 1024;

  /** The trees in which added tokens are looked for take some 150 bytes for a character. */
  private static final int MOST_ADDED_UNITS = 1 << 20;

  private TokenizerJson() {}

  /** Returns the tokenizer that the file describes. */
  static Tokenizer read(JsonFields json) {
    json.optional("version")
        .ifPresent(
            version -> {
              if (!version.text().equals("1.0")) {
                throw version.complaint("is [" + version.text() + "], expected [1.0]");
              }
            });
    for (String kind : List.of("normalizer", "pre_tokenizer", "post_processor", "decoder")) {
      json.optional(kind).ifPresent(TokenizerJson::requireFewSteps);
    }
    Optional<JsonFields> splitting = json.optional("pre_tokenizer");
    TokenModel model = model(json.field("model"), splitting.filter(TokenizerJson::makesBytes));
    Normalizer normalizer =
        json.optional("normalizer")
            .map(TokenizerJson::normalizer)
            .orElse(new Normalizer.Sequence(List.of()));
    PreTokenizer preTokenizer =
        splitting.map(TokenizerJson::preTokenizer).orElse(new PreTokenizer.Whole());
    PostProcessor postProcessor =
        json.optional("post_processor")
            .map(TokenizerJson::postProcessor)
            .orElse(PostProcessor.Template.PLAIN);
    Decoder decoder =
        json.optional("decoder").map(TokenizerJson::decoder).orElse(new Decoder.Spaced());
    List<AddedTokens.AddedToken> added = new ArrayList<>();
    for (JsonFields token :
        json.optional("added_tokens").map(JsonFields::elements).orElse(List.of())) {
      added.add(addedToken(token.field("id").integer(), token));
    }
    return tokenizer(json, added, normalizer, preTokenizer, model, postProcessor, decoder);
  }

  private static void requireFewSteps(JsonFields piece) {
    int steps = steps(piece.node());
    if (steps > MOST_STEPS) {
      throw piece.complaint("has " + steps + " steps, expected at most " + MOST_STEPS);
    }
  }

  private static int steps(JsonNode piece) {
    int steps = 1;
    for (String list : List.of("normalizers", "pretokenizers", "processors", "decoders")) {
      for (JsonNode step : piece.path(list)) {
        steps += steps(step);
      }
    }
    return steps;
  }

  /** Returns the tokenizer of these pieces after checking the ids of the added tokens. */
  static Tokenizer tokenizer(
      JsonFields source,
      List<AddedTokens.AddedToken> added,
      Normalizer normalizer,
      PreTokenizer preTokenizer,
      TokenModel model,
      PostProcessor postProcessor,
      Decoder decoder) {
    Vocabulary vocabulary = model.vocabulary();
    long units = added.stream().mapToLong(token -> token.content().length()).sum();
    if (units > MOST_ADDED_UNITS) {
      throw source.complaint(
          "adds tokens of " + units + " characters together, expected at most " + MOST_ADDED_UNITS);
    }
    Map<String, Integer> further = new HashMap<>();
    int next = vocabulary.tokenCount();
    List<AddedTokens.AddedToken> ascending = new ArrayList<>(added);
    ascending.sort(Comparator.comparingInt(AddedTokens.AddedToken::id));
    for (AddedTokens.AddedToken token : ascending) {
      OptionalInt known = vocabulary.id(token.content());
      int expected = known.orElse(further.getOrDefault(token.content(), next));
      if (token.id() != expected) {
        throw source.complaint(
            String.format(
                Locale.ROOT,
                "gives the added token [%s] the id [%d], expected [%d], %s",
                token.content(),
                token.id(),
                expected,
                known.isPresent() ? "as in the vocabulary" : "the first one after the vocabulary"));
      }
      if (known.isEmpty() && further.put(token.content(), next) == null) {
        next++;
      }
    }
    Vocabulary whole = vocabulary.with(further);
    List<Integer> special = postProcessor.specialIds();
    if (special.size() > MOST_SPECIAL) {
      throw source.complaint(
          "adds " + special.size() + " special tokens to texts, expected at most " + MOST_SPECIAL);
    }
    for (int id : special) {
      if (!whole.contains(id)) {
        throw source.complaint(
            String.format(
                Locale.ROOT,
                "adds the special id [%d] to texts, which no token of the vocabulary has",
                id));
      }
    }
    return new PipelineTokenizer(
        new AddedTokens(added, normalizer),
        whole,
        normalizer,
        preTokenizer,
        model,
        postProcessor,
        decoder);
  }

  /** Returns the added token that an object describes. */
  static AddedTokens.AddedToken addedToken(int id, JsonFields token) {
    JsonFields content = token.field("content");
    if (content.text().isEmpty()) {
      throw content.complaint("is empty, expected the text of the token");
    }
    boolean special = token.bool("special", false);
    return new AddedTokens.AddedToken(
        id,
        content.text(),
        token.bool("single_word", false),
        token.bool("lstrip", false),
        token.bool("rstrip", false),
        token.bool("normalized", !special),
        special);
  }

  /**
   * Returns the model; {@code bytes} is the pre-tokenizer that writes text as bytes, if one does.
   */
  private static TokenModel model(JsonFields model, Optional<JsonFields> bytes) {
    String type = model.optional("type").map(JsonFields::text).orElseGet(() -> untold(model));
    if (bytes.isPresent() && !type.equals("BPE")) {
      throw bytes.get().complaint("[ByteLevel] is not supported before the model [" + type + "]");
    }
    return switch (type) {
      case "BPE" -> bpe(model, bytes.isPresent());
      case "Unigram" -> unigram(model);
      case "WordPiece" -> wordPiece(model);
      default -> throw unsupported(model, type, "BPE, Unigram, WordPiece");
    };
  }

  /** Files from before tokenizers 0.9 do not say the type; each has a field of its own. */
  private static String untold(JsonFields model) {
    if (model.optional("merges").isPresent()) {
      return "BPE";
    }
    if (model.optional("max_input_chars_per_word").isPresent()) {
      return "WordPiece";
    }
    return model.optional("unk_id").isPresent() ? "Unigram" : model.field("type").text();
  }

  private static Bpe bpe(JsonFields model, boolean bytes) {
    Optional<JsonFields> dropout = model.optional("dropout");
    if (dropout.isPresent() && dropout.get().number() != 0) {
      throw dropout.get().complaint("is [" + dropout.get().number() + "], expected none or 0");
    }
    String prefix = shortText(model, "continuing_subword_prefix");
    String suffix = shortText(model, "end_of_word_suffix");
    if (bytes && !(prefix + suffix).isEmpty()) {
      throw model.complaint(
          "marks symbols with [" + prefix + suffix + "], which is not supported with ByteLevel");
    }
    Bpe.Options options =
        new Bpe.Options(
            bytes,
            model.text("unk_token", ""),
            model.bool("fuse_unk", false),
            model.bool("byte_fallback", false),
            model.bool("ignore_merges", false),
            prefix,
            suffix);
    List<Bpe.Merge> merges = new ArrayList<>();
    for (JsonFields merge : model.field("merges").elements()) {
      if (merge.node().isTextual()) {
        merges.add(merge(merge.text()).orElseThrow(() -> twoTokens(merge)));
      } else {
        List<JsonFields> tokens = merge.elements();
        if (tokens.size() != 2) {
          throw twoTokens(merge);
        }
        merges.add(new Bpe.Merge(tokens.get(0).text(), tokens.get(1).text()));
      }
    }
    JsonFields vocab = model.field("vocab");
    return checked(vocab, () -> new Bpe(Vocabulary.of(ids(vocab)), merges, options));
  }

  private static String shortText(JsonFields owner, String name) {
    return owner.optional(name).map(JsonFields::shortText).orElse("");
  }

  /** Returns the merge that a line of two tokens with a space between them is. */
  static Optional<Bpe.Merge> merge(String line) {
    int space = line.indexOf(' ');
    return space <= 0 || space == line.length() - 1 || line.indexOf(' ', space + 1) >= 0
        ? Optional.empty()
        : Optional.of(new Bpe.Merge(line.substring(0, space), line.substring(space + 1)));
  }

  private static IllegalArgumentException twoTokens(JsonFields merge) {
    return merge.complaint("is [" + merge.node() + "], expected two tokens");
  }

  private static Unigram unigram(JsonFields model) {
    JsonFields vocab = model.field("vocab");
    List<JsonFields> pieces = vocab.elements();
    if (pieces.size() > Vocabulary.MOST_IDS) {
      throw vocab.complaint("has " + pieces.size() + " tokens, expected fewer");
    }
    String[] tokens = new String[pieces.size()];
    double[] scores = new double[tokens.length];
    for (int id = 0; id < tokens.length; id++) {
      List<JsonFields> piece = pieces.get(id).elements();
      if (piece.size() != 2) {
        throw pieces
            .get(id)
            .complaint("is [" + piece.size() + "] values, expected token and score");
      }
      tokens[id] = piece.get(0).text();
      scores[id] = piece.get(1).number();
    }
    OptionalInt unknown =
        model.optional("unk_id").stream().mapToInt(JsonFields::integer).findFirst();
    boolean byteFallback = model.bool("byte_fallback", false);
    return checked(vocab, () -> new Unigram(Vocabulary.of(tokens), scores, unknown, byteFallback));
  }

  /** Returns what is made, or complains about the field that it is made of. */
  static <T> T checked(JsonFields field, Supplier<T> made) {
    try {
      return made.get();
    } catch (IllegalArgumentException e) {
      throw field.complaint("cannot be used: " + e.getMessage());
    }
  }

  /** Returns the ids of a vocabulary that is an object. */
  static Map<String, Integer> ids(JsonFields vocab) {
    Map<String, JsonFields> entries = vocab.entries();
    Map<String, Integer> ids = HashMap.newHashMap(entries.size());
    entries.forEach((token, id) -> ids.put(token, id.integer()));
    return ids;
  }

  private static WordPiece wordPiece(JsonFields model) {
    JsonFields vocab = model.field("vocab");
    JsonFields longest = model.field("max_input_chars_per_word");
    if (longest.integer() < 1) {
      throw longest.complaint("is [" + longest.integer() + "], expected 1 or more");
    }
    return checked(
        vocab,
        () ->
            new WordPiece(
                Vocabulary.of(ids(vocab)),
                model.field("unk_token").text(),
                model.field("continuing_subword_prefix").text(),
                longest.integer()));
  }

  private static Normalizer normalizer(JsonFields normalizer) {
    String type = normalizer.field("type").text();
    return switch (type) {
      case "BertNormalizer" -> {
        boolean lowercase = normalizer.field("lowercase").bool();
        yield new BertNormalizer(
            normalizer.field("clean_text").bool(),
            normalizer.field("handle_chinese_chars").bool(),
            normalizer.bool("strip_accents", lowercase),
            lowercase);
      }
      case "ByteLevel" -> new Normalizer.Bytes();
      case "Lowercase" -> new Normalizer.Lowercase();
      case "Nmt" -> new Normalizer.Nmt();
      case "Precompiled" -> precompiled(normalizer.field("precompiled_charsmap"));
      case "Prepend" -> new Normalizer.Prepend(normalizer.field("prepend").shortText());
      case "Replace" ->
          new Normalizer.Replace(pattern(normalizer), normalizer.field("content").shortText());
      case "Strip" ->
          new Normalizer.Strip(
              normalizer.field("strip_left").bool(), normalizer.field("strip_right").bool());
      case "StripAccents" -> new Normalizer.StripAccents();
      case "NFC", "NFD", "NFKC", "NFKD" -> NormalizationForm.valueOf(type);
      case "Sequence" ->
          new Normalizer.Sequence(
              normalizer.field("normalizers").elements().stream()
                  .map(TokenizerJson::normalizer)
                  .toList());
      default -> throw unsupported(normalizer, type, SUPPORTED_NORMALIZERS);
    };
  }

  private static PrecompiledMap precompiled(JsonFields map) {
    return checked(map, () -> new PrecompiledMap(Base64.getDecoder().decode(map.text())));
  }

  /** Returns the pattern of an object that splits or replaces. */
  private static TextPattern pattern(JsonFields owner) {
    JsonFields pattern = owner.field("pattern");
    Optional<JsonFields> literal = pattern.optional("String");
    if (literal.isPresent()) {
      if (literal.get().text().isEmpty()) {
        throw literal.get().complaint("is empty, expected what is looked for");
      }
      return new TextPattern.Literal(literal.get().text());
    }
    JsonFields expression = pattern.field("Regex");
    return checked(expression, () -> RegexSyntax.read(expression.text()));
  }

  /** Returns whether a pre-tokenizer hands over bytes; only the last of a sequence can. */
  private static boolean makesBytes(JsonFields preTokenizer) {
    return switch (preTokenizer.field("type").text()) {
      case "ByteLevel" -> true;
      case "Sequence" -> {
        List<JsonFields> steps = preTokenizer.field("pretokenizers").elements();
        for (JsonFields step : steps.subList(0, Math.max(0, steps.size() - 1))) {
          if (makesBytes(step)) {
            throw step.complaint("[ByteLevel] is not supported before other pre-tokenizers");
          }
        }
        yield !steps.isEmpty() && makesBytes(steps.getLast());
      }
      default -> false;
    };
  }

  private static PreTokenizer preTokenizer(JsonFields preTokenizer) {
    String type = preTokenizer.field("type").text();
    return switch (type) {
      case "BertPreTokenizer" -> new PreTokenizer.Bert();
      case "WhitespaceSplit" -> new PreTokenizer.WhitespaceSplit();
      case "ByteLevel" -> byteLevel(preTokenizer);
      case "CharDelimiterSplit" -> {
        String delimiter = preTokenizer.field("delimiter").text();
        if (delimiter.isEmpty()) {
          throw preTokenizer.field("delimiter").complaint("is empty, expected a character");
        }
        yield new PreTokenizer.Split(
            new TextPattern.Literal(delimiter), PreTokenizer.Behavior.REMOVED, false);
      }
      case "Digits" ->
          new PreTokenizer.Split(
              new TextPattern.Characters(CharacterFacts::isNumber),
              preTokenizer.bool("individual_digits", false)
                  ? PreTokenizer.Behavior.ISOLATED
                  : PreTokenizer.Behavior.CONTIGUOUS,
              false);
      case "Metaspace" -> metaspace(preTokenizer);
      case "Punctuation" ->
          new PreTokenizer.Split(
              new TextPattern.Characters(CharacterFacts::isPunctuation),
              preTokenizer
                  .optional("behavior")
                  .map(TokenizerJson::behavior)
                  .orElse(PreTokenizer.Behavior.ISOLATED),
              false);
      case "Split" ->
          new PreTokenizer.Split(
              pattern(preTokenizer),
              behavior(preTokenizer.field("behavior")),
              preTokenizer.bool("invert", false));
      case "Whitespace" ->
          // Runs of word characters and runs of others between whitespace.
          new PreTokenizer.Sequence(
              List.of(
                  new PreTokenizer.WhitespaceSplit(),
                  new PreTokenizer.Split(
                      new TextPattern.Characters(CharacterFacts::isWord),
                      PreTokenizer.Behavior.CONTIGUOUS,
                      false)));
      case "Sequence" ->
          new PreTokenizer.Sequence(
              preTokenizer.field("pretokenizers").elements().stream()
                  .map(TokenizerJson::preTokenizer)
                  .toList());
      default -> throw unsupported(preTokenizer, type, SUPPORTED_PRE_TOKENIZERS);
    };
  }

  private static PreTokenizer byteLevel(JsonFields preTokenizer) {
    List<PreTokenizer> steps = new ArrayList<>();
    if (preTokenizer.field("add_prefix_space").bool()) {
      steps.add(new PreTokenizer.PrefixSpace());
    }
    if (preTokenizer.bool("use_regex", true)) {
      steps.add(new PreTokenizer.Split(WordPattern.GPT_2, PreTokenizer.Behavior.ISOLATED, false));
    }
    return steps.size() == 1 ? steps.getFirst() : new PreTokenizer.Sequence(steps);
  }

  private static PreTokenizer.Behavior behavior(JsonFields behavior) {
    return switch (behavior.text()) {
      case "Removed" -> PreTokenizer.Behavior.REMOVED;
      case "Isolated" -> PreTokenizer.Behavior.ISOLATED;
      case "MergedWithPrevious" -> PreTokenizer.Behavior.MERGED_WITH_PREVIOUS;
      case "MergedWithNext" -> PreTokenizer.Behavior.MERGED_WITH_NEXT;
      case "Contiguous" -> PreTokenizer.Behavior.CONTIGUOUS;
      default ->
          throw unsupported(
              behavior,
              behavior.text(),
              "Contiguous, Isolated, MergedWithNext, MergedWithPrevious, Removed");
    };
  }

  private static PreTokenizer.Metaspace metaspace(JsonFields metaspace) {
    return new PreTokenizer.Metaspace(
        character(metaspace.field("replacement")),
        prepend(metaspace),
        metaspace.bool("split", true));
  }

  private static PreTokenizer.Metaspace.Prepend prepend(JsonFields metaspace) {
    String scheme = metaspace.text("prepend_scheme", "always");
    if (!metaspace.bool("add_prefix_space", true)) {
      // Files from before there were schemes.
      if (metaspace.optional("prepend_scheme").isPresent() && !scheme.equals("never")) {
        throw metaspace
            .field("prepend_scheme")
            .complaint("is [" + scheme + "] without [add_prefix_space], expected [never]");
      }
      return PreTokenizer.Metaspace.Prepend.NEVER;
    }
    return switch (scheme) {
      case "always" -> PreTokenizer.Metaspace.Prepend.ALWAYS;
      case "first" -> PreTokenizer.Metaspace.Prepend.FIRST;
      case "never" -> PreTokenizer.Metaspace.Prepend.NEVER;
      default -> throw unsupported(metaspace, scheme, "always, first, never");
    };
  }

  private static char character(JsonFields field) {
    if (field.text().length() != 1) {
      throw field.complaint("is [" + field.text() + "], expected one character below U+10000");
    }
    return field.text().charAt(0);
  }

  private static PostProcessor postProcessor(JsonFields postProcessor) {
    String type = postProcessor.field("type").text();
    return switch (type) {
      case "Sequence" -> {
        PostProcessor rest = PostProcessor.Template.PLAIN;
        for (JsonFields step : postProcessor.field("processors").elements().reversed()) {
          if (step.field("type").text().equals("ByteLevel")) {
            rest = trimmed(step, rest);
          } else if (rest.equals(PostProcessor.Template.PLAIN)) {
            rest = postProcessor(step);
          } else {
            throw step.complaint("is not supported before other post-processors");
          }
        }
        yield rest;
      }
      case "ByteLevel" -> trimmed(postProcessor, PostProcessor.Template.PLAIN);
      case "RobertaProcessing" ->
          trimmed(
              postProcessor,
              PostProcessor.Template.roberta(
                  tokenWithId(postProcessor.field("cls")),
                  tokenWithId(postProcessor.field("sep"))));
      case "BertProcessing" ->
          PostProcessor.Template.bert(
              tokenWithId(postProcessor.field("cls")), tokenWithId(postProcessor.field("sep")));
      case "TemplateProcessing" -> {
        List<PostProcessor.Part> single = parts(postProcessor, "single");
        List<PostProcessor.Part> pair = parts(postProcessor, "pair");
        for (PostProcessor.Part part : single) {
          if (part instanceof PostProcessor.Part.Text text && text.index() == 1) {
            throw postProcessor.field("single").complaint("names the text [B], expected only [A]");
          }
        }
        yield new PostProcessor.Template(single, pair, false);
      }
      default -> throw unsupported(postProcessor, type, SUPPORTED_POST_PROCESSORS);
    };
  }

  private static PostProcessor trimmed(JsonFields postProcessor, PostProcessor rest) {
    return postProcessor.field("trim_offsets").bool()
        ? new PostProcessor.Trimmed(postProcessor.field("add_prefix_space").bool(), rest)
        : rest;
  }

  private static int tokenWithId(JsonFields pair) {
    List<JsonFields> elements = pair.elements();
    if (elements.size() != 2) {
      throw pair.complaint(
          String.format(
              Locale.ROOT, "has %d elements, expected a token and its id", elements.size()));
    }
    elements.get(0).text();
    return elements.get(1).integer();
  }

  private static List<PostProcessor.Part> parts(JsonFields template, String name) {
    List<PostProcessor.Part> parts = new ArrayList<>();
    Set<Integer> named = new HashSet<>();
    for (JsonFields element : template.field(name).elements()) {
      Optional<JsonFields> text = element.optional("Sequence");
      if (text.isPresent()) {
        String id = text.get().field("id").text();
        int index =
            switch (id) {
              case "A" -> 0;
              case "B" -> 1;
              default -> throw unsupported(text.get().field("id"), id, "A, B");
            };
        if (!named.add(index)) {
          throw text.get().complaint("names the text [" + id + "] twice, expected each once");
        }
        parts.add(new PostProcessor.Part.Text(index, typeId(text.get())));
      } else {
        JsonFields special = element.field("SpecialToken");
        JsonFields tokens = template.field("special_tokens").field(special.field("id").text());
        List<Integer> ids =
            tokens.field("ids").elements().stream().map(JsonFields::integer).toList();
        parts.add(new PostProcessor.Part.Special(ids, typeId(special)));
      }
    }
    return parts;
  }

  private static int typeId(JsonFields part) {
    JsonFields typeId = part.field("type_id");
    if (typeId.integer() < 0) {
      throw typeId.complaint("is [" + typeId.integer() + "], expected 0 or more");
    }
    return typeId.integer();
  }

  private static Decoder decoder(JsonFields decoder) {
    String type = decoder.field("type").text();
    return switch (type) {
      case "WordPiece" ->
          new Decoder.WordPieces(decoder.field("prefix").text(), decoder.bool("cleanup", true));
      case "BPEDecoder" -> {
        JsonFields suffix = decoder.field("suffix");
        if (suffix.text().isEmpty()) {
          throw suffix.complaint("is empty, expected what words end with");
        }
        yield new Decoder.WordEnds(suffix.text());
      }
      case "ByteFallback" -> new Decoder.ByteFallback();
      case "ByteLevel" -> new Decoder.Bytes();
      case "Fuse" -> new Decoder.Fuse();
      case "Metaspace" ->
          new Decoder.Metaspace(
              character(decoder.field("replacement")),
              prepend(decoder) != PreTokenizer.Metaspace.Prepend.NEVER);
      case "Replace" -> new Decoder.Replace(pattern(decoder), decoder.field("content").shortText());
      case "Sequence" ->
          new Decoder.Sequence(
              decoder.field("decoders").elements().stream().map(TokenizerJson::decoder).toList());
      case "Strip" ->
          new Decoder.Strip(
              character(decoder.field("content")),
              decoder.field("start").integer(),
              decoder.field("stop").integer());
      default -> throw unsupported(decoder, type, SUPPORTED_DECODERS);
    };
  }

  private static IllegalArgumentException unsupported(
      JsonFields piece, String found, String supported) {
    return piece.complaint(
        String.format(Locale.ROOT, "[%s] is not supported; supported: %s", found, supported));
  }
}
