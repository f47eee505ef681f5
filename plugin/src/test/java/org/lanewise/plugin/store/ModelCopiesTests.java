package org.lanewise.plugin.store;

import static org.hamcrest.Matchers.containsString;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.lucene.tests.mockfile.FilterFileSystemProvider;
import org.apache.lucene.tests.mockfile.FilterOutputStream2;
import org.apache.lucene.tests.util.LuceneTestCase;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.test.ESTestCase;
import org.lanewise.encoder.ModelFiles;
import org.lanewise.plugin.models.UploadedModel;

/** Copies of models on the disk of a node. */
@LuceneTestCase.SuppressFileSystems("ExtrasFS") // It adds files of its own; these are counted.
public class ModelCopiesTests extends ESTestCase {
  private static UploadedModel model(String id, String content) throws IOException {
    Path directory = createTempDir();
    Files.writeString(directory.resolve("config.json"), content);
    return new UploadedModel(
        id,
        new ModelFiles(
            new TreeMap<>(
                Map.of("config.json", ModelFiles.read(directory.resolve("config.json"))))),
        Optional.empty());
  }

  private static Path write(ModelCopies copies, UploadedModel model, String content)
      throws IOException {
    try (ModelCopies.Draft draft = copies.begin(model)) {
      draft.append("config.json", 0, content.getBytes(StandardCharsets.UTF_8));
      return draft.finish();
    }
  }

  private static long files(Path root) throws IOException {
    try (Stream<Path> found = Files.walk(root)) {
      return found.filter(Files::isRegularFile).count();
    }
  }

  public void testCopyIsThereWhenItIsComplete() throws Exception {
    Path root = createTempDir();
    ModelCopies copies = new ModelCopies(root, 100);
    UploadedModel model = model("m", "0123456789");
    assertTrue(copies.find(model).isEmpty());
    try (ModelCopies.Draft draft = copies.begin(model)) {
      draft.append("config.json", 0, new byte[5]);
    }
    assertTrue(copies.find(model).isEmpty());
    assertEquals(0, files(root));
    Path copy = write(copies, model, "0123456789");
    assertEquals(Optional.of(copy), copies.find(model));
    copies.forget("m");
    assertTrue(copies.find(model).isEmpty());
  }

  public void testWrongContentIsRefusedAndDamageIsSeen() throws Exception {
    Path root = createTempDir();
    ModelCopies copies = new ModelCopies(root, 100);
    UploadedModel model = model("m", "0123456789");
    Exception e =
        expectThrows(IllegalArgumentException.class, () -> write(copies, model, "012345678X"));
    assertThat(e.getMessage(), containsString("file [config.json] of model [m] has SHA-256"));
    assertEquals(0, files(root));
    Path copy = write(copies, model, "0123456789");
    Files.writeString(copy.resolve("config.json"), "012345678X");
    assertTrue(copies.find(model).isEmpty());
    assertFalse(Files.exists(copy));
    write(copies, model, "0123456789");
    Files.delete(copy.resolve("config.json"));
    assertTrue(copies.find(model).isEmpty());
  }

  public void testWhatWasUsedLongestAgoMakesRoom() throws Exception {
    ModelCopies copies = new ModelCopies(createTempDir(), 25);
    UploadedModel first = model("first", "0123456789");
    UploadedModel second = model("second", "1123456789");
    UploadedModel third = model("third", "2123456789");
    write(copies, first, "0123456789");
    Path used = write(copies, second, "1123456789");
    Files.setLastModifiedTime(used, FileTime.fromMillis(1000));
    assertTrue(copies.find(first).isPresent());
    write(copies, third, "2123456789");
    assertTrue(copies.find(first).isPresent());
    assertTrue(copies.find(second).isEmpty());
    assertTrue(copies.find(third).isPresent());
    Exception e =
        expectThrows(
            IllegalArgumentException.class,
            () -> copies.begin(model("large", "0123456789".repeat(3))));
    assertThat(e.getMessage(), containsString("[lanewise.model_copies_size] is [25b]"));
    try (ModelCopies.Draft draft = copies.begin(second)) {
      ElasticsearchStatusException full =
          expectThrows(
              ElasticsearchStatusException.class,
              () -> copies.begin(model("large", "0123456789".repeat(2))));
      assertEquals(RestStatus.INSUFFICIENT_STORAGE, full.status());
      assertNotNull(draft);
    }
  }

  public void testUnfinishedCopiesOfAnEarlierLifeAreDeleted() throws Exception {
    Path root = createTempDir();
    Files.writeString(
        Files.createDirectories(root.resolve(".unfinished-x")).resolve("config.json"), "0");
    Path copy = write(new ModelCopies(root, 100), model("m", "0123456789"), "0123456789");
    assertTrue(Files.exists(copy));
    assertEquals(1, files(root));
  }

  public void testFullDisk() throws Exception {
    Path directory = createTempDir();
    FullDisk disk = new FullDisk(directory);
    Path root = disk.wrapPath(directory);
    ModelCopies copies = new ModelCopies(root, 100);
    UploadedModel model = model("m", "0123456789");
    disk.full = true;
    ElasticsearchStatusException e =
        expectThrows(ElasticsearchStatusException.class, () -> write(copies, model, "0123456789"));
    assertEquals(RestStatus.INSUFFICIENT_STORAGE, e.status());
    assertThat(e.getMessage(), containsString("file [config.json] could not be written: No"));
    assertEquals(0, files(directory));
    disk.full = false;
    write(copies, model, "0123456789");
    assertTrue(copies.find(model).isPresent());
  }

  /** Lets nothing be written while it is full. */
  private static final class FullDisk extends FilterFileSystemProvider {
    private volatile boolean full;

    FullDisk(Path any) {
      super("full://", any.getFileSystem());
    }

    @Override
    public OutputStream newOutputStream(Path path, OpenOption... options) throws IOException {
      return new FilterOutputStream2(super.newOutputStream(path, options)) {
        @Override
        public void write(byte[] bytes) throws IOException {
          if (full) {
            throw new IOException("No space left on device");
          }
          super.write(bytes);
        }
      };
    }
  }
}
