package org.lanewise.node;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Who the node runs as: whoever runs us, except root, which Elasticsearch refuses. */
enum NodeUser {
  OURSELVES,
  /** The user that owns nothing; on every Linux it has this number. */
  NOBODY;

  private static final int NOBODY_ID = 65534;

  /** Returns NOBODY to root and OURSELVES to everyone else. */
  static NodeUser choose() {
    try {
      Path own = Files.createTempFile("lanewise-", ".owner");
      try {
        boolean root = Files.getAttribute(own, "unix:uid").equals(0);
        return root ? NOBODY : OURSELVES;
      } finally {
        Files.delete(own);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns the words that go before the node's command. */
  List<String> commandPrefix() {
    return switch (this) {
      case OURSELVES -> List.of();
      case NOBODY ->
          List.of(
              "setpriv", "--reuid=" + NOBODY_ID, "--regid=" + NOBODY_ID, "--clear-groups", "--");
    };
  }

  /** Returns whether the node can reach the directory as it is. */
  boolean canEnter(Path directory) {
    return this == OURSELVES || Directories.openToOthers(directory);
  }

  /** Makes the directory the node's own. */
  void take(Path directory) {
    if (this == NOBODY) {
      Directories.give(directory, NOBODY_ID);
    }
  }
}
