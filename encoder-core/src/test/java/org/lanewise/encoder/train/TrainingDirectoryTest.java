package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is on the disk when a training is killed, at the worst moments. */
class TrainingDirectoryTest {
  @TempDir private Path parent;
  private Path out;
  private TrainingDirectory directory;

  @BeforeEach
  void open() throws IOException {
    out = parent.resolve("out");
    directory = TrainingDirectory.open(out, false);
  }

  @Test
  void onlyTheLatestCheckpointAndTheBestModelStay() throws IOException {
    assertTrue(directory.latest().isEmpty());
    epoch(1, true);
    epoch(2, true);
    epoch(3, false);
    assertEquals(List.of("candidate", "epoch-3", "model-2"), names(out.resolve("checkpoint")));
    assertEquals(3, directory.latest().orElseThrow().course().get("epoch").intValue());
  }

  @Test
  void whatWasKilledHalfWayIsNotSeen() throws IOException {
    epoch(1, true);
    Files.writeString(directory.candidate().resolve("model.safetensors"), "half");
    Path unfinished = Files.createDirectories(out.resolve("checkpoint").resolve("unfinished"));
    Files.writeString(unfinished.resolve("state.safetensors"), "half");
    Files.createDirectories(directory.model(2));
    assertEquals(1, directory.latest().orElseThrow().course().get("epoch").intValue());
    epoch(2, true);
    assertEquals(2, directory.latest().orElseThrow().course().get("epoch").intValue());
    assertEquals(List.of("config.json", "weights"), names(directory.model(2)));
  }

  @Test
  void aModelIsPublishedWhole() throws IOException {
    epoch(1, true);
    directory.publish(directory.model(1));
    assertEquals(List.of("config.json", "weights"), names(out));
    assertEquals("1", Files.readString(out.resolve("config.json")));
  }

  @Test
  void publishingGoesOnWhereItWasKilled() throws IOException {
    epoch(1, true);
    Files.move(directory.model(1).resolve("weights"), out.resolve("weights"));
    directory.publish(directory.model(1));
    assertEquals(List.of("config.json", "weights"), names(out));

    TrainingDirectory again = TrainingDirectory.open(out, true);
    Path candidate = again.candidate();
    again.keep(candidate, 5);
    again.publish(again.model(5));
    assertEquals(List.of("config.json", "weights"), names(out), "the last move had been done");
  }

  @Test
  void anotherModelIsReplacedOnlyWhenThatIsAllowed() throws IOException {
    epoch(1, true);
    directory.publish(directory.model(1));
    Exception refused =
        assertThrows(IllegalArgumentException.class, () -> TrainingDirectory.open(out, false));
    assertTrue(refused.getMessage().contains("holds a model"), refused.getMessage());
    directory = TrainingDirectory.open(out, true);
    epoch(7, true);
    assertEquals("1", Files.readString(out.resolve("config.json")), "until the new one is there");
    directory.publish(directory.model(7));
    assertEquals("7", Files.readString(out.resolve("config.json")));
  }

  @Test
  void directoriesOfOtherThingsAreRefused() throws IOException {
    Files.writeString(Files.createDirectories(out).resolve("letter.txt"), "dear");
    assertThrows(IllegalArgumentException.class, () -> TrainingDirectory.open(out, false));
    Path file = Files.writeString(parent.resolve("file"), "");
    assertThrows(IllegalArgumentException.class, () -> TrainingDirectory.open(file, true));
    assertFalse(Files.isDirectory(file));
  }

  @Test
  void aDamagedCheckpointSaysWhatToDo() throws IOException {
    epoch(1, true);
    Files.writeString(out.resolve("checkpoint/epoch-1/course.json"), "{");
    Exception e = assertThrows(IllegalArgumentException.class, () -> directory.latest());
    assertTrue(e.getMessage().contains("to begin anew"), e.getMessage());
  }

  private void epoch(int number, boolean best) throws IOException {
    Path candidate = directory.candidate();
    Files.writeString(candidate.resolve("config.json"), Integer.toString(number));
    Files.writeString(candidate.resolve("weights"), Integer.toString(number));
    if (best) {
      directory.keep(candidate, number);
    }
    directory.save(
        number,
        best ? number : number - 1,
        JsonNodeFactory.instance.objectNode().put("epoch", number),
        Map.of());
  }

  private static List<String> names(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
