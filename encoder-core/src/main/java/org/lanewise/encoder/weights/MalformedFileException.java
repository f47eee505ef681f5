package org.lanewise.encoder.weights;

/**
 * A file of a model directory is not what its format asks for, or cannot be read; the message names
 * the file, what was found and what was expected.
 */
public final class MalformedFileException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** A file that breaks its format. */
  public MalformedFileException(String message) {
    super(message);
  }

  /** A file that breaks its format, or cannot be read, as {@code cause} found. */
  public MalformedFileException(String message, Throwable cause) {
    super(message, cause);
  }
}
