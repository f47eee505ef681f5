package org.lanewise.plugin.models;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.lanewise.encoder.Chunk;
import org.lanewise.encoder.ChunkOptions;
import org.lanewise.encoder.DeviceChoice;
import org.lanewise.encoder.DeviceReport;
import org.lanewise.encoder.EncoderOutputs;
import org.lanewise.encoder.EncoderOutputs.Answer;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.EncoderOutputs.Reading;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.Prompts;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TokenEmbedder.Role;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.head.SparseVector.Pruning;
import org.lanewise.plugin.models.Encoded.Piece;

/** The encoder of {@code encoder-core} over one model directory. */
final class LibraryEncoder implements Encoder {
  private final TextEmbedder embedder;

  private final EncoderOutputs outputs;

  private LibraryEncoder(TextEmbedder embedder) {
    this.embedder = embedder;
    outputs = EncoderOutputs.over(embedder);
  }

  /**
   * Returns the model over an embedder, which it closes with itself, or at once if it fails.
   *
   * @throws ModelException if nothing can be had of it: better now than at each text
   */
  static LibraryEncoder open(TextEmbedder embedder) {
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
    return having(wanted, () -> outputs.read(text, prompt, role, wanted));
  }

  @Override
  public List<Reading> readChunks(
      String text, String prompt, Set<Output> wanted, ChunkOptions options, boolean late) {
    return having(wanted, () -> outputs.readChunks(text, prompt, wanted, options, late));
  }

  /** What the model has not got is the fault of whoever asks for it, not the model's. */
  private <R> R having(Set<Output> wanted, Supplier<R> read) {
    try {
      return read.get();
    } catch (ModelException e) {
      if (outputs.available().containsAll(wanted)) {
        throw e;
      }
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  @Override
  public int countTokens(String text, String prompt) {
    return embedder.countTokens(text, prompt);
  }

  @Override
  public List<Encoded> forward(List<Reading> texts) {
    List<Answer> answers = outputs.forward(texts);
    return IntStream.range(0, answers.size())
        .mapToObj(i -> encoded(texts.get(i).chunks(), answers.get(i)))
        .toList();
  }

  private Encoded encoded(List<Chunk> chunks, Answer answer) {
    if (chunks.isEmpty()) {
      return encoded(answer.dense().stream().findFirst(), answer);
    }
    List<Piece> pieces = new ArrayList<>();
    for (int i = 0; i < chunks.size(); i++) {
      Optional<float[]> vector =
          answer.dense().isEmpty() ? Optional.empty() : Optional.of(answer.dense().get(i));
      pieces.add(new Piece(chunks.get(i), encoded(vector, answer)));
    }
    return Encoded.ofPieces(pieces, answer.tokens());
  }

  private Encoded encoded(Optional<float[]> dense, Answer answer) {
    return new Encoded(
        dense,
        answer.sparse().map(vector -> outputs.tokens(vector.prune(Pruning.NONE))),
        answer.multiVector(),
        answer
            .entities()
            .<Tags>map(Tags.Entities::new)
            .or(() -> answer.classes().map(Tags.Classes::of)),
        answer.tokens(),
        answer.truncated());
  }

  @Override
  public Set<Output> outputs() {
    return outputs.available();
  }

  @Override
  public List<String> classes() {
    return outputs.classes();
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
  public Optional<DeviceReport> device() {
    return embedder.deviceReport();
  }

  @Override
  public OptionalInt bulkTokens() {
    return embedder.deviceChoice().filter(DeviceChoice::bulks).isPresent()
        ? OptionalInt.of(embedder.bulkTokens())
        : OptionalInt.empty();
  }

  @Override
  public void close() {
    embedder.close();
  }
}
