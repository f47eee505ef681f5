package org.lanewise.plugin;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.lanewise.encoder.TextTagger.Entity;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.plugin.models.Encoder;
import org.lanewise.plugin.models.ModelKind;
import org.lanewise.plugin.models.Tagger;
import org.lanewise.plugin.models.Tags;

/**
 * A small deterministic tagger or classifier. The tagger takes words that begin with a capital for
 * people, with 0.9, and those of capitals alone for organisations, with 0.6; words of one class
 * that follow each other are one entity. The classifier finds a text {@code short} up to three
 * words, with 0.75, else {@code long}. Words with a meaning of their own are those of {@link
 * TestEncoder}: {@code untokenizable}, {@code poison} and {@code blocked}.
 */
public final class TestTagger implements Tagger {
  private static final Pattern WORD = Pattern.compile("\\S+");
  private static final Pattern ENTITY =
      Pattern.compile("\\p{Lu}{2,}(?: \\p{Lu}{2,})*|\\p{Lu}\\p{Ll}+(?: \\p{Lu}\\p{Ll}+)*");

  private final ModelKind kind;
  private final Map<String, Encoder> encoders;
  public volatile boolean closed;

  TestTagger(ModelKind kind, Map<String, Encoder> encoders) {
    this.kind = kind;
    this.encoders = encoders;
  }

  /** Writes a model directory that {@link TestOpener} can open. */
  public static Path create(Path parent, String id, ModelKind kind, String... encoders)
      throws IOException {
    Path directory = Files.createDirectories(parent.resolve(id));
    Files.writeString(
        directory.resolve(TestEncoder.FILE),
        "kind=" + kind + "\nencoders=" + String.join(",", encoders) + "\n");
    return directory;
  }

  /** Returns the open encoder that the model reads. */
  public Encoder encoder(String id) {
    return encoders.get(id);
  }

  @Override
  public ModelKind kind() {
    return kind;
  }

  @Override
  public Text read(String text) {
    if (text.contains("untokenizable")) {
      throw new IllegalArgumentException("cannot tokenize this");
    }
    return new Text(text, (int) WORD.matcher(text).results().count(), false);
  }

  @Override
  public List<Tags> forward(List<Text> texts) {
    if (closed) {
      throw new IllegalStateException("closed");
    }
    List<Tags> answers = new ArrayList<>();
    for (Text text : texts) {
      if (text.text().contains("poison")) {
        throw new IllegalStateException("this text is poisonous");
      }
      if (text.text().contains("blocked")) {
        TestEncoder.pass();
      }
      answers.add(kind == ModelKind.TAGGER ? tag(text.text()) : classify(text.tokens()));
    }
    return answers;
  }

  private static Tags tag(String text) {
    List<Entity> entities = new ArrayList<>();
    for (MatchResult found : ENTITY.matcher(text).results().toList()) {
      boolean person = Character.isLowerCase(text.charAt(found.start() + 1));
      entities.add(
          new Entity(
              found.group(),
              person ? "PER" : "ORG",
              person ? 0.9 : 0.6,
              found.start(),
              found.end()));
    }
    return new Tags.Entities(entities);
  }

  private static Tags classify(int words) {
    double shortness = words <= 3 ? 0.75 : 0.25;
    List<ClassScores.ClassScore> best =
        new ClassScores(
                List.of("short", "long"),
                Choice.MULTI_CLASS,
                new double[] {0, 0},
                new double[] {shortness, 1 - shortness})
            .top(-1);
    return new Tags.Classes(Optional.of(best.getFirst()), Optional.empty(), best);
  }

  @Override
  public List<String> classes() {
    return kind == ModelKind.TAGGER ? List.of("PER", "ORG") : List.of("short", "long");
  }

  @Override
  public List<String> encoders() {
    return encoders.keySet().stream().sorted().toList();
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
    closed = true;
  }
}
