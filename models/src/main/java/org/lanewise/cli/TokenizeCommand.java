package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.tokenizer.Tokenizer;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.tokenizer.Truncation;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanewise tokenize}: texts to tokens. */
@Command(
    name = "tokenize",
    description = {
      "Cuts each text into tokens; offsets count UTF-16 units of the text.",
      "Answers, one line per text:"
          + " {\"ids\":[...],\"type_ids\":[...],\"tokens\":[...],\"offsets\":[[s,e],...]}"
    })
final class TokenizeCommand implements Callable<Integer> {
  private static final int CHUNK = 256;

  private final Streams streams;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "M",
      description =
          "A directory with tokenizer.json, vocab.txt, or vocab.json and merges.txt; or the id of a"
              + " bundled model: lanewise-mini-en.")
  private String model;

  @Mixin private InputLines.Options input;

  @Option(
      names = "--max-length",
      paramLabel = "N",
      description = "Keeps N tokens, special tokens included; without it nothing is cut.")
  private Integer maxLength;

  @Option(
      names = "--stride",
      paramLabel = "N",
      description =
          "With --max-length: answers the further windows too, as overflow, each repeating N tokens"
              + " of the one before.")
  private Integer stride;

  @Option(names = "--no-special", description = "Adds no special tokens.")
  private boolean noSpecial;

  TokenizeCommand(Streams streams) {
    this.streams = streams;
  }

  @Override
  public Integer call() throws IOException {
    if (stride != null && maxLength == null) {
      throw new IllegalArgumentException("--stride needs --max-length");
    }
    Optional<Truncation> truncation =
        Optional.ofNullable(maxLength)
            .map(
                length ->
                    new Truncation(
                        length,
                        stride == null ? OptionalInt.empty() : OptionalInt.of(stride),
                        Truncation.Strategy.LONGEST_FIRST,
                        Truncation.Direction.RIGHT));
    try (InputLines lines = input.open(streams);
        JsonGenerator json = streams.json()) {
      Tokenizer tokenizer = ModelDirectory.openTokenizer(BundledModels.locate(model));
      for (List<InputLines.Input> chunk = lines.next(CHUNK);
          !chunk.isEmpty();
          chunk = lines.next(CHUNK)) {
        for (InputLines.Input text : chunk) {
          Tokens tokens = tokenizer.encode(text.text(), text.pair(), !noSpecial, truncation);
          json.writeStartObject();
          write(json, tokenizer, tokens);
          if (stride != null) {
            json.writeArrayFieldStart("overflow");
            for (Tokens window : tokens.overflow()) {
              json.writeStartObject();
              write(json, tokenizer, window);
              json.writeEndObject();
            }
            json.writeEndArray();
          }
          json.writeEndObject();
          Streams.endLine(json);
        }
        streams.flush(json);
      }
    }
    return 0;
  }

  private static void write(JsonGenerator json, Tokenizer tokenizer, Tokens tokens)
      throws IOException {
    int length = tokens.length();
    json.writeFieldName("ids");
    json.writeArray(tokens.ids(), 0, length);
    json.writeFieldName("type_ids");
    json.writeArray(tokens.typeIds(), 0, length);
    json.writeArrayFieldStart("tokens");
    for (int id : tokens.ids()) {
      json.writeString(tokenizer.token(id));
    }
    json.writeEndArray();
    json.writeArrayFieldStart("offsets");
    for (int i = 0; i < length; i++) {
      json.writeArray(new int[] {tokens.starts()[i], tokens.ends()[i]}, 0, 2);
    }
    json.writeEndArray();
  }
}
