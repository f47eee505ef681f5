package org.lanewise.encoder.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.JsonFile;
import org.lanewise.encoder.weights.SafetensorsWriter;
import org.lanewise.encoder.weights.Tensor;

/**
 * The directory that a training writes. While it lasts there is only {@code checkpoint/}: a
 * directory {@code epoch-N} with all that is needed to go on after epoch N, and {@code model-N},
 * the best model so far. At the end the model's files are moved up, config.json last, and the
 * checkpoint goes. Whatever is written takes its name when it is complete, so that the process may
 * be killed at any time. Not thread-safe, and for one training at a time.
 */
public final class TrainingDirectory {
  private static final String CONFIG = "config.json";
  private static final String STATE = "state.safetensors";
  private static final String COURSE = "course.json";
  private static final String EPOCH = "epoch-";
  private static final String MODEL = "model-";
  private static final Pattern NUMBERED = Pattern.compile("(epoch|model)-\\d{1,9}");

  private static final ObjectMapper MAPPER =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  private final Path path;
  private final Path checkpoint;
  private final Path discarded;

  /**
   * What lets a training go on.
   *
   * @param path its directory
   * @param course as it was given to {@link #save}
   * @param state safetensors file of what was given to {@link #save}
   */
  record Checkpoint(Path path, JsonNode course, Path state) {}

  private TrainingDirectory(Path path) {
    this.path = path;
    checkpoint = path.resolve("checkpoint");
    discarded = path.resolve("checkpoint-discarded");
  }

  /**
   * Returns the directory, whether it is there already or not.
   *
   * @param overwrite whether a model that is there may be replaced
   * @throws IllegalArgumentException if there is something that must not be replaced
   */
  public static TrainingDirectory open(Path path, boolean overwrite) throws IOException {
    if (Files.exists(path) && !Files.isDirectory(path)) {
      throw new IllegalArgumentException(
          "[" + path + "] is a file, expected a directory or nothing");
    }
    TrainingDirectory directory = new TrainingDirectory(path);
    if (Files.isDirectory(path) && !overwrite && !Files.isDirectory(directory.checkpoint)) {
      try (Stream<Path> files = Files.list(path)) {
        if (files.findAny().isPresent()) {
          throw new IllegalArgumentException(
              "["
                  + path
                  + "] "
                  + (Files.exists(path.resolve(CONFIG)) ? "holds a model" : "is not empty")
                  + "; choose another directory, or allow to overwrite it");
        }
      }
    }
    return directory;
  }

  /** Returns where the model will be. */
  public Path path() {
    return path;
  }

  /** Returns the latest complete checkpoint. */
  Optional<Checkpoint> latest() throws IOException {
    int latest = 0;
    for (Path file : numbered()) {
      String name = file.getFileName().toString();
      if (name.startsWith(EPOCH)) {
        latest = Math.max(latest, Integer.parseInt(name.substring(EPOCH.length())));
      }
    }
    if (latest == 0) {
      return Optional.empty();
    }
    Path directory = checkpoint.resolve(EPOCH + latest);
    Path file = directory.resolve(COURSE);
    List<String> problems = new ArrayList<>();
    JsonNode course =
        JsonFile.readTree(file, file.toString(), problems)
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        problems.getFirst() + "; delete [" + checkpoint + "] to begin anew"));
    return Optional.of(new Checkpoint(directory, course, directory.resolve(STATE)));
  }

  /** Returns an empty directory for the model of an epoch, to be kept or dropped. */
  Path candidate() throws IOException {
    Path candidate = checkpoint.resolve("candidate");
    delete(candidate);
    return Files.createDirectories(candidate);
  }

  /** Keeps the candidate as the model of the epoch. */
  void keep(Path candidate, int epoch) throws IOException {
    delete(model(epoch));
    Files.move(candidate, model(epoch), StandardCopyOption.ATOMIC_MOVE);
  }

  /** Returns the directory of the model of an epoch that was kept. */
  Path model(int epoch) {
    return checkpoint.resolve(MODEL + epoch);
  }

  /**
   * Writes a checkpoint and then deletes the one before it.
   *
   * @param best epoch whose model stays
   */
  void save(int epoch, int best, ObjectNode course, Map<String, Tensor> state) throws IOException {
    Path unfinished = checkpoint.resolve("unfinished");
    delete(unfinished);
    Files.createDirectories(unfinished);
    SafetensorsWriter.write(unfinished.resolve(STATE), state, DataType.F32);
    write(unfinished.resolve(COURSE), course);
    Path complete = checkpoint.resolve(EPOCH + epoch);
    Files.move(unfinished, complete, StandardCopyOption.ATOMIC_MOVE);
    for (Path file : numbered()) {
      if (!file.equals(complete) && !file.equals(model(best))) {
        delete(file);
      }
    }
  }

  /** Writes a JSON file. */
  static void write(Path file, JsonNode json) throws IOException {
    Files.writeString(file, MAPPER.writeValueAsString(json) + "\n");
  }

  /** Moves the files of a model up, which makes this its directory, and deletes the checkpoint. */
  public void publish(Path model) throws IOException {
    // Without the one and with the other it was killed here last time, after the last move.
    boolean moved = Files.notExists(model.resolve(CONFIG)) && Files.exists(path.resolve(CONFIG));
    if (!moved) {
      Files.deleteIfExists(path.resolve(CONFIG));
      try (Stream<Path> files = Files.list(model)) {
        Comparator<Path> configLast =
            Comparator.comparing(file -> file.getFileName().toString().equals(CONFIG));
        for (Path file : files.sorted(configLast).toList()) {
          Files.move(
              file, path.resolve(file.getFileName().toString()), StandardCopyOption.ATOMIC_MOVE);
        }
      }
    }
    delete(discarded);
    Files.move(checkpoint, discarded, StandardCopyOption.ATOMIC_MOVE);
    delete(discarded);
  }

  private List<Path> numbered() throws IOException {
    if (!Files.isDirectory(checkpoint)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(checkpoint)) {
      return files
          .filter(file -> NUMBERED.matcher(file.getFileName().toString()).matches())
          .toList();
    }
  }

  private static void delete(Path file) throws IOException {
    if (!Files.exists(file)) {
      return;
    }
    try (Stream<Path> files = Files.walk(file)) {
      for (Path each : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(each);
      }
    }
  }
}
