package org.lanewise.plugin.models;

import java.nio.file.Path;
import java.util.Map;
import java.util.Set;

/** Opens model directories. */
public interface ModelOpener {
  /**
   * What can be said of a directory before it is opened.
   *
   * @param kind what the model is
   * @param encoders ids of the encoders whose vectors it reads; empty where it is one
   */
  record Outline(ModelKind kind, Set<String> encoders) {
    /** Copies the ids. */
    public Outline {
      encoders = Set.copyOf(encoders);
    }
  }

  /** Returns what the directory is, read from its configuration alone. */
  Outline outline(Path directory);

  /**
   * Returns the open model of a directory, or throws an error that says what is wrong.
   *
   * @param encoders those of the outline by id, open, and closed by their owner
   */
  Model<?, ?> open(Path directory, Map<String, Encoder> encoders);
}
