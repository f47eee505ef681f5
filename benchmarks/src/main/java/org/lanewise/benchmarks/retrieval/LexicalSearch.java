package org.lanewise.benchmarks.retrieval;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.en.EnglishAnalyzer;
import org.apache.lucene.analysis.standard.StandardAnalyzer;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.LogDocMergePolicy;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.store.ByteBuffersDirectory;
import org.apache.lucene.store.Directory;
import org.apache.lucene.util.QueryBuilder;

/**
 * BM25 by Lucene with k1 = 1.2 and b = 0.75, any word of the query: what a {@code match} query of
 * Elasticsearch does on one shard.
 */
public final class LexicalSearch {
  private static final String FIELD = "text";

  /** ArguAna asks with whole essays. */
  private static final int MOST_WORDS = 1 << 20;

  /** What makes words of texts. */
  public enum Analysis {
    /** Porter's stems of lower-cased words, without English stop words. */
    ENGLISH,
    /** Lower-cased words. */
    STANDARD;

    /** Returns the analysis of that name. */
    public static Analysis named(String name) {
      return Arrays.stream(values())
          .filter(each -> each.label().equals(name))
          .findFirst()
          .orElseThrow(
              () ->
                  new IllegalArgumentException(
                      "--analyzer is ["
                          + name
                          + "], expected one of "
                          + Arrays.stream(values()).map(Analysis::label).toList()));
    }

    private String label() {
      return name().toLowerCase(Locale.ROOT);
    }

    private Analyzer open() {
      return switch (this) {
        case ENGLISH -> new EnglishAnalyzer();
        case STANDARD -> new StandardAnalyzer();
      };
    }
  }

  private LexicalSearch() {}

  /** Returns the {@code depth} best documents for each query. */
  public static List<List<Hit>> search(TestCollection collection, Analysis analysis, int depth)
      throws IOException {
    IndexSearcher.setMaxClauseCount(MOST_WORDS);
    List<List<Hit>> found = new ArrayList<>();
    try (Analyzer analyzer = analysis.open();
        Directory directory = new ByteBuffersDirectory()) {
      // Merges neighbours only, so that Lucene numbers documents as the collection does.
      IndexWriterConfig config =
          new IndexWriterConfig(analyzer).setMergePolicy(new LogDocMergePolicy());
      try (IndexWriter writer = new IndexWriter(directory, config)) {
        for (String text : collection.documents()) {
          Document document = new Document();
          document.add(new TextField(FIELD, text, Field.Store.NO));
          writer.addDocument(document);
        }
      }
      try (DirectoryReader reader = DirectoryReader.open(directory)) {
        IndexSearcher searcher = new IndexSearcher(reader);
        searcher.setSimilarity(new BM25Similarity());
        QueryBuilder queries = new QueryBuilder(analyzer);
        for (String text : collection.queries()) {
          Query query = queries.createBooleanQuery(FIELD, text);
          List<Hit> hits = new ArrayList<>();
          if (query != null) {
            for (ScoreDoc hit : searcher.search(query, depth).scoreDocs) {
              hits.add(new Hit(hit.doc, hit.score));
            }
          }
          found.add(hits);
        }
      }
    }
    return found;
  }
}
