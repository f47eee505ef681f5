package org.lanewise.plugin.models;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.Set;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.EncoderOutputs;
import org.lanewise.encoder.EncoderOutputs.Answer;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.EncoderOutputs.Reading;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.Prompts;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TokenEmbedder.Role;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.head.SparseVector.Pruning;

/** The encoder of {@code encoder-core} over one model directory. */
final class LibraryEncoder implements Encoder {
  private final TextEmbedder embedder;

  private final EncoderOutputs outputs;

  private LibraryEncoder(TextEmbedder embedder) {
    this.embedder = embedder;
    outputs = EncoderOutputs.over(embedder);
  }

  /**
   * Returns the open model of the directory.
   *
   * @throws ModelException if nothing can be had of it: better now than at each text
   */
  static LibraryEncoder open(Path path, EmbedderOptions options) {
    TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(path), options);
    try {
      LibraryEncoder encoder = new LibraryEncoder(embedder);
      Set<Output> available = encoder.outputs();
      // A head as wide as the vocabulary waits until somebody wants it.
      encoder.outputs.prepare(
          available.contains(Output.DENSE) || available.isEmpty()
              ? Set.of(Output.DENSE)
              : available);
      embedder.warmUp();
      return encoder;
    } catch (RuntimeException e) {
      embedder.close();
      throw e;
    }
  }

  /** Returns the library's embedder, for the models that read it. */
  TextEmbedder embedder() {
    return embedder;
  }

  @Override
  public Reading read(String text, String prompt, Role role, Set<Output> wanted) {
    return outputs.read(text, prompt, role, wanted);
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
  public List<Encoded> forward(List<Reading> texts) {
    return outputs.forward(texts).stream().map(this::encoded).toList();
  }

  private Encoded encoded(Answer answer) {
    return new Encoded(
        answer.dense(),
        answer.sparse().map(vector -> outputs.tokens(vector.prune(Pruning.NONE))),
        answer.multiVector(),
        answer.tokens(),
        answer.truncated());
  }

  @Override
  public Set<Output> outputs() {
    return outputs.available();
  }

  @Override
  public OptionalInt dimensions() {
    return outputs.available().contains(Output.DENSE)
        ? OptionalInt.of(embedder.dimensions())
        : OptionalInt.empty();
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
    return embedder.directory().config().family();
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
  public void close() {
    embedder.close();
  }
}
