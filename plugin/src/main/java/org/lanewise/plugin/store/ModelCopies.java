package org.lanewise.plugin.store;

import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.common.unit.ByteSizeValue;
import org.elasticsearch.core.IOUtils;
import org.elasticsearch.env.Environment;
import org.elasticsearch.logging.LogManager;
import org.elasticsearch.logging.Logger;
import org.elasticsearch.rest.RestStatus;
import org.lanewise.encoder.ModelFiles;
import org.lanewise.encoder.ModelFiles.ModelFile;
import org.lanewise.plugin.models.UploadedModel;

/**
 * A node's copies of uploaded models, one directory for each model and fingerprint. A copy gets its
 * name when it is complete, is read through and compared with its digests before it is used, and is
 * deleted when room is needed for another one and it was not used for longest.
 */
public final class ModelCopies {
  private static final Logger logger = LogManager.getLogger(ModelCopies.class);

  private static final String UNFINISHED = ".unfinished-";

  /** What stays free on the disk for the node's own files. */
  private static final long RESERVE = ByteSizeValue.ofMb(64).getBytes();

  private final Path root;
  private final long mostBytes;

  /** Of copies that are being written. */
  private long promised;

  /**
   * Keeps copies in a directory, which is created with the first one; what a node left unfinished
   * when it stopped is deleted.
   *
   * @param mostBytes what all copies may take together
   */
  public ModelCopies(Path root, long mostBytes) {
    this.root = root;
    this.mostBytes = mostBytes;
    try {
      for (Path left : children(root)) {
        if (left.getFileName().toString().startsWith(UNFINISHED)) {
          IOUtils.rm(left);
        }
      }
    } catch (IOException e) {
      logger.warn("could not tidy up [" + root + "]", e);
    }
  }

  /** Throws where a model can never have a copy here. */
  void checkSize(ModelFiles files) {
    if (files.bytes() > mostBytes) {
      throw new IllegalArgumentException(
          "the model's files have ["
              + ByteSizeValue.ofBytes(files.bytes())
              + "] but [lanewise.model_copies_size] is ["
              + ByteSizeValue.ofBytes(mostBytes)
              + "]; raise the setting on all nodes");
    }
  }

  /** Returns the copy of a model where every file has its digest; a damaged copy is deleted. */
  Optional<Path> find(UploadedModel model) throws IOException {
    Path copy = directory(model);
    if (!Files.isDirectory(copy)) {
      return Optional.empty();
    }
    for (Map.Entry<String, ModelFile> file : model.files().byName().entrySet()) {
      Path path = copy.resolve(file.getKey());
      if (!Files.isRegularFile(path) || !ModelFiles.read(path).equals(file.getValue())) {
        logger.warn(
            "file [{}] of the copy of model [{}] is damaged, so the copy is made anew",
            file.getKey(),
            model.id());
        IOUtils.rm(copy);
        return Optional.empty();
      }
    }
    Files.setLastModifiedTime(copy, FileTime.fromMillis(System.currentTimeMillis()));
    return Optional.of(copy);
  }

  /** Returns a copy to be written, for which room was made; throws where there is none. */
  Draft begin(UploadedModel model) throws IOException {
    checkSize(model.files());
    long bytes = model.files().bytes();
    synchronized (this) {
      Files.createDirectories(root);
      makeRoom(bytes);
      promised += bytes;
    }
    try {
      return new Draft(model, Files.createDirectory(root.resolve(UNFINISHED + UUID.randomUUID())));
    } catch (IOException e) {
      release(bytes);
      throw e;
    }
  }

  private synchronized void release(long bytes) {
    promised -= bytes;
  }

