package org.lanewise.encoder.backend;

/** A device that computes could not do what it was asked, though the request made sense. */
public final class DeviceException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** What can be done about it. */
  public enum Kind {
    /** Its memory is full, or as full as the settings allow: smaller batches may fit. */
    OUT_OF_MEMORY,
    /** Its memory has no room for something that every batch needs, however small. */
    NO_ROOM,
    /** It failed; nothing that is on it can be used any more. */
    LOST
  }

  private final Kind kind;

  /** Creates an exception. */
  public DeviceException(Kind kind, String message) {
    super(message);
    this.kind = kind;
  }

  /** Returns what can be done about it. */
  public Kind kind() {
    return kind;
  }
}
