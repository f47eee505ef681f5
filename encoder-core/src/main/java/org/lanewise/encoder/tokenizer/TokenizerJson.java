package org.lanewise.encoder.tokenizer;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Builds a tokenizer from the pieces that a tokenizer.json names; what it does not know it refuses
 * by name. The blocks {@code truncation} and {@code padding} are left to the caller of encode.
 */
final class TokenizerJson {
  private static final String SUPPORTED_NORMALIZERS =
      "BertNormalizer, Lowercase, NFD, NFKD, Sequence, StripAccents";
  private static final String SUPPORTED_PRE_TOKENIZERS =
      "BertPreTokenizer, Punctuation, Sequence, WhitespaceSplit";

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
    TokenModel model = model(json.field("model"));
    Normalizer normalizer =
        json.optional("normalizer")
            .map(TokenizerJson::normalizer)
            .orElse(new Normalizer.Sequence(List.of()));
    PreTokenizer preTokenizer =
        json.optional("pre_tokenizer")
            .map(TokenizerJson::preTokenizer)
            .orElse(new PreTokenizer.Whole());
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
    for (int id : postProcessor.specialIds()) {
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

  private static TokenModel model(JsonFields model) {
    // Files from before tokenizers 0.9 do not say the type; WordPiece alone has this field.
    String type =
        model.optional("type").isEmpty() && model.optional("max_input_chars_per_word").isPresent()
            ? "WordPiece"
            : model.field("type").text();
    return switch (type) {
      case "WordPiece" -> wordPiece(model);
      default -> throw unsupported(model, type, "WordPiece");
    };
  }

  private static WordPiece wordPiece(JsonFields model) {
    JsonFields vocab = model.field("vocab");
    Map<String, JsonFields> entries = vocab.entries();
    Map<String, Integer> ids = HashMap.newHashMap(entries.size());
    entries.forEach((token, id) -> ids.put(token, id.integer()));
    JsonFields longest = model.field("max_input_chars_per_word");
    if (longest.integer() < 1) {
      throw longest.complaint("is [" + longest.integer() + "], expected 1 or more");
    }
    try {
      return new WordPiece(
          Vocabulary.of(ids),
          model.field("unk_token").text(),
          model.field("continuing_subword_prefix").text(),
          longest.integer());
    } catch (IllegalArgumentException e) {
      throw vocab.complaint("cannot be used: " + e.getMessage());
    }
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
      case "Lowercase" -> new Normalizer.Lowercase();
      case "StripAccents" -> new Normalizer.StripAccents();
      case "NFD" -> DecompositionForm.NFD;
      case "NFKD" -> DecompositionForm.NFKD;
      case "Sequence" ->
          new Normalizer.Sequence(
              normalizer.field("normalizers").elements().stream()
                  .map(TokenizerJson::normalizer)
                  .toList());
      default -> throw unsupported(normalizer, type, SUPPORTED_NORMALIZERS);
    };
  }

  private static PreTokenizer preTokenizer(JsonFields preTokenizer) {
    String type = preTokenizer.field("type").text();
    return switch (type) {
      case "BertPreTokenizer" -> new PreTokenizer.Bert();
      case "WhitespaceSplit" -> new PreTokenizer.WhitespaceSplit();
      case "Punctuation" -> {
        Optional<JsonFields> behavior = preTokenizer.optional("behavior");
        if (behavior.isPresent() && !behavior.get().text().equals("Isolated")) {
          throw unsupported(behavior.get(), behavior.get().text(), "Isolated");
        }
        yield new PreTokenizer.Punctuation();
      }
      case "Sequence" ->
          new PreTokenizer.Sequence(
              preTokenizer.field("pretokenizers").elements().stream()
                  .map(TokenizerJson::preTokenizer)
                  .toList());
      default -> throw unsupported(preTokenizer, type, SUPPORTED_PRE_TOKENIZERS);
    };
  }

  private static PostProcessor postProcessor(JsonFields postProcessor) {
    String type = postProcessor.field("type").text();
    return switch (type) {
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
        yield new PostProcessor.Template(single, pair);
      }
      default -> throw unsupported(postProcessor, type, "BertProcessing, TemplateProcessing");
    };
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
      default -> throw unsupported(decoder, type, "WordPiece");
    };
  }

  private static IllegalArgumentException unsupported(
      JsonFields piece, String found, String supported) {
    return piece.complaint(
        String.format(Locale.ROOT, "[%s] is not supported; supported: %s", found, supported));
  }
}
