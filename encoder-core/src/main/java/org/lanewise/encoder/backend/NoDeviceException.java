package org.lanewise.encoder.backend;

/** There is no device, or no driver to reach one by: nothing is wrong, there is only less. */
public final class NoDeviceException extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  /** Creates an exception. */
  public NoDeviceException(String message) {
    super(message);
  }
}
