package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.Option;

/**
 * The texts of a command: UTF-8 lines, or JSON objects one per line.
 *
 * <p>Only {@code \n} ends a line; one {@code \r} before it and a byte order mark at the very
 * beginning go with it. An empty line is an empty text.
 */
final class InputLines implements AutoCloseable {
  /** One text, with its second text where it is a pair. */
  record Input(String text, Optional<String> pair) {
    /**
     * Returns the text, where there is no second one.
     *
     * @throws IllegalArgumentException if there is
     */
    String single() {
      if (pair.isPresent()) {
        throw new IllegalArgumentException(
            "the text [" + text + "] has a [pair], expected single texts");
      }
      return text;
    }
  }

  /** Answers some texts. */
  @FunctionalInterface
  interface Answerer {
    void answer(List<Input> inputs) throws IOException;
  }

  /** The options that say where texts come from. */
  static final class Options {
    @Option(
        names = "--input",
        paramLabel = "FILE",
        description = "Reads the texts from FILE instead of stdin.")
    private String file;

    @Option(
        names = "--jsonl",
        description =
            "Each line is a JSON object {\"text\": \"...\", \"pair\": \"...\"}, pair being"
                + " optional; without this option each line is a text.")
    private boolean jsonl;

    InputLines open(Streams streams) throws IOException {
      return file == null
          ? new InputLines(streams.in(), "stdin", jsonl)
          : InputLines.open(file, jsonl);
    }
  }

  private static final int MOST_BYTES = 1 << 28;
  private static final int MOST_CHARS = 1 << 20;
  private static final int MOST_TEXTS = 4096;
  private static final int FEWEST_TEXTS = 16;
  private static final double NANOS = 1e9;

  private static final ObjectMapper MAPPER =
      new ObjectMapper(
              JsonFactory.builder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder().maxStringLength(MOST_BYTES).build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private final InputStream in;
  private final String name;
  private final boolean jsonl;
  private byte[] buffer = new byte[1 << 16];
  private int start;
  private int scanned;
  private int limit;
  private long line;

  private InputLines(InputStream in, String name, boolean jsonl) {
    this.in = in;
    this.name = name;
    this.jsonl = jsonl;
  }

  /** Returns the lines of a file. */
  static InputLines open(String file, boolean jsonl) throws IOException {
    Path path = Path.of(file);
    if (!Files.exists(path) || Files.isDirectory(path)) {
      throw new IllegalArgumentException(
          "input ["
              + file
              + "] "
              + (Files.exists(path) ? "is a directory, expected a file" : "does not exist"));
    }
    return new InputLines(Files.newInputStream(path), file, jsonl);
  }

  /**
   * Returns the next inputs: at least one, unless there is no more, and then those that are there
   * already, so that a slow writer gets its answers.
   *
   * @param most inputs to return
   * @throws IllegalArgumentException naming the first line that is malformed; only when there is
   *     none before it in this call, which are returned first
   */
  List<Input> next(int most) throws IOException {
    List<Input> inputs = new ArrayList<>();
    int chars = 0;
    while (inputs.size() < most && chars < MOST_CHARS && (inputs.isEmpty() || ready())) {
      int end = endOfLine();
      if (end == start && start == limit) {
        break;
      }
      Input input;
      try {
        input = parse(start, end);
      } catch (IllegalArgumentException e) {
        if (inputs.isEmpty()) {
          throw e;
        }
        break;
      }
      line++;
      start = Math.min(end + 1, limit);
      scanned = start;
      inputs.add(input);
      chars += input.text().length() + input.pair().map(String::length).orElse(0);
    }
    return inputs;
  }

  /**
   * Answers all texts, as many at once as fill all threads and yet let answers keep coming, and
   * shows progress.
   *
   * @param json what the answerer writes to
   */
  void answer(Streams streams, JsonGenerator json, Answerer answerer) throws IOException {
    int most = FEWEST_TEXTS;
    long texts = 0;
    long began = System.nanoTime();
    for (List<Input> chunk = next(most); !chunk.isEmpty(); chunk = next(most)) {
      long start = System.nanoTime();
      answerer.answer(chunk);
      streams.flush(json);
      texts += chunk.size();
      long end = System.nanoTime();
      double seconds = (end - start) / NANOS;
      if (seconds < 0.5 && chunk.size() == most) {
        most = Math.min(2 * most, MOST_TEXTS);
      } else if (seconds > 2) {
        most = Math.max(most / 2, FEWEST_TEXTS);
      }
      double perSecond = texts / ((end - began) / NANOS);
      streams.progress(String.format(Locale.ROOT, "%,d texts, %,.0f/s", texts, perSecond));
    }
  }

  /** Returns whether a whole line can be had without waiting. */
  private boolean ready() throws IOException {
    while (!scan()) {
      if (in.available() <= 0 || !fill()) {
        return false;
      }
    }
    return true;
  }

  /** Returns where the line ends: at its newline, or at the end of the input. */
  private int endOfLine() throws IOException {
    while (!scan()) {
      if (!fill()) {
        return limit;
      }
    }
    return scanned;
  }

  /** Moves {@code scanned} to the next newline and returns whether there is one. */
  private boolean scan() {
    while (scanned < limit && buffer[scanned] != '\n') {
      scanned++;
    }
    return scanned < limit;
  }

  private boolean fill() throws IOException {
    if (start > 0 && limit == buffer.length) {
      System.arraycopy(buffer, start, buffer, 0, limit - start);
      scanned -= start;
      limit -= start;
      start = 0;
    }
    if (limit == buffer.length) {
      if (buffer.length >= MOST_BYTES) {
        throw malformed("is longer than " + MOST_BYTES + " bytes");
      }
      buffer = Arrays.copyOf(buffer, 2 * buffer.length);
    }
    int read = in.read(buffer, limit, buffer.length - limit);
    limit += Math.max(read, 0);
    return read > 0;
  }

  private Input parse(int from, int to) {
    String text;
    try {
      text =
          StandardCharsets.UTF_8
              .newDecoder()
              .decode(ByteBuffer.wrap(buffer, from, to - from))
              .toString();
    } catch (CharacterCodingException e) {
      throw malformed("is not valid UTF-8");
    }
    if (line == 0 && text.startsWith("\ufeff")) {
      text = text.substring(1);
    }
    if (text.endsWith("\r")) {
      text = text.substring(0, text.length() - 1);
    }
    return jsonl ? parseJson(text) : new Input(text, Optional.empty());
  }

  private Input parseJson(String json) {
    JsonNode object;
    try {
      object = MAPPER.readTree(json);
    } catch (JsonProcessingException e) {
      throw malformed("is not valid JSON: " + e.getOriginalMessage());
    }
    JsonNode text = object.path("text");
    JsonNode pair = object.path("pair");
    if (!text.isTextual()) {
      throw malformed("has no string [text], expected {\"text\": \"...\"}");
    }
    if (!pair.isTextual() && !pair.isNull() && !pair.isMissingNode()) {
      throw malformed("has a [pair] that is not a string");
    }
    return new Input(text.textValue(), Optional.ofNullable(pair.textValue()));
  }

  private IllegalArgumentException malformed(String what) {
    return new IllegalArgumentException("line [" + (line + 1) + "] of [" + name + "] " + what);
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
