package org.lanewise.plugin.models;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.Prompts;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.plugin.LanewiseSettings;

/** The encoder of {@code encoder-core} over one model directory. */
public final class LibraryEncoder implements Encoder {
  private final TextEmbedder embedder;

  private LibraryEncoder(TextEmbedder embedder) {
    this.embedder = embedder;
  }

  /** Returns the open model of the directory, with the node's backend and precision. */
  public static LibraryEncoder open(Path path, LanewiseSettings settings) {
    // One thread: the plugin's pools bring the parallelism, and an embedder that starts no threads
    // needs no entitlement to do so.
    EmbedderOptions options =
        EmbedderOptions.defaults()
            .withBackend(settings.backend())
            .withThreads(1)
            .withBatchTokens(settings.batchTokens());
    if (settings.precision().isPresent()) {
      options = options.withPrecision(settings.precision().get());
    }
    TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(path), options);
    try {
      // Throws where the directory states no pooling: better now than at each text.
      embedder.dimensions();
      embedder.warmUp();
    } catch (RuntimeException e) {
      embedder.close();
      throw e;
    }
    return new LibraryEncoder(embedder);
  }

  @Override
  public EncodedText encode(String text, String prompt) {
    return embedder.encode(text, prompt);
  }

  @Override
  public int countTokens(String text, String prompt) {
    ModelDirectory directory = embedder.directory();
    String whole = prompt + text;
    return directory
        .tokenizer()
        .encode(directory.lowerCase() ? whole.toLowerCase(Locale.ROOT) : whole)
        .length();
  }

  @Override
  public float[][] forward(List<EncodedText> texts) {
    return embedder.forward(texts);
  }

  @Override
  public int dimensions() {
    return embedder.dimensions();
  }

  @Override
  public int maxLength() {
    return embedder.maxLength();
  }

  @Override
  public Prompts prompts() {
    return embedder.prompts();
  }

  @Override
  public String family() {
    return "bert";
  }

  @Override
  public String backend() {
    return embedder.backend();
  }

  @Override
  public Precision precision() {
    return embedder.precision();
  }

  @Override
  public void close() {
    embedder.close();
  }
}
