package org.lanewise.benchmarks;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.head.SentenceModule;
import org.lanewise.encoder.model.EncoderSizes;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/**
 * Writes the encoder of a model directory as an ONNX graph from {@code input_ids}, {@code
 * attention_mask} and {@code token_type_ids}, (texts, tokens), to {@code vectors}, (texts,
 * hiddenSize): the mean of the last hidden states, scaled to length 1.
 */
final class OnnxGraph {
  /** How the layers are written; which is fastest depends on machine and lengths. */
  enum Form {
    /** Plain operators as an export from PyTorch has them, for the runtime's own fusions. */
    EXPORTED,
    /** ONNX Runtime's fused operators, as its transformers optimizer writes them. */
    FUSED,
    /**
     * Like {@link #FUSED}, with the attention that never writes the scores to memory. It takes no
     * padding, so its batches are texts of one length.
     */
    FLASH
  }

  /** What the weights of the layers are; embeddings and norms are always fp32. */
  enum Numbers {
    FP32,
    /** As {@code quantize_dynamic} makes them: eight bits, one scale for a whole weight. */
    INT8,
    /** As {@code quantize_dynamic(per_channel=True)} makes them: a scale for each output. */
    INT8_PER_CHANNEL
  }

  private static final Map<String, Object> NONE = Map.of();

  /** What attention adds where there is padding. */
  private static final float LEAST = -3.4028234663852886e38f;

  private final Form form;
  private final Numbers numbers;
  private final EncoderSizes sizes;
  private final float epsilon;
  private final Weights weights;
  private final OnnxFile file;
  private final Map<String, List<String>> quantizedInputs = new HashMap<>();
  private String mask = "";

  private OnnxGraph(Form form, Numbers numbers, ModelDirectory directory, OnnxFile file) {
    this.form = form;
    this.numbers = numbers;
    this.sizes = directory.config().sizes();
    this.epsilon = directory.config().embedding().norm().orElseThrow().epsilon();
    this.weights = directory.weights();
    this.file = file;
  }

  /**
   * Writes the graph.
   *
   * @throws IllegalArgumentException if the directory is no BERT with exact GELU, mean pooling and
   *     normalisation
   */
  static void write(Path path, ModelDirectory directory, Form form, Numbers numbers)
      throws IOException {
    List<SentenceModule> expected =
        List.of(
            new SentenceModule.Pooling(List.of(PoolingMode.MEAN), true),
            new SentenceModule.Normalize());
    if (!directory.sentenceModules().equals(expected)
        || !directory.config().family().equals("bert")
        || !directory.config().sizes().activation().equals("gelu")) {
      throw new IllegalArgumentException(
          "["
              + directory.path()
              + "] is a ["
              + directory.config().family()
              + "] with the activation ["
              + directory.config().sizes().activation()
              + "] and the modules "
              + directory.sentenceModules()
              + ", expected a [bert] with [gelu] and "
              + expected
              + ": give a graph with --onnx");
    }
    try (OnnxFile file = new OnnxFile(path)) {
      new OnnxGraph(form, numbers, directory, file).write();
    }
  }

  private void write() throws IOException {
    for (String input : List.of("input_ids", "attention_mask", "token_type_ids")) {
      file.input(input, OnnxFile.Type.INT64, "texts", "tokens");
    }
    String hidden = embeddings();
    for (int i = 0; i < sizes.layers(); i++) {
      hidden = layer(weights.in("encoder.layer." + i), hidden);
    }
    // Dividing by the number of tokens would change nothing that the last step leaves.
    String floats = file.node("Cast", Map.of("to", OnnxFile.Type.FLOAT.number()), "attention_mask");
    String rows = file.node("Unsqueeze", NONE, floats, ints(1));
    String sums = file.node("Squeeze", NONE, file.node("MatMul", NONE, rows, hidden), ints(1));
    String squares = file.node("ReduceSumSquare", Map.of("keepdims", 1L), sums, ints(1));
    String vectors = file.node("Div", NONE, sums, file.node("Sqrt", NONE, squares));
    file.output(vectors, OnnxFile.Type.FLOAT, "texts", "hidden");
  }

  private String ints(long... values) {
    return file.constant(
        OnnxFile.Type.INT64,
        new long[] {values.length},
        Arrays.stream(values).asDoubleStream().toArray());
  }

