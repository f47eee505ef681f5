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
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.tokenizer.Tokens;
import picocli.CommandLine.ArgGroup;
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

  @ArgGroup(exclusive = true)
  private PromptChoice promptChoice;

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
      description = "Answers the last hidden state of every token: {\"token_embeddings\":[[...]]}")
  private boolean perToken;

  /** Which prompt goes in front; the model's default where none of the two is given. */
  private static final class PromptChoice {
    @Option(
        names = "--prompt",
        paramLabel = "NAME",
        description = "Puts this prompt of the model in front of each text.")
    private String name;

    @Option(names = "--no-prompt", description = "Puts none there, not even the default.")
    private boolean none;
  }

  EmbedCommand(Streams streams) {
    this.streams = streams;
  }

  @Override
  public Integer call() throws IOException {
    try (InputLines lines = input.open(streams);
        TextEmbedder embedder = arguments.open(options());
        JsonGenerator json = streams.json()) {
      String prompt = prompt(embedder);
      if (!perToken) {
        // Fails at once, without input, where the model states no pooling.
        embedder.dimensions();
      }
      lines.answer(
          streams,
          json,
          chunk -> {
            if (perToken) {
              answerTokens(embedder, chunk, prompt, json);
            } else {
              answer(embedder, chunk, prompt, json);
            }
          });
      return 0;
    } finally {
      streams.progress("");
    }
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

  private String prompt(TextEmbedder embedder) {
    if (promptChoice == null) {
      return embedder.prompts().byDefault();
    }
    return promptChoice.none ? "" : embedder.prompts().named(promptChoice.name);
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
      TextEmbedder embedder, List<EncodedText> batch, JsonGenerator json) throws IOException {
    float[][][] states = embedder.forwardTokens(batch);
    for (int i = 0; i < states.length; i++) {
      json.writeStartObject();
      json.writeArrayFieldStart("token_embeddings");
      for (float[] state : states[i]) {
        write(json, state);
      }
      json.writeEndArray();
      Tokens tokens = batch.get(i).tokens();
      end(json, tokens.length(), tokens.truncated());
    }
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
