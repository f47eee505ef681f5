package org.lanewise.encoder.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.lanewise.encoder.Goldens;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.family.Families;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.weights.JsonFile;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/**
 * An encoder of the goldens with the batch that PyTorch ran, unpadded, and what it answered.
 *
 * @param answers the tensors of golden.safetensors
 * @param rows row of each sequence's first token in the padded answers
 */
record GoldenEncoder(
    EncoderConfig config,
    Weights weights,
    Map<String, Tensor> answers,
    List<Tokens> sequences,
    List<Long> rows,
    boolean leftPadded) {

  /** Opens a golden as it is. */
  static GoldenEncoder open(String name, Arena arena) {
    if (name.startsWith("bert_")) {
      // The variants of names, shards and formats are the directory's to read.
      ModelDirectory directory = ModelDirectory.open(Goldens.path("encoders/" + name));
      return answered(name, arena, directory.config(), directory.weights());
    }
    return open(name, "config.json", json -> json, arena);
  }

  /** Opens a golden with another config.json. */
  static GoldenEncoder open(
      String name, String config, UnaryOperator<ObjectNode> edit, Arena arena) {
    List<String> problems = new ArrayList<>();
    ObjectNode json =
        (ObjectNode)
            JsonFile.readTree(Goldens.path("encoders/" + name + "/" + config), config, problems)
                .orElseThrow();
    Optional<EncoderConfig> read =
        Families.read(JsonFile.of(edit.apply(json), config, problems), problems);
    assertEquals(List.of(), problems, name);
    Map<String, Tensor> tensors = new HashMap<>();
    Safetensors file =
        Safetensors.open(Goldens.path("encoders/" + name + "/model.safetensors"), arena);
    file.tensors().forEach((key, tensor) -> tensors.put(key, tensor));
    return answered(name, arena, read.orElseThrow(), Weights.of(tensors));
  }

  /** Returns the JSON as a file of it would be read. */
  static ObjectNode parsed(ObjectNode json) {
    try {
      return (ObjectNode) new ObjectMapper().readTree(json.toString());
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static GoldenEncoder answered(
      String name, Arena arena, EncoderConfig config, Weights weights) {
    Map<String, Tensor> answers =
        Safetensors.open(Goldens.path("encoders/" + name + "/golden.safetensors"), arena).tensors();
    Tensor ids = answers.get("input_ids");
    Tensor mask = answers.get("attention_mask");
    Optional<Tensor> types = Optional.ofNullable(answers.get("token_type_ids"));
    long padded = ids.shape()[1];
    List<Tokens> sequences = new ArrayList<>();
    List<Long> rows = new ArrayList<>();
    boolean leftPadded = false;
    for (long row = 0; row < ids.elements(); row += padded) {
      long first = row;
      while (mask.getLong(first) == 0) {
        first++;
        leftPadded = true;
      }
      long end = row + padded;
      while (mask.getLong(end - 1) == 0) {
        end--;
      }
      rows.add(first);
      sequences.add(tokens(ids, types, first, (int) (end - first)));
    }
    return new GoldenEncoder(config, weights, answers, sequences, rows, leftPadded);
  }

  private static Tokens tokens(Tensor ids, Optional<Tensor> types, long first, int length) {
    int[] sequence = new int[length];
    int[] typeIds = new int[length];
    for (int token = 0; token < length; token++) {
      sequence[token] = (int) ids.getLong(first + token);
      typeIds[token] = types.isPresent() ? (int) types.get().getLong(first + token) : 0;
    }
    int[] none = new int[length];
    return new Tokens(sequence, typeIds, none, none, new boolean[length], false, List.of());
  }
}