  private String embeddings() throws IOException {
    Weights in = weights.in("embeddings");
    String words = plain(in.tensor("word_embeddings.weight"));
    String positions = plain(in.tensor("position_embeddings.weight"));
    String types = plain(in.tensor("token_type_embeddings.weight"));
    String gamma = plain(in.tensor("LayerNorm.weight"));
    String beta = plain(in.tensor("LayerNorm.bias"));
    if (form != Form.EXPORTED) {
      List<String> found =
          file.contributed(
              "EmbedLayerNormalization",
              2,
              Map.of("epsilon", epsilon),
              toInt("input_ids"),
              toInt("token_type_ids"),
              words,
              positions,
              types,
              gamma,
              beta,
              toInt("attention_mask"));
      // Its second output: the number of tokens of each text, the padding being at the end.
      mask = found.getLast();
      return found.getFirst();
    }
    String length =
        file.node("Slice", NONE, file.node("Shape", NONE, "input_ids"), ints(1), ints(2));
    String sum =
        file.node(
            "Add",
            NONE,
            file.node(
                "Add",
                NONE,
                file.node("Gather", NONE, words, "input_ids"),
                file.node("Gather", NONE, types, "token_type_ids")),
            file.node("Slice", NONE, positions, ints(0), length, ints(0)));
    String real =
        file.node(
            "Cast",
            Map.of("to", OnnxFile.Type.FLOAT.number()),
            file.node(
                "Unsqueeze",
                NONE,
                file.node("Unsqueeze", NONE, "attention_mask", ints(1)),
                ints(2)));
    mask = file.node("Mul", NONE, file.node("Sub", NONE, scalar(1), real), scalar(LEAST));
    return norm(sum, gamma, beta);
  }

  private String toInt(String input) {
    return file.node("Cast", Map.of("to", OnnxFile.Type.INT32.number()), input);
  }

  private String scalar(double value) {
    return file.constant(OnnxFile.Type.FLOAT, new long[0], value);
  }

  private String norm(String input, String gamma, String beta) {
    return file.node(
        "LayerNormalization", Map.of("axis", -1L, "epsilon", epsilon), input, gamma, beta);
  }

  private String layer(Weights in, String hidden) throws IOException {
    String attention = attention(in.in("attention.self"), hidden);
    String attended =
        addAndNorm(
            in.in("attention.output"), product(in.in("attention.output"), attention), hidden);
    Weights intermediate = in.in("intermediate");
    String inner = product(intermediate, attended);
    String bias = plain(intermediate.tensor("dense.bias"));
    String active =
        form == Form.EXPORTED
            ? file.node("Gelu", NONE, file.node("Add", NONE, inner, bias))
            : file.contributed("BiasGelu", 1, NONE, inner, bias).getFirst();
    return addAndNorm(in.in("output"), product(in.in("output"), active), attended);
  }

  /** The product of {@code dense}, without its bias. */
  private String product(Weights in, String input) throws IOException {
    return multiply(input, stacked(in, "dense"));
  }

  private String addAndNorm(Weights in, String product, String residual) throws IOException {
    String bias = plain(in.tensor("dense.bias"));
    String gamma = plain(in.tensor("LayerNorm.weight"));
    String beta = plain(in.tensor("LayerNorm.bias"));
    if (form == Form.EXPORTED) {
      return norm(
          file.node("Add", NONE, file.node("Add", NONE, product, bias), residual), gamma, beta);
    }
    return file.contributed(
            "SkipLayerNormalization",
            1,
            Map.of("epsilon", epsilon),
            product,
            residual,
            gamma,
            beta,
            bias)
        .getFirst();
  }

  private String attention(Weights in, String hidden) throws IOException {
    Map<String, Object> heads = Map.of("num_heads", (long) sizes.heads());
    return switch (form) {
      case FUSED -> {
        Product all = stacked(in, "query", "key", "value");
        String bias = joinedBias(in);
        if (numbers == Numbers.FP32) {
          String weight = file.weight(new long[] {all.inputs, all.outputs}, all.values);
          yield file.contributed("Attention", 1, heads, hidden, weight, bias, mask).getFirst();
        }
        Quantized weight = quantize(all);
        List<String> input = quantized(hidden);
        yield file.contributed(
                "QAttention",
                1,
                heads,
                input.get(0),
                weight.numbers,
                bias,
                input.get(1),
                weight.scales,
                mask,
                input.get(2),
                weight.zeros)
            .getFirst();
      }
      case FLASH ->
          file.contributed(
                  "MultiHeadAttention",
                  1,
                  heads,
                  multiply(hidden, stacked(in, "query")),
                  multiply(hidden, stacked(in, "key")),
                  multiply(hidden, stacked(in, "value")),
                  joinedBias(in))
              .getFirst();
      case EXPORTED -> exportedAttention(in, hidden);
    };
  }

