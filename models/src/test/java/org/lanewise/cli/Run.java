package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** What one call of the command line did. */
record Run(int code, String out, String err) {
  static final ObjectMapper JSON = new ObjectMapper();

  /** Runs a command in this JVM. */
  static Run of(byte[] stdin, String... arguments) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int code =
        Main.run(
            arguments,
            new ByteArrayInputStream(stdin),
            new PrintStream(out, false, StandardCharsets.UTF_8),
            new PrintStream(err, false, StandardCharsets.UTF_8));
    return new Run(
        code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  static Run of(String stdin, String... arguments) {
    return of(stdin.getBytes(StandardCharsets.UTF_8), arguments);
  }

  /** Returns the answers of a call that must have gone well, one for each line of stdout. */
  List<JsonNode> answers() {
    assertEquals(0, code, this::err);
    assertEquals("", err);
    List<JsonNode> answers = new ArrayList<>();
    try {
      for (String line : out.lines().toList()) {
        answers.add(JSON.readTree(line));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return answers;
  }

  /** Returns the one line on stderr of a call that must have been refused. */
  String complaint() {
    assertEquals(2, code, this::err);
    assertEquals(1, err.lines().count(), this::err);
    assertEquals('\n', err.charAt(err.length() - 1));
    return err.strip();
  }

  static float[] floats(JsonNode array) {
    float[] floats = new float[array.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = array.get(i).floatValue();
    }
    return floats;
  }
}
