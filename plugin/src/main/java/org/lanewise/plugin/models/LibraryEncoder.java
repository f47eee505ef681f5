package org.lanewise.plugin.models;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.lanewise.encoder.DeviceReport;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.Prompts;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.backend.Precision;

/** The encoder of {@code encoder-core} over one model directory. */
final class LibraryEncoder implements Encoder {
  private final TextEmbedder embedder;

  private LibraryEncoder(TextEmbedder embedder) {
    this.embedder = embedder;
  }

  /**
   * Returns the open model of the directory.
   *
   * @throws ModelException if the directory states no pooling: better now than at each text
   */
  static LibraryEncoder open(Path path, EmbedderOptions options) {
    TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(path), options);
    try {
      embedder.dimensions();
      embedder.warmUp();
    } catch (RuntimeException e) {
      embedder.close();
      throw e;
    }
    return new LibraryEncoder(embedder);
  }

  /** Returns the library's embedder, for the models that read it. */
  TextEmbedder embedder() {
    return embedder;
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
  public float[][] vectors(List<EncodedText> texts) {
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
  public String kernels() {
    return embedder.kernels();
  }

  @Override
  public Optional<DeviceReport> device() {
    return embedder.deviceReport();
  }

  @Override
  public void close() {
    embedder.close();
  }
}