  /** Deletes what was used longest ago until a new copy fits. */
  private void makeRoom(long bytes) throws IOException {
    List<Path> copies = new ArrayList<>();
    for (Path id : children(root)) {
      if (!id.getFileName().toString().startsWith(".")) {
        copies.addAll(children(id));
      }
    }
    copies.sort(Comparator.comparing(ModelCopies::lastUse));
    long used = promised;
    for (Path copy : copies) {
      used += bytes(copy);
    }
    while (!copies.isEmpty() && (used + bytes > mostBytes || free() < bytes + RESERVE)) {
      Path oldest = copies.removeFirst();
      used -= bytes(oldest);
      logger.info("deleting the copy [{}] to make room for another model", oldest);
      IOUtils.rm(oldest);
    }
    if (free() < bytes + RESERVE) {
      throw full(
          "it needs ["
              + ByteSizeValue.ofBytes(bytes)
              + "] and ["
              + ByteSizeValue.ofBytes(free())
              + "] are free in ["
              + root
              + "]",
          null);
    }
    if (used + bytes > mostBytes) {
      throw full("other models are being copied and [lanewise.model_copies_size] is reached", null);
    }
  }

  private static ElasticsearchStatusException full(String why, Exception cause) {
    return new ElasticsearchStatusException(
        "no room for a copy of the model: {}; free some disk space, and the next use tries again",
        RestStatus.INSUFFICIENT_STORAGE,
        cause,
        why);
  }

  private long free() throws IOException {
    return Environment.getUsableSpace(root);
  }

  private static FileTime lastUse(Path copy) {
    try {
      return Files.getLastModifiedTime(copy);
    } catch (IOException e) {
      logger.debug("could not read when [" + copy + "] was used", e);
      return FileTime.fromMillis(0);
    }
  }

  private static long bytes(Path directory) throws IOException {
    long bytes = 0;
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        bytes += Files.isRegularFile(file) ? Files.size(file) : 0;
      }
    }
    return bytes;
  }

  /** Deletes all copies of a model. */
  public void forget(String id) throws IOException {
    IOUtils.rm(root.resolve(id));
  }

  private Path directory(UploadedModel model) {
    return root.resolve(model.id()).resolve(model.files().fingerprint());
  }

  private static List<Path> children(Path directory) throws IOException {
    List<Path> children = new ArrayList<>();
    if (Files.isDirectory(directory)) {
      try (DirectoryStream<Path> found = Files.newDirectoryStream(directory)) {
        found.forEach(children::add);
      }
    }
    return children;
  }

  /** A copy that is being written by one thread at a time; deleted unless it is finished. */
  final class Draft implements Closeable {
    private final UploadedModel model;
    private final Path directory;
    private boolean closed;

    /** Of the file that is written. */
    private MessageDigest digest;

    private Draft(UploadedModel model, Path directory) {
      this.model = model;
      this.directory = directory;
    }

    /** Adds bytes to the end of a file; files come one after the other. */
    void append(String name, long offset, byte[] bytes) throws IOException {
      Path file = directory.resolve(name);
      if (offset == 0) {
        Files.createDirectories(file.getParent());
        Files.createFile(file);
        digest = ModelFiles.sha256();
      }
      try (OutputStream out = Files.newOutputStream(file, StandardOpenOption.APPEND)) {
        out.write(bytes);
      } catch (IOException e) {
        throw full("file [" + name + "] could not be written: " + e.getMessage(), e);
      }
      digest.update(bytes);
      ModelFile expected = model.files().byName().get(name);
      if (offset + bytes.length == expected.bytes()) {
        String found = HexFormat.of().formatHex(digest.digest());
        if (!found.equals(expected.sha256())) {
          throw new IllegalArgumentException(
              "file ["
                  + name
                  + "] of model ["
                  + model.id()
                  + "] has SHA-256 ["
                  + found
                  + "] but ["
                  + expected.sha256()
                  + "] was announced; DELETE the model and upload it again");
        }
        IOUtils.fsync(file, false);
      }
    }

    /** Returns the finished copy. */
    Path finish() throws IOException {
      Path copy = directory(model);
      Files.createDirectories(copy.getParent());
      IOUtils.rm(copy);
      Files.move(directory, copy, StandardCopyOption.ATOMIC_MOVE);
      IOUtils.fsync(copy.getParent(), true);
      return copy;
    }

    @Override
    public void close() {
      if (closed) {
        return;
      }
      closed = true;
      release(model.files().bytes());
      try {
        IOUtils.rm(directory);
      } catch (IOException e) {
        logger.warn("could not delete [" + directory + "]", e);
      }
    }
  }
}
