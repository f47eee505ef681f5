package org.lanewise.plugin.ingest;

import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.lanewise.encoder.ChunkOptions;
import org.lanewise.encoder.ChunkOptions.Strategy;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.head.ElementType;
import org.lanewise.encoder.head.SparseVector.Pruning;
import org.lanewise.encoder.head.StoredTokenVectors;
import org.lanewise.encoder.head.StoredTokenVectors.Encoding;
import org.lanewise.plugin.encode.DenseForm;
import org.lanewise.plugin.encode.EncodeRequest.Chunking;
import org.lanewise.plugin.ingest.DocumentTexts.Field;
import org.lanewise.plugin.models.Encoded;

/** What is written into a field of what an encoder made of a text. */
sealed interface OutputForm permits OutputForm.Single, OutputForm.Passages, TagForm {
  /** Returns what the encoder is asked for. */
  Output output();

  /** Returns how texts are cut; empty where they are read as a whole. */
  default Optional<Chunking> chunking() {
    return Optional.empty();
  }

  /** Returns the value of the field. */
  Object render(String modelId, Field field, List<Encoded> answers);

  /** Returns what a field's name is followed by where its target is not named. */
  String suffix(String modelId);

  /**
   * Reads the options that stand beside a field: {@code output}, those of each output, and {@code
   * chunking}.
   *
   * @throws org.elasticsearch.ElasticsearchException naming the option that is wrong
   */
  static OutputForm read(ProcessorOptions options) {
    OutputForm whole = readWhole(options);
    Optional<Passages> passages =
        options.object("chunking", chunking -> Passages.read(whole, chunking));
    return passages.isPresent() ? passages.get() : whole;
  }

  private static OutputForm readWhole(ProcessorOptions options) {
    return switch (options.choice("output", Output.DENSE)) {
      case DENSE ->
          new Dense(
              new DenseForm(
                  dimensions(options), options.choice("element_type", ElementType.FLOAT)));
      case SPARSE ->
          new Sparse(
              options.object("pruning", OutputForm::pruning).orElse(Pruning.NONE),
              options.flag("replace_dots", false));
      case MULTI_VECTOR -> new MultiVector(options.choice("encoding", Encoding.INT8));
      case TAGS -> TagForm.read(options);
    };
  }

  private static OptionalInt dimensions(ProcessorOptions options) {
    return options
        .wholeNumber("dimensions", 1, Integer.MAX_VALUE)
        .map(OptionalInt::of)
        .orElse(OptionalInt.empty());
  }

  private static Pruning pruning(ProcessorOptions options) {
    return new Pruning(
        options.wholeNumber("top_k", 1, Integer.MAX_VALUE).orElse(Pruning.NONE.topK()),
        options.number("max_ratio", 0, 1).orElse(Pruning.NONE.maxRatio()),
        options.number("abs_value", 0, Float.MAX_VALUE).orElse(Pruning.NONE.absValue()));
  }

  /** A value for each text, or for each piece of one. */
  sealed interface Single extends OutputForm {
    /** Returns what a text, or a piece of one, becomes. */
    Object value(String modelId, Encoded answer);

    @Override
    default Object render(String modelId, Field field, List<Encoded> answers) {
      List<Object> values = new ArrayList<>();
      answers.forEach(answer -> values.add(value(modelId, answer)));
      return field.array() ? values : values.getFirst();
    }
  }

  /** An array of numbers, for a {@code dense_vector} field. */
  record Dense(DenseForm form) implements Single {
    @Override
    public Output output() {
      return Output.DENSE;
    }

    @Override
    public List<Number> value(String modelId, Encoded answer) {
      float[] vector = form.of(modelId, answer.vector());
      List<Number> numbers = new ArrayList<>(vector.length);
      for (float value : vector) {
        if (form.type() == ElementType.FLOAT) {
          numbers.add(value);
        } else {
          numbers.add((int) value);
        }
      }
      return numbers;
    }

    @Override
    public String suffix(String modelId) {
      return "_vector";
    }
  }

  /**
   * An object of weights by token, for a {@code sparse_vector} field.
   *
   * @param replaceDots whether tokens are named as a {@code rank_features} field takes them
   */
  record Sparse(Pruning pruning, boolean replaceDots) implements Single {
    @Override
    public Output output() {
      return Output.SPARSE;
    }

