package org.lanewise.plugin;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import org.lanewise.encoder.ModelException;
import org.lanewise.plugin.models.Encoder;
import org.lanewise.plugin.models.Model;
import org.lanewise.plugin.models.ModelKind;
import org.lanewise.plugin.models.ModelOpener;

/** Opens the directories of {@link TestEncoder} and {@link TestTagger}, and remembers what. */
public final class TestOpener implements ModelOpener {
  public final List<Model<?, ?>> opened = new CopyOnWriteArrayList<>();
  public final List<Path> tried = new CopyOnWriteArrayList<>();

  @Override
  public Outline outline(Path directory) {
    Properties properties = properties(directory);
    String encoders = properties.getProperty("encoders", "");
    return new Outline(
        kind(properties), encoders.isEmpty() ? Set.of() : Set.of(encoders.split(",", -1)));
  }

  private static ModelKind kind(Properties properties) {
    return ModelKind.valueOf(properties.getProperty("kind", "ENCODER"));
  }

  static Properties properties(Path directory) {
    Properties properties = new Properties();
    if (Files.exists(directory.resolve(TestEncoder.FILE))) {
      try (Reader reader = Files.newBufferedReader(directory.resolve(TestEncoder.FILE))) {
        properties.load(reader);
      } catch (IOException e) {
        throw new ModelException(e.getMessage(), e);
      }
    }
    return properties;
  }

  @Override
  public Model<?, ?> open(Path directory, Map<String, Encoder> encoders) {
    tried.add(directory);
    ModelKind kind = kind(properties(directory));
    Model<?, ?> model =
        kind == ModelKind.ENCODER
            ? TestEncoder.open(directory)
            : new TestTagger(kind, Map.copyOf(encoders));
    opened.add(model);
    return model;
  }
}
