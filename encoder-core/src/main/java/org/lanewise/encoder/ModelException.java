package org.lanewise.encoder;

import java.nio.file.Path;
import java.util.List;

/** A model directory cannot be used; the message names every problem that was found. */
public final class ModelException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String[] problems;

  /** One problem, or several, of the directory or file at {@code path}. */
  public ModelException(Path path, List<String> problems) {
    super("model [" + path + "] cannot be used: " + String.join("; ", problems));
    this.problems = problems.toArray(String[]::new);
  }

  /** A problem whose message names the model or file itself. */
  public ModelException(String message) {
    super(message);
    problems = new String[] {message};
  }

  /** A problem whose message names the model or file itself, as {@code cause} found. */
  public ModelException(String message, Throwable cause) {
    super(message, cause);
    problems = new String[] {message};
  }

  /** Returns the problems one by one, at least one. */
  public List<String> problems() {
    return List.of(problems);
  }
}
