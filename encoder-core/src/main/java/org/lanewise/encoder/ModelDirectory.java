package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.lanewise.encoder.family.Families;
import org.lanewise.encoder.head.EncoderHeads;
import org.lanewise.encoder.head.LateInteractionPlan;
import org.lanewise.encoder.head.SentenceModule;
import org.lanewise.encoder.head.SparsePooling;
import org.lanewise.encoder.head.TrainedHead;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.tokenizer.Tokenizer;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.JsonFile;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/**
 * A model directory as Hugging Face and sentence-transformers write it, opened and checked. Weights
 * stay mapped until {@link #close()}. Thread-safe.
 *
 * <p>What is read: config.json of the families of encoders that {@code Families} lists;
 * model.safetensors, or its shards and their index; tokenizer.json, or vocab.txt with
 * tokenizer_config.json; and, where they are there, modules.json with the modules' folders,
 * sentence_bert_config.json and config_sentence_transformers.json. What is there but not
 * implemented is refused.
 */
public final class ModelDirectory implements AutoCloseable {
  /** What the files say. */
  record Contents(
      Path path,
      EncoderConfig config,
      Tokenizer tokenizer,
      Weights weights,
      long weightBytes,
      Set<DataType> weightTypes,
      List<SentenceModule> sentenceModules,
      Prompts prompts,
      OptionalInt truncateDimensions,
      Optional<String> similarity,
      int maxLength,
      boolean lowerCase,
      String fingerprint,
      EncoderHeads heads,
      SparsePooling sparsePooling,
      Optional<Tensor> queryTokenWeights,
      Optional<LateInteractionPlan> lateInteraction) {}

  private final Contents contents;
  private final Arena arena;
  private final AtomicBoolean closed = new AtomicBoolean();

  private ModelDirectory(Contents contents, Arena arena) {
    this.contents = contents;
    this.arena = arena;
  }

  /**
   * Returns the directory, opened and checked.
   *
   * @throws ModelException naming every problem that was found, with what is expected
   */
  public static ModelDirectory open(Path directory) {
    Arena arena = Arena.ofShared();
    boolean opened = false;
    try {
      ModelDirectory model =
          new ModelDirectory(new ModelDirectoryReader(directory, arena).read(), arena);
      opened = true;
      return model;
    } finally {
      if (!opened) {
        arena.close();
      }
    }
  }

  /**
   * Returns the tokenizer alone; a directory with only tokenizer.json, or vocab.txt with or without
   * tokenizer_config.json, is enough.
   *
   * @throws ModelException if there is none or it cannot be used
   */
  public static Tokenizer openTokenizer(Path directory) {
    return ModelDirectoryReader.readTokenizer(directory);
  }

  /** Returns whether config.json is that of an encoder, of a family that is supported. */
  public static boolean holdsEncoder(Path directory) {
    return encoderConfig(directory).isPresent();
  }

  /**
   * Returns the head that an encoder was trained for, read from config.json and modules.json alone;
   * empty where it was trained to make vectors: where modules follow its Transformer, or its
   * architecture has no such head.
   */
  public static Optional<TrainedHead> trainedHead(Path directory) {
    Path modules = directory.resolve("modules.json");
    boolean makesVectors =
        Files.isRegularFile(modules)
            && JsonFile.readTree(modules, "modules.json", new ArrayList<>())
                .map(list -> list.size() != 1)
                .orElse(true);
    return makesVectors
        ? Optional.empty()
        : encoderConfig(directory).flatMap(HeadReader::trainedHead);
  }

  private static Optional<JsonFile> encoderConfig(Path directory) {
    Path config = directory.resolve("config.json");
    return Files.isRegularFile(config)
        ? JsonFile.open(config, "config.json", new ArrayList<>())
            .filter(json -> Families.supported().contains(json.node("model_type").asText("")))
        : Optional.empty();
  }

  /** Returns where the directory is. */
  public Path path() {
    return contents.path;
  }

  /** Returns what the encoder is made of. */
  public EncoderConfig config() {
    return contents.config;
  }

  /** Returns the tokenizer. */
  public Tokenizer tokenizer() {
    return contents.tokenizer;
  }

  /**
   * Returns the encoder's tensors by canonical name: prefix removed, gamma/beta renamed, shapes
   * checked, all of them F32, F16 or BF16. {@code pooler.dense.*} is there where the files have it.
   * Reading them after {@link #close()} throws {@link IllegalStateException}.
   */
  public Weights weights() {
    return contents.weights;
  }

  /** Returns the bytes that the tensors in use have in their files, Dense modules included. */
  public long weightBytes() {
    return contents.weightBytes;
  }

  /** Returns the number formats of the tensors in use, most often one. */
  public Set<DataType> weightTypes() {
    return contents.weightTypes;
  }

  /**
   * Returns the steps after the encoder in order; empty where the directory states none, so that a
   * sentence vector needs a pooling from the caller.
   */
  public List<SentenceModule> sentenceModules() {
    return contents.sentenceModules;
  }

  /** Returns the heads that the weights have. */
  public EncoderHeads heads() {
    return contents.heads;
  }

  /** Returns how the logits of a masked language model are pooled; the maximum if nothing says. */
  public SparsePooling sparsePooling() {
    return contents.sparsePooling;
  }

  /**
   * Returns the weight of each token in a question, (vocabulary); empty where questions go through
   * the model as documents do.
   */
  public Optional<Tensor> queryTokenWeights() {
    return contents.queryTokenWeights;
  }

  /** Returns how vectors of tokens are made; empty where the model is not one of those. */
  public Optional<LateInteractionPlan> lateInteraction() {
    return contents.lateInteraction;
  }

  /** Returns the prompts of config_sentence_transformers.json. */
  public Prompts prompts() {
    return contents.prompts;
  }

  /**
   * Returns {@code truncate_dim} of config_sentence_transformers.json; empty where it is not stated
   * or cuts nothing off.
   */
  public OptionalInt truncateDimensions() {
    return contents.truncateDimensions;
  }

  /**
   * Returns {@code similarity_fn_name} of config_sentence_transformers.json, {@code cosine} for
   * instance.
   */
  public Optional<String> similarity() {
    return contents.similarity;
  }

  /**
   * Returns the most tokens of a text, special tokens included: {@code max_seq_length} where it is
   * stated, else the tokenizer's {@code model_max_length}; never more than the positions.
   */
  public int maxLength() {
    return contents.maxLength;
  }

  /** Returns whether texts are lower-cased before tokenizing (sentence_bert_config.json). */
  public boolean lowerCase() {
    return contents.lowerCase;
  }

  /**
   * Returns a hexadecimal SHA-256 of what determines the vectors; equal directories have equal
   * fingerprints wherever they are.
   *
   * <p>It covers every byte of the configuration and tokenizer files that were read, and name,
   * format, shape and content of the tensors in use: tensors up to 16 KiB entirely, of larger ones
   * sixteen pieces of 1 KiB spread evenly. Training changes every tensor nearly everywhere; a file
   * edited by hand between the pieces goes unnoticed.
   */
  public String fingerprint() {
    return contents.fingerprint;
  }

  /**
   * Returns the hexadecimal SHA-256 of the encoder's weights: name, format, shape and every byte of
   * each tensor that its configuration needs, whatever files and prefixes they came with. Taggers
   * name the encoder that they were trained on by it. Reads all weights.
   */
  public String weightsFingerprint() {
    return ModelDirectoryReader.weightsFingerprint(config(), weights());
  }

  /** Unmaps the weights; further calls do nothing. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      arena.close();
    }
  }
}