    @Override
    public Object value(String modelId, Encoded answer) {
      Map<String, Float> weights = answer.weights(pruning);
      if (!replaceDots) {
        return weights;
      }
      Map<String, Float> features = new LinkedHashMap<>();
      // Of two tokens of one name the heavier, which comes first.
      weights.forEach((token, weight) -> features.putIfAbsent(Encoded.featureName(token), weight));
      return features;
    }

    @Override
    public String suffix(String modelId) {
      return "_sparse";
    }
  }

  /** The vectors of all tokens as a text in Base64, for a {@code binary} field. */
  record MultiVector(Encoding encoding) implements Single {
    @Override
    public Output output() {
      return Output.MULTI_VECTOR;
    }

    @Override
    public Object value(String modelId, Encoded answer) {
      float[][] vectors = answer.multiVector().orElseThrow();
      return Base64.getEncoder().encodeToString(StoredTokenVectors.write(vectors, encoding));
    }

    @Override
    public String suffix(String modelId) {
      return "_tokens";
    }
  }

  /**
   * An array of objects, one for each chunk, for a {@code nested} field.
   *
   * @param of what each chunk becomes
   * @param cut how texts are cut
   * @param includeText whether the text of each chunk is written, too
   */
  record Passages(Single of, Chunking cut, boolean includeText) implements OutputForm {
    /** Sentences that a chunk repeats where nothing is said, as in Elasticsearch. */
    private static final int USUAL_SENTENCE_OVERLAP = 1;

    /** Reads the options below {@code chunking}. */
    private static Passages read(OutputForm whole, ProcessorOptions options) {
      boolean late = options.flag("late", false);
      Output output = whole.output();
      if (!(whole instanceof Single of)
          || output == Output.MULTI_VECTOR
          || (late && output != Output.DENSE)) {
        throw options.wrong(
            late ? "late" : "chunking",
            "goes with [output] of [dense]"
                + (late ? "" : " or [sparse]")
                + " but that is ["
                + output.label()
                + "]");
      }
      Strategy strategy = options.choice("strategy", Strategy.SENTENCE);
      Optional<Integer> most = options.wholeNumber("max_chunk_size", 1, Integer.MAX_VALUE);
      Optional<Integer> tokens = options.wholeNumber("overlap");
      Optional<Integer> sentences = options.wholeNumber("sentence_overlap");
      boolean bySentence = strategy == Strategy.SENTENCE;
      if ((bySentence ? tokens : sentences).isPresent()) {
        throw options.wrong(
            bySentence ? "overlap" : "sentence_overlap",
            bySentence
                ? "goes with [strategy] of [token]; [sentence] has [sentence_overlap]"
                : "goes with [strategy] of [sentence]; [token] has [overlap]");
      }
      int overlap = bySentence ? sentences.orElse(USUAL_SENTENCE_OVERLAP) : tokens.orElse(0);
      try {
        ChunkOptions cut =
            new ChunkOptions(
                strategy, most.map(OptionalInt::of).orElse(OptionalInt.empty()), overlap);
        return new Passages(of, new Chunking(cut, late), options.flag("include_text", true));
      } catch (IllegalArgumentException e) {
        throw options.wrong("chunking", e.getMessage());
      }
    }

    @Override
    public Output output() {
      return of.output();
    }

    @Override
    public Optional<Chunking> chunking() {
      return Optional.of(cut);
    }

    /** Returns what an object calls the value of its chunk. */
    String name() {
      return of.output() == Output.DENSE ? "vector" : of.output().label();
    }

    @Override
    public List<Object> render(String modelId, Field field, List<Encoded> answers) {
      List<Object> passages = new ArrayList<>();
      for (int i = 0; i < answers.size(); i++) {
        for (Encoded.Piece piece : answers.get(i).pieces()) {
          Map<String, Object> passage = new LinkedHashMap<>();
          if (includeText) {
            passage.put("text", piece.chunk().of(field.texts().get(i)));
          }
          passage.put("start_pos", piece.chunk().start());
          passage.put("end_pos", piece.chunk().end());
          if (field.array()) {
            passage.put("element", field.elements().get(i));
          }
          passage.put(name(), of.value(modelId, piece.encoded()));
          passages.add(passage);
        }
      }
      return passages;
    }

    @Override
    public String suffix(String modelId) {
      return "_passages";
    }
  }
}
