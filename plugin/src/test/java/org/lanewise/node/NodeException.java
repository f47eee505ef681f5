package org.lanewise.node;

/** What keeps a node from running, in one sentence for the person at the terminal. */
public final class NodeException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** Creates it with the sentence. */
  public NodeException(String message) {
    super(message);
  }

  /** Creates it with the sentence and its cause. */
  public NodeException(String message, Throwable cause) {
    super(message, cause);
  }
}
