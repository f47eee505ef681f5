package org.lanewise.encoder;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collections;
import java.util.HexFormat;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The files that make up a model, without their content: two models with the same fingerprint have
 * the same files, byte for byte.
 *
 * @param byName by the path below the model's directory, parts joined by slashes; sorted
 */
public record ModelFiles(SortedMap<String, ModelFile> byName) {
  /** Folders of a model directory lie one below the other at most this deep. */
  private static final int DEPTH = 4;

  private static final int MOST_FILES = 1000;

  private static final Pattern NAME =
      Pattern.compile("(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/){0,3}[A-Za-z0-9_][A-Za-z0-9_.-]*");

  private static final int LONGEST_NAME = 200;

  /** What the library may read; a published directory often has the weights in other formats. */
  private static final Pattern READ = Pattern.compile(".*\\.(?:json|txt|safetensors)");

  /**
   * One file.
   *
   * @param bytes its length
   * @param sha256 its SHA-256 digest, 64 hexadecimal digits in lower case
   */
  public record ModelFile(long bytes, String sha256) {
    private static final Pattern DIGEST = Pattern.compile("[0-9a-f]{64}");

    /** Refuses what cannot be a length or a digest. */
    public ModelFile {
      if (bytes < 0) {
        throw new IllegalArgumentException("[bytes] is [" + bytes + "] but must not be negative");
      }
      if (!DIGEST.matcher(sha256).matches()) {
        throw new IllegalArgumentException(
            "[sha256] is [" + sha256 + "] but must be 64 hexadecimal digits in lower case");
      }
    }
  }

  /** Refuses names that could lead out of the model's directory. */
  public ModelFiles {
    if (byName.size() > MOST_FILES) {
      throw new IllegalArgumentException(
          "[files] has [" + byName.size() + "] files but a model has at most " + MOST_FILES);
    }
    byName.keySet().forEach(ModelFiles::checkName);
    byName = Collections.unmodifiableSortedMap(new TreeMap<>(byName));
  }

  private static void checkName(String name) {
    if (name.length() > LONGEST_NAME || !NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "file ["
              + name
              + "] must be a path below the model's directory of at most "
              + LONGEST_NAME
              + " characters out of a-z, A-Z, 0-9, [_], [-] and [.], at most "
              + (DEPTH - 1)
              + " folders deep, and no part of it may begin with [.] or [-]");
    }
  }

  /**
   * Returns the files of a directory that belong to its model: JSON, vocabularies and safetensors.
   * Reads all of them, some hundred milliseconds for each gigabyte.
   */
  public static ModelFiles of(Path directory) {
    SortedMap<String, ModelFile> files = new TreeMap<>();
    try (Stream<Path> found = Files.walk(directory, DEPTH)) {
      for (Path file : (Iterable<Path>) found::iterator) {
        String name = directory.relativize(file).toString().replace('\\', '/');
        if (READ.matcher(name).matches()
            && NAME.matcher(name).matches()
            && Files.isRegularFile(file)) {
          files.put(name, read(file));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new ModelFiles(files);
  }

  /** Returns length and digest of a file, which is read for it. */
  public static ModelFile read(Path file) throws IOException {
    MessageDigest digest = sha256();
    byte[] buffer = new byte[1 << 16];
    long bytes = 0;
    try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
      for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
        bytes += count;
      }
    }
    return new ModelFile(bytes, HexFormat.of().formatHex(digest.digest()));
  }

  /** Returns a new SHA-256 digest, which may wander between threads. */
  public static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /** Returns the length of all files together. */
  public long bytes() {
    return byName.values().stream().mapToLong(ModelFile::bytes).sum();
  }

  /** Returns 64 hexadecimal digits that stand for the names and contents of all files. */
  public String fingerprint() {
    MessageDigest digest = sha256();
    for (Map.Entry<String, ModelFile> file : byName.entrySet()) {
      String line =
          file.getValue().sha256() + " " + file.getValue().bytes() + " " + file.getKey() + "\n";
      digest.update(line.getBytes(StandardCharsets.UTF_8));
    }
    return HexFormat.of().formatHex(digest.digest());
  }
}
