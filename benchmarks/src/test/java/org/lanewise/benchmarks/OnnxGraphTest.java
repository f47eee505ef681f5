package org.lanewise.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lanewise.benchmarks.OnnxGraph.Form;
import org.lanewise.benchmarks.OnnxGraph.Numbers;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.backend.PoolingMode;

/** What ONNX Runtime computes with our graphs is what our plain loops compute. */
class OnnxGraphTest {
  private static final double FP32_ERROR = 2e-6;

  /** A product of two roundings to eight bits for every layer. */
  private static final double INT8_ERROR = 0.05;

  @TempDir private Path scratch;
  private Path directory;
  private List<EncodedText> texts;

  @BeforeEach
  void writeModel() throws IOException {
    directory = TinyModel.write(scratch.resolve("tiny"));
    try (ModelDirectory model = ModelDirectory.open(directory)) {
      texts = new RaceTexts(model.tokenizer()).cut("texts", false, 9, 9, 5).encoded();
    }
  }

  @ParameterizedTest
  @EnumSource(Form.class)
  void everyFormComputesWhatWeDo(Form form) throws IOException, OrtException {
    // Texts of one length, which every form takes, and a padded one for those that can.
    int count = form == Form.FLASH ? 2 : 3;
    float[][] expected = expected(texts.subList(0, count));
    assertTrue(error(expected, found(form, Numbers.FP32, count)) < FP32_ERROR);
    for (Numbers numbers : List.of(Numbers.INT8, Numbers.INT8_PER_CHANNEL)) {
      double error = error(expected, found(form, numbers, count));
      assertTrue(error < INT8_ERROR, () -> form + " " + numbers + " is off by " + error);
      assertTrue(error > FP32_ERROR, "eight bits would be as exact as fp32");
    }
  }

  @Test
  void refusesWhatItCannotWrite() throws IOException {
    Path modules = directory.resolve("modules.json");
    Files.delete(modules);
    try (ModelDirectory model = ModelDirectory.open(directory)) {
      Path file = scratch.resolve("refused.onnx");
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> OnnxGraph.write(file, model, Form.FUSED, Numbers.FP32))
              .getMessage();
      assertTrue(message.contains("--onnx"), message);
    }
  }

  private float[][] expected(List<EncodedText> some) {
    EmbedderOptions options =
        EmbedderOptions.defaults()
            .withBackend("scalar")
            .withPrecision(EmbedderOptions.precision("fp32"))
            .withThreads(1)
            .withPooling(PoolingMode.MEAN);
    try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(directory), options)) {
      return embedder.embedEncoded(some);
    }
  }

  private float[][] found(Form form, Numbers numbers, int count) throws IOException, OrtException {
    Path file = scratch.resolve(form + "-" + numbers + ".onnx");
    try (ModelDirectory model = ModelDirectory.open(directory)) {
      OnnxGraph.write(file, model, form, numbers);
    }
    int length = texts.getFirst().length();
    long[][] ids = new long[count][length];
    long[][] mask = new long[count][length];
    for (int i = 0; i < count; i++) {
      int[] own = texts.get(i).tokens().ids();
      for (int token = 0; token < own.length; token++) {
        ids[i][token] = own[token];
        mask[i][token] = 1;
      }
    }
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession session = environment.createSession(file.toString());
        OnnxTensor inputIds = OnnxTensor.createTensor(environment, ids);
        OnnxTensor attentionMask = OnnxTensor.createTensor(environment, mask);
        OnnxTensor types = OnnxTensor.createTensor(environment, new long[count][length])) {
      Map<String, OnnxTensor> inputs = new HashMap<>();
      inputs.put("input_ids", inputIds);
      inputs.put("attention_mask", attentionMask);
      inputs.put("token_type_ids", types);
      inputs.keySet().retainAll(session.getInputNames());
      try (OrtSession.Result result = session.run(inputs)) {
        return (float[][]) result.get(0).getValue();
      }
    }
  }

  private static double error(float[][] expected, float[][] found) {
    assertEquals(expected.length, found.length);
    double error = 0;
    for (int i = 0; i < expected.length; i++) {
      for (int d = 0; d < expected[i].length; d++) {
        error = Math.max(error, Math.abs(expected[i][d] - found[i][d]));
      }
    }
    return error;
  }
}
