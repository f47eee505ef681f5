package org.lanewise.plugin;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.Prompts;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.plugin.models.Encoder;

/**
 * A small deterministic encoder: a text is its words, its vector counts them by hash. Words with a
 * meaning of their own: {@code untokenizable} and {@code poison} throw in {@code encode} and {@code
 * forward}, {@code unlimited} gives a vector with an infinite number, {@code nothing} one of zeros,
 * {@code blocked} waits for a permit of {@link #GATE}.
 */
public final class TestEncoder implements Encoder {
  /** Texts with the word {@code blocked} take a permit each. */
  public static final Semaphore GATE = new Semaphore(0);

  /** Threads that wait at the gate. */
  public static final AtomicInteger BLOCKED = new AtomicInteger();

  static final String FILE = "test.properties";

  private final int dimensions;
  private final int maxLength;
  private final Prompts prompts;
  public volatile boolean closed;
  public volatile Runnable onClose = () -> {};

  private TestEncoder(int dimensions, int maxLength, Prompts prompts) {
    this.dimensions = dimensions;
    this.maxLength = maxLength;
    this.prompts = prompts;
  }

  /** Writes a model directory that {@link #open} can open. */
  public static Path create(
      Path parent, String id, int dimensions, int maxLength, Map<String, String> prompts)
      throws IOException {
    StringBuilder file = new StringBuilder();
    file.append("dimensions=").append(dimensions).append('\n');
    file.append("max_length=").append(maxLength).append('\n');
    prompts.forEach(
        (name, prompt) -> file.append("prompt.").append(name).append('=').append(prompt + "\n"));
    Path directory = Files.createDirectories(parent.resolve(id));
    Files.writeString(directory.resolve(FILE), file);
    return directory;
  }

  /** Opens a model directory. */
  public static TestEncoder open(Path directory) {
    Properties properties = TestOpener.properties(directory);
    if (properties.isEmpty()) {
      throw new ModelException(directory, List.of("[" + FILE + "] is missing"));
    }
    Map<String, String> prompts = new HashMap<>();
    properties
        .stringPropertyNames()
        .forEach(
            name -> {
              if (name.startsWith("prompt.")) {
                prompts.put(name.substring("prompt.".length()), properties.getProperty(name));
              }
            });
    return new TestEncoder(
        Integer.parseInt(properties.getProperty("dimensions")),
        Integer.parseInt(properties.getProperty("max_length")),
        new Prompts(prompts, Optional.empty()));
  }

  @Override
  public EncodedText encode(String text, String prompt) {
    String[] words = words(text, prompt);
    if (List.of(words).contains("untokenizable")) {
      throw new IllegalArgumentException("cannot tokenize this");
    }
    int length = Math.min(words.length + 2, maxLength);
    int[] ids = new int[length];
    boolean[] special = new boolean[length];
    special[0] = true;
    special[length - 1] = true;
    for (int i = 1; i < length - 1; i++) {
      ids[i] = words[i - 1].hashCode();
    }
    return new EncodedText(
        new Tokens(
            ids,
            new int[length],
            new int[length],
            new int[length],
            special,
            words.length + 2 > maxLength,
            List.of()),
        0);
  }

  private static String[] words(String text, String prompt) {
    return (prompt + text).trim().split("\\s+");
  }

  @Override
  public int countTokens(String text, String prompt) {
    return words(text, prompt).length + 2;
  }

  @Override
  public float[][] vectors(List<EncodedText> texts) {
    if (closed) {
      throw new IllegalStateException("closed");
    }
    float[][] vectors = new float[texts.size()][];
    for (int i = 0; i < vectors.length; i++) {
      vectors[i] = vector(texts.get(i).tokens());
    }
    return vectors;
  }

  private float[] vector(Tokens tokens) {
    float[] vector = new float[dimensions];
    for (int i = 1; i < tokens.length() - 1; i++) {
      int id = tokens.ids()[i];
      if (id == "poison".hashCode()) {
        throw new IllegalStateException("this text is poisonous");
      } else if (id == "unlimited".hashCode()) {
        vector[0] = Float.POSITIVE_INFINITY;
      } else if (id == "blocked".hashCode()) {
        pass();
      } else if (id == "nothing".hashCode()) {
        return new float[dimensions];
      }
      vector[Math.floorMod(id * 0x9E3779B1, dimensions)] += 1;
    }
    return vector;
  }

  static void pass() {
    BLOCKED.incrementAndGet();
    try {
      if (!GATE.tryAcquire(20, TimeUnit.SECONDS)) {
        throw new IllegalStateException("nobody opened the gate");
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    } finally {
      BLOCKED.decrementAndGet();
    }
  }

  @Override
  public int dimensions() {
    return dimensions;
  }

  @Override
  public int maxLength() {
    return maxLength;
  }

  @Override
  public Prompts prompts() {
    return prompts;
  }

  @Override
  public String family() {
    return "test";
  }

  @Override
  public String backend() {
    return "scalar";
  }

  @Override
  public Precision precision() {
    return Precision.FP32;
  }

  @Override
  public String kernels() {
    return "loops";
  }

  @Override
  public void close() {
    onClose.run();
    closed = true;
  }
}
