package org.lanewise.plugin.encode;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.elasticsearch.common.cache.Cache;
import org.elasticsearch.common.cache.CacheBuilder;
import org.lanewise.plugin.models.Encoded;
import org.lanewise.plugin.models.Encoder;
import org.lanewise.plugin.models.Tags;

/**
 * Answers to questions, the least recently asked forgotten first. A key holds the open model
 * itself, so an answer of a model that was opened anew is never one of the old. Thread-safe.
 */
final class QueryCache {
  /** What an entry takes beside its numbers and texts, about. */
  private static final long ENTRY_BYTES = 400;

  private static final long TOKEN_BYTES = 100;

  private final Cache<Key, Encoded> answers;

  private record Key(Encoder model, EncodeRequest request) {}

  /** Creates an empty cache of so many bytes, about; 0 for one that stays empty. */
  QueryCache(long bytes) {
    answers =
        CacheBuilder.<Key, Encoded>builder()
            .setMaximumWeight(bytes)
            .weigher((key, answer) -> bytes(key.request) + bytes(answer))
            .build();
  }

  Optional<Encoded> get(Encoder model, EncodeRequest request) {
    return Optional.ofNullable(answers.get(new Key(model, request)));
  }

  void put(Encoder model, EncodeRequest request, List<Encoded> answer) {
    answers.put(new Key(model, request), answer.getFirst());
  }

  QueryCacheStats stats() {
    Cache.Stats stats = answers.stats();
    return new QueryCacheStats(
        stats.getHits(),
        stats.getMisses(),
        stats.getEvictions(),
        answers.count(),
        answers.weight());
  }

  private static long bytes(EncodeRequest request) {
    return ENTRY_BYTES + 2L * request.texts().getFirst().text().length();
  }

  private static long bytes(Encoded answer) {
    long dense = answer.dense().map(vector -> 4L * vector.length).orElse(0L);
    long sparse = TOKEN_BYTES * answer.sparse().map(Map::size).orElse(0);
    long tokens =
        answer
            .multiVector()
            .filter(vectors -> vectors.length > 0)
            .map(vectors -> vectors.length * (16L + 4L * vectors[0].length))
            .orElse(0L);
    long tags = answer.tags().map(QueryCache::bytes).orElse(0L);
    return dense + sparse + tokens + tags;
  }

  private static long bytes(Tags tags) {
    return switch (tags) {
      case Tags.Entities found ->
          found.entities().stream()
              .mapToLong(each -> TOKEN_BYTES + 2L * each.text().length())
              .sum();
      case Tags.Classes classes -> TOKEN_BYTES * classes.top().size();
    };
  }
}
