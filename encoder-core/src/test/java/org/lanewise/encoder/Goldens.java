package org.lanewise.encoder;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The expected values that PyTorch and tokenizers wrote, read from goldens.zip. */
public final class Goldens {
  private static final FileSystem ARCHIVE = open();

  private Goldens() {}

  /** Returns a file or directory of the archive, for example {@code encoders/bert_gelu}. */
  public static Path path(String name) {
    Path path = ARCHIVE.getPath(name);
    if (!Files.exists(path)) {
      throw new IllegalArgumentException("goldens.zip has no [" + name + "]");
    }
    return path;
  }

  /** Returns the names in a directory of the archive that begin with the prefix, sorted. */
  public static List<String> list(String directory, String prefix) {
    try (Stream<Path> files = Files.list(path(directory))) {
      return files
          .map(file -> file.getFileName().toString().replace("/", ""))
          .filter(name -> name.startsWith(prefix))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Returns the float64 tensors of a safetensors file of the archive, which models never hold and
   * the library therefore does not read.
   */
  public static Map<String, double[]> doubles(String name) {
    try {
      ByteBuffer file = ByteBuffer.wrap(Files.readAllBytes(path(name)));
      file.order(ByteOrder.LITTLE_ENDIAN);
      int header = Math.toIntExact(file.getLong());
      byte[] json = new byte[header];
      file.get(json);
      Map<String, double[]> tensors = new LinkedHashMap<>();
      for (Map.Entry<String, JsonNode> entry : new ObjectMapper().readTree(json).properties()) {
        if (entry.getValue().path("dtype").asText().equals("F64")) {
          JsonNode offsets = entry.getValue().get("data_offsets");
          int first = offsets.get(0).intValue();
          double[] numbers = new double[(offsets.get(1).intValue() - first) / Double.BYTES];
          for (int i = 0; i < numbers.length; i++) {
            numbers[i] = file.getDouble(Long.BYTES + header + first + i * Double.BYTES);
          }
          tensors.put(entry.getKey(), numbers);
        }
      }
      return tensors;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static FileSystem open() {
    try {
      URI uri = Goldens.class.getResource("/goldens.zip").toURI();
      return FileSystems.newFileSystem(Path.of(uri));
    } catch (IOException | URISyntaxException e) {
      throw new IllegalStateException("goldens.zip cannot be opened", e);
    }
  }
}
