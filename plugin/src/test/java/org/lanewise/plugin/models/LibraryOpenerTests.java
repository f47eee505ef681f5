package org.lanewise.plugin.models;

import static org.hamcrest.Matchers.containsString;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.core.PathUtils;
import org.elasticsearch.test.ESTestCase;
import org.lanewise.encoder.MemoryBudget;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.TextTagger.Entity;
import org.lanewise.plugin.LanewiseSettings;
import org.lanewise.plugin.TinyModels;

public class LibraryOpenerTests extends ESTestCase {
  private static final Path ENCODER = PathUtils.get("..", "models", "lanewise-mini-en");

  private final LibraryOpener opener =
      new LibraryOpener(
          LanewiseSettings.of(
              Settings.builder()
                  .put("lanewise.batch_tokens", 16)
                  .put("lanewise.backend", "scalar")
                  .build()),
          MemoryBudget.UNLIMITED);

  /** The file systems of the test framework cannot be mapped into memory. */
  private static Path directory() {
    return PathUtils.get(createTempDir().resolve("model").toString());
  }

  private static List<Entity> tag(Model<?, ?> model, String text) {
    Tagger tagger = (Tagger) model;
    return ((Tags.Entities) tagger.forward(List.of(tagger.read(text))).getFirst()).entities();
  }

  public void testTagger() throws Exception {
    Path directory = directory();
    TinyModels.names(directory);
    assertEquals(new ModelOpener.Outline(ModelKind.TAGGER, Set.of()), opener.outline(directory));
    try (Model<?, ?> model = opener.open(directory, Map.of())) {
      Tagger tagger = (Tagger) model;
      assertEquals(ModelKind.TAGGER, tagger.kind());
      assertEquals(List.of("PER", "LOC"), tagger.classes());
      assertEquals(List.of(), tagger.encoders());
      assertEquals(5, tagger.tokens(tagger.read("Ada lived in London.")));
      String text = "Is Ada Lovelace from London?";
      List<Entity> found = tag(model, text);
      assertEquals(
          List.of(
              new Entity("Ada Lovelace", "PER", found.getFirst().probability(), 3, 15),
              new Entity("London", "LOC", found.getLast().probability(), 21, 27)),
          found);
      // Scores of 10 tanh(30) for the label, 3 for O and 0 for two more.
      double best = Math.exp(10) / (Math.exp(10) + Math.exp(3) + 2);
      assertEquals(best, found.getFirst().probability(), 1e-4);
    }
  }

  public void testClassifier() throws Exception {
    Path directory = directory();
    TinyModels.mood(directory);
    assertEquals(
        new ModelOpener.Outline(ModelKind.CLASSIFIER, Set.of()), opener.outline(directory));
    try (Model<?, ?> model = opener.open(directory, Map.of())) {
      Tagger classifier = (Tagger) model;
      assertEquals(ModelKind.CLASSIFIER, classifier.kind());
      assertEquals(List.of("positive", "negative"), classifier.classes());
      List<Tags> answers =
          classifier.forward(
              List.of(classifier.read("that is good"), classifier.read("that is bad")));
      assertEquals("positive", ((Tags.Classes) answers.get(0)).predicted().get().name());
      Tags.Classes bad = (Tags.Classes) answers.get(1);
      assertEquals("negative", bad.predicted().get().name());
      assertEquals(
          List.of("negative", "positive"), bad.top().stream().map(each -> each.name()).toList());
      assertEquals(1 / (1 + Math.exp(-10)), bad.predicted().get().probability(), 1e-4);
    }
  }

  public void testClassifierOfAnyNumberOfClasses() throws Exception {
    Path directory = directory();
    TinyModels.moods(directory);
    try (Model<?, ?> model = opener.open(directory, Map.of())) {
      Tagger classifier = (Tagger) model;
      List<Tags> answers =
          classifier.forward(
              List.of(classifier.read("that is good and bad"), classifier.read("that is it")));
      Map<String, Object> both = answers.get(0).fields(Optional.empty());
      assertEquals(List.of("positive", "negative"), both.get("predicted_values"));
      assertEquals("positive", both.get("predicted_value"));
      Map<String, Object> neither = answers.get(1).fields(Optional.empty());
      assertEquals(List.of(), neither.get("predicted_values"));
      assertEquals("positive", neither.get("predicted_value"));
      assertEquals(
          List.of("negative"),
          answers
              .get(0)
              .keep(0, "negative"::equals, 0)
              .fields(Optional.empty())
              .get("predicted_values"));
      assertEquals(
          List.of(),
          answers
              .get(0)
              .keep(0.9999, name -> true, 0)
              .fields(Optional.empty())
              .get("predicted_values"));
    }
  }

  public void testTaggerThatReadsAnEncoder() throws Exception {
    Path directory = directory();
    TinyModels.reader(directory, "mini", ENCODER);
    assertEquals(
        new ModelOpener.Outline(ModelKind.TAGGER, Set.of("mini")), opener.outline(directory));
    try (Model<?, ?> encoder = opener.open(ENCODER, Map.of())) {
      assertEquals(new ModelOpener.Outline(ModelKind.ENCODER, Set.of()), opener.outline(ENCODER));
      List<Entity> found;
      try (Model<?, ?> tagger = opener.open(directory, Map.of("mini", (Encoder) encoder))) {
        found = tag(tagger, "Ada Lovelace lived in London.");
        assertEquals(6, found.size());
        assertEquals(List.of("mini"), ((Tagger) tagger).encoders());
      }
      // The encoder is not the tagger's to close.
      try (Model<?, ?> again = opener.open(directory, Map.of("mini", (Encoder) encoder))) {
        assertEquals(found, tag(again, "Ada Lovelace lived in London."));
      }
    }
  }

  public void testBrokenDirectories() throws Exception {
    Path directory = directory();
    TinyModels.names(directory);
    Files.delete(directory.resolve("model.safetensors"));
    assertEquals(ModelKind.TAGGER, opener.outline(directory).kind());
    ModelException e = expectThrows(ModelException.class, () -> opener.open(directory, Map.of()));
    assertThat(e.getMessage(), containsString("model.safetensors is missing"));
    Files.writeString(directory.resolve("config.json"), "{\"model_type\":\"lanewise_tagger\"}");
    e = expectThrows(ModelException.class, () -> opener.outline(directory));
    assertThat(e.getMessage(), containsString("[format_version] is missing"));
  }
}
