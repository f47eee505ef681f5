package org.lanewise.plugin;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Setting.Property;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.unit.ByteSizeValue;
import org.elasticsearch.common.util.concurrent.EsExecutors;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.plugin.models.ModelRegistry;

/**
 * The node settings of the plugin, read and checked once at start.
 *
 * @param backend {@code auto}, {@code vector}, {@code scalar}, {@code cuda}, or {@code auto:1},
 *     {@code cuda:1} and so on for a GPU other than the first
 * @param precision number format of the weights; empty lets the backend choose
 * @param threads bulk batches that are computed at once, each on one thread
 * @param batchTokens most tokens of one batch, unless a single text has more
 * @param batchTokensGiven whether that was said and is no default
 * @param queueCapacity most texts that may wait in each lane
 * @param maxTextLength most UTF-16 units of one text
 * @param maxTexts most texts of one request; a document of a bulk may have as many as can wait
 * @param queryCacheBytes what answers to questions may take, about; 0 for none
 * @param modelCopiesBytes what copies of uploaded models may take on the disk
 */
public record LanewiseSettings(
    String backend,
    Optional<Precision> precision,
    int threads,
    int batchTokens,
    boolean batchTokensGiven,
    int queueCapacity,
    int maxTextLength,
    int maxTexts,
    long queryCacheBytes,
    long modelCopiesBytes) {

  static final Setting<String> BACKEND =
      choice("lanewise.backend", List.of("auto", "vector", "scalar", "cuda"));
  static final Setting<Integer> GPU_DEVICE =
      Setting.intSetting("lanewise.gpu.device", 0, 0, 255, Property.NodeScope);
  static final Setting<String> PRECISION =
      choice("lanewise.precision", List.of("auto", "fp32", "bf16", "int8"));
  static final Setting<Integer> THREADS =
      new Setting<>(
          "lanewise.threads",
          settings -> Integer.toString(defaultThreads(EsExecutors.allocatedProcessors(settings))),
          value -> Setting.parseInt(value, 1, 1024, "lanewise.threads"),
          Property.NodeScope);

  /** A GPU needs thousands of rows to be busy, the caches of a processor hold some hundred. */
  static final Setting<Integer> BATCH_TOKENS =
      new Setting<>(
          "lanewise.batch_tokens",
          settings -> BACKEND.get(settings).equals("cuda") ? "16384" : "512",
          value -> Setting.parseInt(value, 16, 65_536, "lanewise.batch_tokens"),
          Property.NodeScope);

  static final Setting<Integer> QUEUE_CAPACITY =
      Setting.intSetting("lanewise.queue_capacity", 10_000, 1, 1_000_000, Property.NodeScope);

  /** A book has half a million characters. */
  static final Setting<Integer> MAX_TEXT_LENGTH =
      Setting.intSetting("lanewise.max_text_length", 1_000_000, 1, 100_000_000, Property.NodeScope);

  static final Setting<Integer> MAX_TEXTS =
      Setting.intSetting("lanewise.max_texts", 1000, 1, 100_000, Property.NodeScope);

  static final Setting<ByteSizeValue> QUERY_CACHE_SIZE =
      Setting.memorySizeSetting("lanewise.query_cache_size", "10mb", Property.NodeScope);

  static final Setting<ByteSizeValue> MODEL_COPIES_SIZE =
      Setting.byteSizeSetting(
          "lanewise.model_copies_size", ByteSizeValue.ofGb(10), Property.NodeScope);

  /** Ids of models by what users may call them, too. */
  public static final Setting.AffixSetting<String> ALIAS =
      Setting.prefixKeySetting(
          "lanewise.alias.",
          key ->
              new Setting<>(
                  key,
                  "",
                  id -> {
                    if (!id.isEmpty()) {
                      ModelRegistry.checkId(key.substring(key.indexOf("alias.") + 6));
                      ModelRegistry.checkId(id);
                    }
                    return id;
                  },
                  Property.Dynamic,
                  Property.NodeScope));

  /** Returns the values of a node; an {@code IllegalArgumentException} names a bad one. */
  public static LanewiseSettings of(Settings settings) {
    String precision = PRECISION.get(settings);
    String backend = BACKEND.get(settings);
    int device = GPU_DEVICE.get(settings);
    return new LanewiseSettings(
        device > 0 && List.of("auto", "cuda").contains(backend) ? backend + ":" + device : backend,
        precision.equals("auto")
            ? Optional.empty()
            : Optional.of(Precision.valueOf(precision.toUpperCase(Locale.ROOT))),
        THREADS.get(settings),
        BATCH_TOKENS.get(settings),
        BATCH_TOKENS.exists(settings),
        QUEUE_CAPACITY.get(settings),
        MAX_TEXT_LENGTH.get(settings),
        MAX_TEXTS.get(settings),
        QUERY_CACHE_SIZE.get(settings).getBytes(),
        MODEL_COPIES_SIZE.get(settings).getBytes());
  }

  /**
   * Returns the most tokens of one batch of a bulk.
   *
   * @param suited what suits the model where nothing was said
   */
  public int batchTokens(OptionalInt suited) {
    return batchTokensGiven ? batchTokens : suited.orElse(batchTokens);
  }

  /**
   * Returns the processors less one, which stays free for searching and indexing. With one of two,
   * the p99 of searches under bulks was 25 ms and 1120 texts were indexed per second; with both, 38
   * ms and 1330.
   */
  static int defaultThreads(int processors) {
    return Math.max(1, processors - 1);
  }

  static List<Setting<?>> all() {
    return List.of(
        BACKEND,
        GPU_DEVICE,
        PRECISION,
        THREADS,
        BATCH_TOKENS,
        QUEUE_CAPACITY,
        MAX_TEXT_LENGTH,
        MAX_TEXTS,
        QUERY_CACHE_SIZE,
        MODEL_COPIES_SIZE,
        ALIAS);
  }

  /** The first choice is the default. */
  private static Setting<String> choice(String key, List<String> choices) {
    return new Setting<>(
        key,
        choices.getFirst(),
        value -> {
          if (!choices.contains(value)) {
            throw new IllegalArgumentException(
                "[" + key + "] must be one of " + choices + " but was [" + value + "]");
          }
          return value;
        },
        Property.NodeScope);
  }
}
