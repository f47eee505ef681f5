package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.Embedding;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TokenEmbedder;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.tokenizer.Tokens;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanewise embed}: texts to vectors. */
@Command(
    name = "embed",
    description = {
      "Turns each text into a vector, as sentence-transformers does.",
      "Answers, one line per text: {\"embedding\":[...],\"tokens\":n,\"truncated\":false}"
    })
final class EmbedCommand implements Callable<Integer> {
  private final Streams streams;

  @Mixin private EmbedderArguments arguments;
  @Mixin private InputLines.Options input;

  @Mixin private PromptChoice promptChoice;

  @Option(
      names = "--pooling",
      paramLabel = "MODE",
      description =
          "Overrides the model's pooling: cls, mean, max, mean_sqrt_len_tokens, weightedmean or"
              + " lasttoken.")
  private String pooling;

  @Option(
      names = "--dimensions",
      paramLabel = "N|all",
      description = "Keeps the first N dimensions, or all whatever the model says.")
  private String dimensions;

  @Option(
      names = "--normalize",
      negatable = true,
      description = "Scales the vectors to length 1, after --dimensions; or does not.")
  private Boolean normalize;

  @Option(
      names = "--per-token",
      description =
          "Answers the last hidden state of every token: {\"token_embeddings\":[[...]]}. ColBERT"
              + " models answer the vectors of late interaction, as queries or documents with"
              + " --prompt query or --prompt document.")
  private boolean perToken;

  EmbedCommand(Streams streams) {
    this.streams = streams;
  }

  @Override
  public Integer call() throws IOException {
    try (InputLines lines = input.open(streams);
        TextEmbedder embedder = arguments.open(options());
        JsonGenerator json = streams.json()) {
      lines.answer(streams, json, answerer(embedder, json));
      return 0;
    } finally {
      streams.progress("");
    }
  }

  /** Fails at once, without input, where the model cannot answer. */
  private InputLines.Answerer answerer(TextEmbedder embedder, JsonGenerator json) {
    if (perToken && embedder.directory().lateInteraction().isPresent()) {
      TokenEmbedder tokens = TokenEmbedder.over(embedder);
      TokenEmbedder.Role role = role();
      return chunk -> answerTokens(tokens, chunk, role, json);
    }
    String prompt = promptChoice.text(embedder.prompts());
    if (perToken) {
      return chunk -> answerTokens(embedder, chunk, prompt, json);
    }
    embedder.dimensions();
    return chunk -> answer(embedder, chunk, prompt, json);
  }

  /** Returns what the texts are to a ColBERT model. */
  private TokenEmbedder.Role role() {
    String name = promptChoice.name().orElse("");
    return switch (name) {
      case "query" -> TokenEmbedder.Role.QUERY;
      case "document" -> TokenEmbedder.Role.DOCUMENT;
      case "" -> TokenEmbedder.Role.PLAIN;
      default ->
          throw new IllegalArgumentException(
              "--prompt is ["
                  + name
                  + "], expected query or document: the model makes vectors of tokens for late"
                  + " interaction");
    };
  }

  private EmbedderOptions options() {
    EmbedderOptions options = arguments.options();
    boolean changesVector = pooling != null || dimensions != null;
    if (perToken && (changesVector || Boolean.TRUE.equals(normalize))) {
      throw new IllegalArgumentException(
          "--per-token answers hidden states as they are; --pooling, --dimensions and --normalize"
              + " do not go with it");
    }
    if (pooling != null) {
      options = options.withPooling(pooling());
    }
    if (dimensions != null) {
      options = options.withDimensions(dimensions());
    }
    return normalize == null ? options : options.withNormalize(normalize);
  }

  private PoolingMode pooling() {
    return PoolingMode.named(pooling)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "--pooling is ["
                        + pooling
                        + "], expected one of "
                        + Arrays.stream(PoolingMode.values()).map(PoolingMode::label).toList()));
  }

  private int dimensions() {
    if (dimensions.equals("all")) {
      return 0;
    }
    int number = 0;
    try {
      number = Integer.parseInt(dimensions);
    } catch (NumberFormatException e) {
      // 0 is refused below, with the same words.
    }
    if (number < 1) {
      throw new IllegalArgumentException(
          "--dimensions is [" + dimensions + "], expected a whole number of 1 or more, or all");
    }
    return number;
  }

  private static void answer(
      TextEmbedder embedder, List<InputLines.Input> inputs, String prompt, JsonGenerator json)
      throws IOException {
    List<Embedding> embeddings =
        embedder.embed(
            inputs.stream().map(InputLines.Input::text).toList(),
            inputs.stream().map(InputLines.Input::pair).toList(),
            prompt);
    for (Embedding embedding : embeddings) {
      json.writeStartObject();
      json.writeFieldName("embedding");
      write(json, embedding.vector());
      end(json, embedding.tokens(), embedding.truncated());
    }
  }

  private void answerTokens(
      TextEmbedder embedder, List<InputLines.Input> inputs, String prompt, JsonGenerator json)
      throws IOException {
    int budget = arguments.options().batchTokens();
    List<EncodedText> batch = new ArrayList<>();
    int filled = 0;
    for (InputLines.Input input : inputs) {
      EncodedText encoded = embedder.encode(input.text(), input.pair(), prompt);
      if (!batch.isEmpty() && filled + encoded.length() > budget) {
        answerTokens(embedder, batch, json);
        batch.clear();
        filled = 0;
      }
      batch.add(encoded);
      filled += encoded.length();
    }
    answerTokens(embedder, batch, json);
  }

  private static void answerTokens(
      TokenEmbedder embedder,
      List<InputLines.Input> inputs,
      TokenEmbedder.Role role,
      JsonGenerator json)
      throws IOException {
    List<String> texts = inputs.stream().map(InputLines.Input::single).toList();
    for (TokenEmbedder.TokenVectors text : embedder.embed(texts, role)) {
      write(json, text.vectors(), text.tokens(), text.truncated());
    }
  }

  private static void answerTokens(
      TextEmbedder embedder, List<EncodedText> batch, JsonGenerator json) throws IOException {
    float[][][] states = embedder.forwardTokens(batch);
    for (int i = 0; i < states.length; i++) {
      Tokens tokens = batch.get(i).tokens();
      write(json, states[i], tokens.length(), tokens.truncated());
    }
  }

  private static void write(JsonGenerator json, float[][] vectors, int tokens, boolean truncated)
      throws IOException {
    json.writeStartObject();
    json.writeArrayFieldStart("token_embeddings");
    for (float[] vector : vectors) {
      write(json, vector);
    }
    json.writeEndArray();
    end(json, tokens, truncated);
  }

  private static void write(JsonGenerator json, float[] vector) throws IOException {
    json.writeStartArray();
    for (float number : vector) {
      json.writeNumber(number);
    }
    json.writeEndArray();
  }

  private static void end(JsonGenerator json, int tokens, boolean truncated) throws IOException {
    json.writeNumberField("tokens", tokens);
    json.writeBooleanField("truncated", truncated);
    json.writeEndObject();
    Streams.endLine(json);
  }
}
