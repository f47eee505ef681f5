package org.lanewise.benchmarks.retrieval;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A BEIR directory of eight documents and three queries. */
public final class TinyCollection {
  private TinyCollection() {}

  /** Writes it and returns its directory. */
  public static Path write(Path directory) throws IOException {
    Files.createDirectories(directory.resolve("qrels"));
    Files.writeString(
        directory.resolve("corpus.jsonl"),
        """
        {"_id": "1", "title": "Sourdough", "text": "Flour and water ferment before the bread is baked."}
        {"_id": "2", "title": "", "text": "Bread rises because yeast makes gas."}
        {"_id": "10", "title": "Tides", "text": "The moon pulls the sea towards itself."}
        {"_id": "11", "text": "High water follows the moon by some hours.", "metadata": {}}
        {"_id": "a", "title": null, "text": "A glacier is a river of ice."}
        {"_id": "b", "title": "Bees", "text": "Bees tell each other by dancing where flowers are."}
        {"_id": "c", "title": "Honey", "text": "Honey keeps for years because it has little water."}
        {"_id": "d", "title": "Empty", "text": ""}
        """);
    Files.writeString(
        directory.resolve("queries.jsonl"),
        """
        {"_id": "q1", "text": "why does bread rise"}
        {"_id": "q2", "text": "what does the moon do to water", "metadata": {}}
        {"_id": "q3", "text": "dancing bees"}
        {"_id": "unjudged", "text": "nobody judged this"}
        """);
    Files.writeString(
        directory.resolve("qrels").resolve("test.tsv"),
        """
        query-id\tcorpus-id\tscore
        q1\t2\t2
        q1\t1\t1
        q2\t10\t1
        q2\t11\t2
        q3\tb\t1
        q3\tc\t0
        """);
    return directory;
  }
}
