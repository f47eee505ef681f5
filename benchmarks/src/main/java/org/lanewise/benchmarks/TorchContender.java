package org.lanewise.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.concurrent.TimeUnit;

/**
 * PyTorch with transformers, in a process of its own that waits between its turns. The script tries
 * which batch size is fastest and says so.
 */
final class TorchContender implements Contender {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final String SCRIPT = "torch_encoder.py";

  private final String name;
  private final Process process;
  private final Path script;
  private final Writer to;
  private final BufferedReader from;
  private String setting = "";

  private TorchContender(String name, Process process, Path script) {
    this.name = name;
    this.process = process;
    this.script = script;
    to = process.outputWriter(StandardCharsets.UTF_8);
    from = process.inputReader(StandardCharsets.UTF_8);
  }

  /**
   * Starts {@code torch-fp32}, {@code torch-bf16} or {@code torch-cuda-bf16}.
   *
   * @throws IllegalArgumentException if the interpreter cannot run the script
   */
  static TorchContender open(String name, Path python, Path directory, int threads)
      throws IOException {
    Path script = Files.createTempFile("torch_encoder", ".py");
    try (InputStream source = TorchContender.class.getResourceAsStream("/" + SCRIPT)) {
      Files.copy(source, script, StandardCopyOption.REPLACE_EXISTING);
    }
    ProcessBuilder builder =
        new ProcessBuilder(
                python.toString(),
                script.toString(),
                directory.toString(),
                name.substring(name.indexOf('-') + 1),
                String.valueOf(threads))
            .redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().put("OMP_NUM_THREADS", String.valueOf(threads));
    TorchContender contender = new TorchContender(name, builder.start(), script);
    JsonNode ready = contender.read();
    contender.setting = ready.path("setting").asText();
    return contender;
  }

  private JsonNode read() {
    try {
      String line = from.readLine();
      if (line == null) {
        throw new IllegalArgumentException(
            "the interpreter of [" + name + "] ended; what it needs is torch and transformers");
      }
      return MAPPER.readTree(line);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private JsonNode ask(JsonNode request) {
    try {
      to.write(MAPPER.writeValueAsString(request) + "\n");
      to.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return read();
  }

  private static ObjectNode request(String what) {
    return MAPPER.createObjectNode().put("do", what);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public void prepare(Workload workload) {
    ObjectNode request = request("prepare").put("from_strings", workload.fromStrings());
    ArrayNode texts = request.putArray("texts");
    workload.texts().forEach(texts::add);
    ArrayNode ids = request.putArray("ids");
    workload.encoded().forEach(text -> ids.addPOJO(text.tokens().ids()));
    setting = ask(request).path("setting").asText();
  }

  @Override
  public String setting() {
    return setting;
  }

  @Override
  public void run() {
    ask(request("run"));
  }

  @Override
  public float[][] vectors() {
    JsonNode rows = ask(request("vectors")).path("vectors");
    float[][] vectors = new float[rows.size()][];
    for (int i = 0; i < vectors.length; i++) {
      vectors[i] = new float[rows.get(i).size()];
      for (int d = 0; d < vectors[i].length; d++) {
        vectors[i][d] = (float) rows.get(i).get(d).asDouble();
      }
    }
    return vectors;
  }

  @Override
  public void close() {
    try {
      to.close();
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        process.destroy();
      }
      Files.deleteIfExists(script);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
