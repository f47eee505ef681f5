package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.family.Families;

/** The README's table of families is complete, and the one that the goldens are held against. */
final class SupportTableTest {
  @Test
  void theReadmeHasTheTable() throws IOException {
    String readme = Files.readString(Path.of("..", "README.md"));
    assertEquals(SupportTable.text(), SupportTable.between(readme));
  }

  @Test
  void everyFamilyHasARow() {
    Stream<String> types = SupportTable.rows().stream().flatMap(row -> row.types().stream());
    assertEquals(Families.supported(), types.sorted().distinct().toList());
  }

  @Test
  void everyGoldenIsInOneRow() {
    List<String> goldens =
        SupportTable.rows().stream().flatMap(row -> row.goldens().stream()).sorted().toList();
    assertEquals(Goldens.list("encoders", ""), goldens);
  }
}
