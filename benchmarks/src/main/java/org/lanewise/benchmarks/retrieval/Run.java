package org.lanewise.benchmarks.retrieval;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * What one way to search found for every query of a collection: a run, as TREC calls it.
 *
 * @param name how it searched
 * @param hits of each query, {@link Hit#BEST_FIRST}
 */
public record Run(String name, List<List<Hit>> hits) {
  /** Copies the lists. */
  public Run {
    hits = hits.stream().map(List::copyOf).toList();
  }

  /** Writes the run as trec_eval reads it. */
  public void write(Path file, TestCollection collection) throws IOException {
    String tag = name.replaceAll("\\s+", "");
    try (PrintStream lines =
        new PrintStream(Files.newOutputStream(file), false, StandardCharsets.UTF_8)) {
      for (int query = 0; query < hits.size(); query++) {
        int rank = 1;
        for (Hit hit : hits.get(query)) {
          lines.println(
              collection.queryIds().get(query)
                  + " Q0 "
                  + collection.documentIds().get(hit.document())
                  + " "
                  + rank++
                  + " "
                  + hit.score()
                  + " "
                  + tag);
        }
      }
      if (lines.checkError()) {
        throw new IOException("[" + file + "] cannot be written");
      }
    }
  }
}
