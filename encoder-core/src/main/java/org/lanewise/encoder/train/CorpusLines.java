package org.lanewise.encoder.train;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;

/**
 * The UTF-8 lines of a file, which may be gzipped: its first bytes say so. Only a line feed ends a
 * line; one carriage return before it, and a byte order mark at the very beginning, go with it.
 */
final class CorpusLines implements AutoCloseable {
  private static final int MOST_BYTES = 1 << 26;
  private static final byte[] GZIP = {0x1f, (byte) 0x8b};

  private final Path file;
  private final InputStream in;
  private long number;

  private CorpusLines(Path file, InputStream in) {
    this.file = file;
    this.in = in;
  }

  /**
   * Returns the lines of a file.
   *
   * @throws IllegalArgumentException if there is no such file
   */
  static CorpusLines open(Path file) throws IOException {
    if (!Files.exists(file) || Files.isDirectory(file)) {
      throw new IllegalArgumentException(
          "[" + file + "] " + (Files.exists(file) ? "is a directory" : "does not exist"));
    }
    InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
    try {
      in.mark(GZIP.length);
      byte[] first = in.readNBytes(GZIP.length);
      in.reset();
      boolean zipped = first.length == GZIP.length && first[0] == GZIP[0] && first[1] == GZIP[1];
      return new CorpusLines(
          file, zipped ? new BufferedInputStream(new GZIPInputStream(in, 1 << 16)) : in);
    } catch (IOException e) {
      in.close();
      throw new IOException("[" + file + "] cannot be read: " + e.getMessage(), e);
    }
  }

  /** Returns the next line, or null after the last. */
  String next() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    number++;
    int unit;
    try {
      unit = in.read();
      if (unit < 0) {
        return null;
      }
      for (; unit >= 0 && unit != '\n'; unit = in.read()) {
        bytes.write(unit);
        if (bytes.size() > MOST_BYTES) {
          throw wrong("is longer than " + MOST_BYTES + " bytes");
        }
      }
    } catch (IOException e) {
      throw new IOException(
          "[" + file + "] cannot be read beyond line " + number + ": " + e.getMessage(), e);
    }
    String line;
    try {
      line =
          StandardCharsets.UTF_8
              .newDecoder()
              .decode(ByteBuffer.wrap(bytes.toByteArray()))
              .toString();
    } catch (CharacterCodingException e) {
      throw wrong("is not valid UTF-8");
    }
    if (number == 1 && line.startsWith("\ufeff")) {
      line = line.substring(1);
    }
    return line.endsWith("\r") ? line.substring(0, line.length() - 1) : line;
  }

  /** Returns the exception for the line that {@link #next} returned last. */
  IllegalArgumentException wrong(String what) {
    return new IllegalArgumentException("line " + number + " of [" + file + "] " + what);
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
