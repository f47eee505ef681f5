package org.lanewise.plugin;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.lanewise.encoder.Chunk;
import org.lanewise.encoder.ChunkOptions;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.EncoderOutputs.Part;
import org.lanewise.encoder.EncoderOutputs.Reading;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.Prompts;
import org.lanewise.encoder.TokenEmbedder.Role;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.plugin.models.Encoded;
import org.lanewise.plugin.models.Encoded.Piece;
import org.lanewise.plugin.models.Encoder;

/**
 * A small deterministic encoder: a text is its words, its vector counts them by hash, the weight of
 * a word is how often it is there, and the vector of a word is an axis. Words with a meaning of
 * their own: {@code untokenizable} and {@code poison} throw in {@code encode} and {@code forward},
 * {@code unlimited} gives a vector with an infinite number, {@code nothing} one of zeros, {@code
 * blocked} waits for a permit of {@link #GATE}; the text {@code tokenless} has no chunks.
 */
public final class TestEncoder implements Encoder {
  /** Texts with the word {@code blocked} take a permit each. */
  public static final Semaphore GATE = new Semaphore(0);

  /** Threads that wait at the gate. */
  public static final AtomicInteger BLOCKED = new AtomicInteger();

  public static final String FILE = "test.txt";

  private static final Map<Integer, String> WORDS = new ConcurrentHashMap<>();

  private final int dimensions;
  private final int maxLength;
  private final Prompts prompts;
  private final OptionalInt bulkTokens;
  private final Set<Output> outputs = EnumSet.complementOf(EnumSet.of(Output.TAGS));
  public volatile boolean closed;
  public volatile Runnable onClose = () -> {};

  private TestEncoder(int dimensions, int maxLength, Prompts prompts, OptionalInt bulkTokens) {
    this.dimensions = dimensions;
    this.maxLength = maxLength;
    this.prompts = prompts;
    this.bulkTokens = bulkTokens;
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
        new Prompts(prompts, Optional.empty()),
        Stream.ofNullable(properties.getProperty("bulk_tokens"))
            .mapToInt(Integer::parseInt)
            .findFirst());
  }

  @Override
  public OptionalInt bulkTokens() {
    return bulkTokens;
  }

  @Override
  public Reading read(String text, String prompt, Role role, Set<Output> wanted) {
    for (Output output : wanted) {
      if (!outputs.contains(output)) {
        throw new IllegalArgumentException("no " + output.label());
      }
    }
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
      WORDS.put(ids[i], words[i - 1]);
    }
    Tokens tokens =
        new Tokens(
            ids,
            new int[length],
            new int[length],
            new int[length],
            special,
            words.length + 2 > maxLength,
            List.of());
    return new Reading(List.of(new Part(new EncodedText(tokens, 0), wanted, new int[0])));
  }

  @Override
  public List<Reading> readChunks(
      String text, String prompt, Set<Output> wanted, ChunkOptions options, boolean late) {
    int most = options.maxChunkSize().orElse(maxLength) - words("", prompt).length - 2;
    List<MatchResult> words =
        Pattern.compile("\\S+").matcher(text.replace("tokenless", "")).results().toList();
    List<Chunk> chunks = new ArrayList<>();
    for (int first = 0; first < words.size(); first += most) {
      MatchResult last = words.get(Math.min(first + most, words.size()) - 1);
      chunks.add(new Chunk(words.get(first).start(), last.end(), 0));
    }
    if (late) {
      Part whole = read(text, prompt, Role.DOCUMENT, wanted).parts().getFirst();
      return List.of(new Reading(List.of(whole), chunks));
    }
    return chunks.stream()
        .map(
            chunk ->
                new Reading(
                    read(chunk.of(text), prompt, Role.DOCUMENT, wanted).parts(), List.of(chunk)))
        .toList();
  }

  private static String[] words(String text, String prompt) {
    return (prompt + text).trim().split("\\s+");
  }

  @Override
  public int countTokens(String text, String prompt) {
    return words(text, prompt).length + 2;
  }

  @Override
  public List<Encoded> forward(List<Reading> texts) {
    if (closed) {
      throw new IllegalStateException("closed");
    }
    return texts.stream().map(this::answer).toList();
  }

  private Encoded answer(Reading text) {
    Encoded encoded = encoded(text);
    return text.chunks().isEmpty()
        ? encoded
        : Encoded.ofPieces(
            text.chunks().stream().map(chunk -> new Piece(chunk, encoded)).toList(), text.tokens());
  }

  private Encoded encoded(Reading text) {
    Part part = text.parts().getFirst();
    Tokens tokens = part.text().tokens();
    float[] vector = vector(tokens);
    Map<String, Float> weights = new TreeMap<>();
    List<float[]> vectors = new ArrayList<>();
    for (int i = 1; i < tokens.length() - 1; i++) {
      weights.merge(WORDS.get(tokens.ids()[i]), 1f, Float::sum);
      float[] axis = new float[dimensions];
      axis[axis(tokens.ids()[i])] = 1;
      vectors.add(axis);
    }
    Map<String, Float> heaviestFirst = new LinkedHashMap<>();
    weights.entrySet().stream()
        .sorted(Map.Entry.<String, Float>comparingByValue().reversed())
        .forEach(weight -> heaviestFirst.put(weight.getKey(), weight.getValue()));
    return new Encoded(
        only(part, Output.DENSE, vector),
        only(part, Output.SPARSE, heaviestFirst),
        only(part, Output.MULTI_VECTOR, vectors.toArray(float[][]::new)),
        Optional.empty(),
        text.tokens(),
        text.truncated());
  }

  private static <T> Optional<T> only(Part part, Output output, T made) {
    return part.outputs().contains(output) ? Optional.of(made) : Optional.empty();
  }

  private int axis(int id) {
    return Math.floorMod(id * 0x9E3779B1, dimensions);
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
      vector[axis(id)] += 1;
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
  public Set<Output> outputs() {
    return outputs;
  }

  @Override
  public List<String> classes() {
    return List.of();
  }

  @Override
  public OptionalInt dimensions() {
    return OptionalInt.of(dimensions);
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