  private String exportedAttention(Weights in, String hidden) throws IOException {
    long headSize = sizes.hiddenSize() / sizes.heads();
    String shape = ints(0, 0, sizes.heads(), headSize);
    String[] parts = new String[3];
    List<String> names = List.of("query", "key", "value");
    for (int i = 0; i < parts.length; i++) {
      String name = names.get(i);
      String product =
          file.node(
              "Add", NONE, multiply(hidden, stacked(in, name)), plain(in.tensor(name + ".bias")));
      long[] order = i == 1 ? new long[] {0, 2, 3, 1} : new long[] {0, 2, 1, 3};
      parts[i] =
          file.node("Transpose", Map.of("perm", order), file.node("Reshape", NONE, product, shape));
    }
    String scores =
        file.node(
            "Div",
            NONE,
            file.node("MatMul", NONE, parts[0], parts[1]),
            scalar(Math.sqrt((double) headSize)));
    String shares = file.node("Softmax", Map.of("axis", -1L), file.node("Add", NONE, scores, mask));
    String values =
        file.node(
            "Transpose",
            Map.of("perm", new long[] {0, 2, 1, 3}),
            file.node("MatMul", NONE, shares, parts[2]));
    return file.node("Reshape", NONE, values, ints(0, 0, sizes.hiddenSize()));
  }

  /** A weight with its inputs in rows, as the graph multiplies. */
  private record Product(int inputs, int outputs, float[] values) {}

  private Product stacked(Weights in, String... names) {
    List<Tensor> tensors = new ArrayList<>();
    int outputs = 0;
    for (String name : names) {
      Tensor tensor = in.tensor(name + ".weight");
      tensors.add(tensor);
      outputs += (int) tensor.shape()[0];
    }
    int inputs = (int) tensors.getFirst().shape()[1];
    float[] values = new float[inputs * outputs];
    int column = 0;
    for (Tensor tensor : tensors) {
      for (int row = 0; row < tensor.shape()[0]; row++, column++) {
        float[] numbersOfRow = tensor.row(row);
        for (int k = 0; k < inputs; k++) {
          values[k * outputs + column] = numbersOfRow[k];
        }
      }
    }
    return new Product(inputs, outputs, values);
  }

  private String joinedBias(Weights in) throws IOException {
    int hidden = sizes.hiddenSize();
    float[] joined = new float[3 * hidden];
    List<String> names = List.of("query", "key", "value");
    for (int i = 0; i < names.size(); i++) {
      System.arraycopy(values(in.tensor(names.get(i) + ".bias")), 0, joined, i * hidden, hidden);
    }
    return file.weight(new long[] {joined.length}, joined);
  }

  private String multiply(String input, Product product) throws IOException {
    if (numbers == Numbers.FP32) {
      return file.node(
          "MatMul",
          NONE,
          input,
          file.weight(new long[] {product.inputs, product.outputs}, product.values));
    }
    Quantized weight = quantize(product);
    List<String> quantized = quantized(input);
    if (form != Form.EXPORTED) {
      return file.contributed(
              "MatMulIntegerToFloat",
              1,
              NONE,
              quantized.get(0),
              weight.numbers,
              quantized.get(1),
              weight.scales,
              quantized.get(2),
              weight.zeros)
          .getFirst();
    }
    String sums =
        file.node(
            "MatMulInteger",
            NONE,
            quantized.get(0),
            weight.numbers,
            quantized.get(2),
            weight.zeros);
    String floats = file.node("Cast", Map.of("to", OnnxFile.Type.FLOAT.number()), sums);
    return file.node("Mul", NONE, floats, file.node("Mul", NONE, quantized.get(1), weight.scales));
  }

  /** Names of an input's eight-bit numbers, scale and zero point, computed once. */
  private List<String> quantized(String input) {
    return quantizedInputs.computeIfAbsent(
        input, name -> file.nodes("DynamicQuantizeLinear", 3, name));
  }

  /** Names of a weight's eight-bit numbers, scales and zero points. */
  private record Quantized(String numbers, String scales, String zeros) {}

  /** Symmetric, to -127 to 127, as {@code quantize_dynamic} does with QInt8 weights. */
  private Quantized quantize(Product product) throws IOException {
    int outputs = product.outputs;
    float[] largest = new float[outputs];
    for (int i = 0; i < product.values.length; i++) {
      largest[i % outputs] = Math.max(largest[i % outputs], Math.abs(product.values[i]));
    }
    boolean perChannel = numbers == Numbers.INT8_PER_CHANNEL;
    if (!perChannel) {
      float most = 0;
      for (float each : largest) {
        most = Math.max(most, each);
      }
      Arrays.fill(largest, most);
    }
    byte[] bytes = new byte[product.values.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) Math.round(product.values[i] * 127 / largest[i % outputs]);
    }
    double[] scales = new double[perChannel ? outputs : 1];
    for (int i = 0; i < scales.length; i++) {
      scales[i] = largest[i] / 127;
    }
    long[] shape = perChannel ? new long[] {outputs} : new long[0];
    return new Quantized(
        file.weight(new long[] {product.inputs, outputs}, bytes),
        file.constant(OnnxFile.Type.FLOAT, shape, scales),
        file.constant(OnnxFile.Type.INT8, shape, new double[scales.length]));
  }

  private String plain(Tensor tensor) throws IOException {
    return file.weight(tensor.shape(), values(tensor));
  }

  private static float[] values(Tensor tensor) {
    float[] values = new float[(int) tensor.elements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = tensor.get(i);
    }
    return values;
  }
}
