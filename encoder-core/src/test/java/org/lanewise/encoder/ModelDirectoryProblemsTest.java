package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.head.SentenceModule;
import org.lanewise.encoder.weights.Tensor;

/** A good directory with one thing changed gets an error that names the thing, or still opens. */
final class ModelDirectoryProblemsTest {
  @TempDir private Path directory;

  /** One change to a directory. */
  private interface Mutation {
    void apply(Path directory) throws IOException;

    default Mutation then(Mutation next) {
      return directory -> {
        apply(directory);
        next.apply(directory);
      };
    }
  }

  /** A change to a golden and words of the message that it must get. */
  private record Bad(String name, String golden, Mutation mutation, List<String> words) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static final String PLAIN = "bert_gelu";
  private static final String SHARDED = "bert_sharded_dense_truncate";
  private static final String OLD = "bert_multi_pooling_old";

  private static List<Bad> badDirectories() {
    List<Bad> bad = new ArrayList<>();
    configs(bad);
    weights(bad);
    modules(bad);
    settings(bad);
    return bad;
  }

  private static void configs(List<Bad> bad) {
    bad.add(bad("no config", PLAIN, delete("config.json"), "config.json is missing"));
    bad.add(
        bad(
            "config a folder",
            PLAIN,
            directory -> {
              Files.delete(directory.resolve("config.json"));
              Files.createDirectory(directory.resolve("config.json"));
            },
            "config.json is not a regular file"));
    bad.add(bad("config empty", PLAIN, write("config.json", ""), "config.json is empty"));
    bad.add(bad("config a list", PLAIN, write("config.json", "[1]"), "config.json holds [1]"));
    bad.add(
        bad("config cut", PLAIN, write("config.json", "{\"a\":"), "ends in the middle", "line 1"));
    bad.add(
        bad(
            "config no JSON",
            PLAIN,
            write("config.json", "{\n  'a': 1}"),
            "config.json is not valid JSON at line 2"));
    bad.add(
        bad(
            "config deep",
            PLAIN,
            write("config.json", "{\"a\":" + "[".repeat(50_000)),
            "config.json",
            "deeper than 100"));
    bad.add(
        bad(
            "config of many values",
            PLAIN,
            write("config.json", "[" + "1,".repeat(300_000) + "1]"),
            "config.json",
            "too many"));
    bad.add(
        bad(
            "a long value is cut where it is told",
            PLAIN,
            edit(
                "config.json",
                "\"hidden_size\": 28",
                "\"hidden_size\": [" + "7,".repeat(9999) + "7]"),
            "[hidden_size] is [7,7,7,",
            "7..., expected"));
    bad.add(
        bad(
            "config of megabytes",
            PLAIN,
            write("config.json", "{\"a\":\"" + "x".repeat(5 << 20) + "\"}"),
            "config.json has more than 4194304 bytes"));
    bad.add(
        bad(
            "config key twice",
            PLAIN,
            write("config.json", "{\"a\":1,\"a\":2}"),
            "config.json has the same key twice"));
    bad.add(
        bad(
            "config not UTF-8",
            PLAIN,
            directory ->
                Files.write(
                    directory.resolve("config.json"),
                    "{\"a\":\"\u00e9\"}".getBytes(StandardCharsets.ISO_8859_1)),
            "config.json is not valid UTF-8"));
    bad.add(
        config(
            "\"model_type\": \"bert\"",
            "\"model_type\": \"gpt2\"",
            "[gpt2]",
            "supported: albert, bert"));
    bad.add(config("\"model_type\": \"bert\"", "\"model_type\": 7", "[model_type] is 7"));
    bad.add(
        bad(
            "no model_type and another architecture",
            PLAIN,
            edit("config.json", "\"model_type\": \"bert\",", "")
                .then(edit("config.json", "\"BertModel\"", "\"MPNetModel\"")),
            "[model_type] is missing",
            "MPNetModel"));
    bad.add(config("\"hidden_size\": 28,", "", "[hidden_size] is missing"));
    bad.add(config("\"hidden_size\": 28", "\"hidden_size\": \"28\"", "[hidden_size] is \"28\""));
    bad.add(config("\"hidden_size\": 28", "\"hidden_size\": 28.5", "[hidden_size] is 28.5"));
    bad.add(config("\"hidden_size\": 28", "\"hidden_size\": 0", "[hidden_size] is 0"));
    bad.add(config("\"hidden_size\": 28", "\"hidden_size\": -28", "[hidden_size] is -28"));
    bad.add(
        config(
            "\"hidden_size\": 28",
            "\"hidden_size\": 2147483648",
            "[hidden_size] is 2147483648, expected a whole number"));
    bad.add(
        config(
            "\"hidden_size\": 28",
            "\"hidden_size\": 32",
            "has shape [28], expected [32]",
            "has shape [295, 28], expected [295, 32]",
            "more"));
    bad.add(
        config(
            "\"num_attention_heads\": 4",
            "\"num_attention_heads\": 5",
            "[hidden_size] is 28",
            "[num_attention_heads]",
            "5"));
    bad.add(
        config(
            "\"num_hidden_layers\": 3",
            "\"num_hidden_layers\": 4",
            "16 weights are missing",
            "[encoder.layer.3.attention.self.query.weight]",
            "and 8 more"));
    bad.add(
        config(
            "\"num_hidden_layers\": 3",
            "\"num_hidden_layers\": 2000000000",
            "[num_hidden_layers] is 2000000000"));
    bad.add(config("\"vocab_size\": 295", "\"vocab_size\": 268435456", "expected [268435456, 28]"));
    bad.add(
        config(
            "\"intermediate_size\": 37",
            "\"intermediate_size\": 38",
            "weight [encoder.layer.0.intermediate.dense.weight] has shape [37, 28], expected [38,"
                + " 28]"));
    bad.add(
        config(
            "\"max_position_embeddings\": 33",
            "\"max_position_embeddings\": 34",
            "[embeddings.position_embeddings.weight] has shape [33, 28], expected [34, 28]"));
    bad.add(
        config(
            "\"type_vocab_size\": 2",
            "\"type_vocab_size\": 1",
            "[embeddings.token_type_embeddings.weight] has shape [2, 28], expected [1, 28]"));
    bad.add(config("\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": 0", "[layer_norm_eps] is 0"));
    bad.add(
        config(
            "\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": \"x\"", "[layer_norm_eps] is \"x\""));
    bad.add(
        config(
            "\"hidden_act\": \"gelu\"",
            "\"hidden_act\": \"quick_gelu\"",
            "hidden_act [quick_gelu] is not supported",
            "gelu_new"));
    bad.add(config("\"hidden_act\": \"gelu\"", "\"hidden_act\": 1", "[hidden_act] is 1"));
    bad.add(config("\"is_decoder\": false", "\"is_decoder\": true", "[is_decoder] is true"));
    bad.add(config("\"is_decoder\": false", "\"is_decoder\": \"no\"", "[is_decoder] is \"no\""));
    bad.add(
        config(
            "\"add_cross_attention\": false",
            "\"add_cross_attention\": true",
            "[add_cross_attention] is true"));
    bad.add(
        config(
            "\"is_decoder\": false",
            "\"position_embedding_type\": \"relative_key\"",
            "[relative_key]",
            "supported: absolute"));
    bad.add(
        config(
            "\"is_decoder\": false",
            "\"auto_map\": {\"AutoModel\": \"a/b--c.JinaBertModel\"}",
            "[auto_map]",
            "JinaBertModel"));
  }

  private static void weights(List<Bad> bad) {
    String cure = "save_pretrained";
    bad.add(
        bad(
            "no weights",
            PLAIN,
            delete("model.safetensors"),
            "model.safetensors is missing",
            "index"));
    bad.add(
        bad(
            "pickled weights",
            PLAIN,
            delete("model.safetensors").then(write("pytorch_model.bin", "x")),
            "[pytorch_model.bin]",
            cure));
    bad.add(
        bad(
            "pickled shards",
            PLAIN,
            delete("model.safetensors").then(write("pytorch_model.bin.index.json", "{}")),
            "[pytorch_model.bin.index.json]",
            cure));
    bad.add(
        bad(
            "weights cut",
            PLAIN,
            directory -> {
              Path file = directory.resolve("model.safetensors");
              byte[] bytes = Files.readAllBytes(file);
              Files.write(file, Arrays.copyOf(bytes, bytes.length - 100));
            },
            "model.safetensors: tensor [",
            "truncated"));
    bad.add(
        header(
            "a weight renamed",
            "encoder.layer.1.output.dense.bias",
            "encoder.layer.1.output.dense.bia5",
            "weight [encoder.layer.1.output.dense.bias] is missing"));
    bad.add(
        header(
            "another prefix",
            "\"embeddings.",
            "\"x.embeddings.",
            "[embeddings.word_embeddings.weight] is missing",
            "0.auto_model.",
            "x.embeddings."));
    bad.add(
        header(
            "old and new name",
            "\"pooler.dense.bias\"",
            "\"embeddings.LayerNorm.beta\"",
            "[embeddings.LayerNorm.bias] is there twice"));
    bad.add(
        header(
            "integers for weights",
            "\"embeddings.LayerNorm.bias\":{\"dtype\":\"F32\"",
            "\"embeddings.LayerNorm.bias\":{\"dtype\":\"I32\"",
            "weight [embeddings.LayerNorm.bias] has dtype [I32], expected one of [F32, F16,"
                + " BF16]"));
    bad.add(
        header(
            "F64 for weights",
            "\"embeddings.LayerNorm.bias\":{\"dtype\":\"F32\",\"shape\":[28]",
            "\"embeddings.LayerNorm.bias\":{\"dtype\":\"F64\",\"shape\":[14]",
            "weight [embeddings.LayerNorm.bias] has dtype [F64]"));
    bad.add(
        header(
            "another rank",
            "\"embeddings.LayerNorm.bias\":{\"dtype\":\"F32\",\"shape\":[28]",
            "\"embeddings.LayerNorm.bias\":{\"dtype\":\"F32\",\"shape\":[4,7]",
            "weight [embeddings.LayerNorm.bias] has shape [4, 7], expected [28]"));
    bad.add(
        bad(
            "a shard missing",
            SHARDED,
            delete("model-00002-of-00003.safetensors"),
            "model-00002-of-00003.safetensors is missing"));
    bad.add(
        bad(
            "a shard outside",
            SHARDED,
            edit("model.safetensors.index.json", "model-00002-of", "../model-00002-of"),
            "[../model-00002-of-00003.safetensors]",
            "inside the model directory"));
    bad.add(
        bad(
            "no tokenizer",
            PLAIN,
            delete("tokenizer.json"),
            "tokenizer.json is missing",
            "vocab.txt"));
    bad.add(
        bad(
            "all at once",
            PLAIN,
            delete("tokenizer.json")
                .then(delete("config.json"))
                .then(delete("model.safetensors"))
                .then(write("1_Pooling/config.json", "{}")),
            "cannot be used: config.json is missing; ",
            "model.safetensors is missing",
            "tokenizer.json is missing",
            "1_Pooling/config.json states no pooling"));
  }

  private static void modules(List<Bad> bad) {
    bad.add(bad("modules an object", PLAIN, write("modules.json", "{}"), "modules.json holds {}"));
    bad.add(
        bad("modules cut", PLAIN, write("modules.json", "["), "modules.json ends in the middle"));
    bad.add(
        bad(
            "modules empty",
            PLAIN,
            write("modules.json", "[]"),
            "modules.json begins with nothing"));
    bad.add(bad("module a number", PLAIN, write("modules.json", "[1]"), "module 0 is 1"));
    bad.add(module("[type] is missing", "\"path\":\"x\""));
    bad.add(module("[models.MyPooling] is not supported", "\"type\":\"models.MyPooling\""));
    bad.add(
        module(
            "[sentence_transformers.models.LSTM] is not supported; supported: Transformer",
            "\"type\":\"sentence_transformers.models.LSTM\""));
    bad.add(
        module(
            "[sentence_transformers.models.LayerNorm] is not supported",
            "\"type\":\"sentence_transformers.models.LayerNorm\""));
    for (String path : List.of("../other", "/etc", "a/../../b")) {
      bad.add(
          module(
              "[path] is \"" + path + "\", expected a folder inside",
              "\"type\":\"sentence_transformers.models.Pooling\",\"path\":\"" + path + "\""));
    }
    bad.add(
        module(
            "[path] is \"a\\u0000\", expected a folder inside",
            "\"type\":\"sentence_transformers.models.Pooling\",\"path\":\"a\\u0000\""));
    bad.add(
        module(
            "[Normalize] before any Pooling",
            "\"type\":\"sentence_transformers.models.Normalize\",\"path\":\"2_Normalize\""));
    bad.add(
        bad(
            "two poolings",
            PLAIN,
            edit("modules.json", "base.modules.normalize.Normalize", "models.Pooling"),
            "[Pooling] after a Pooling"));
    bad.add(
        bad(
            "two transformers",
            PLAIN,
            edit("modules.json", "base.modules.normalize.Normalize", "models.Transformer"),
            "second [Transformer]"));
    bad.add(
        bad(
            "no transformer",
            PLAIN,
            edit("modules.json", "base.modules.transformer.Transformer", "models.Normalize"),
            "begins with [Normalize]"));
    bad.add(
        bad(
            "no pooling file",
            PLAIN,
            delete("1_Pooling/config.json"),
            "1_Pooling/config.json is missing"));
    bad.add(pooling("\"pooling_mode\":\"median\"", "[pooling_mode] is \"median\"", "weightedmean"));
    bad.add(pooling("\"pooling_mode\":[\"cls\",3]", "[pooling_mode] is [\"cls\",3]"));
    bad.add(pooling("\"pooling_mode\":[]", "states no pooling"));
    bad.add(pooling("\"pooling_mode_mean_tokens\":false", "states no pooling"));
    bad.add(pooling("\"pooling_mode_mean_tokens\":1", "[pooling_mode_mean_tokens] is 1"));
    bad.add(pooling("\"pooling_mode_new_tokens\":true", "[pooling_mode_new_tokens] is true"));
    bad.add(
        pooling(
            "\"pooling_mode\":\"cls\",\"embedding_dimension\":29",
            "[embedding_dimension] is 29, expected 28"));
    bad.add(
        pooling(
            "\"pooling_mode_cls_token\":true,\"word_embedding_dimension\":27",
            "[word_embedding_dimension] is 27, expected 28"));
    bad.add(
        pooling("\"pooling_mode\":\"cls\",\"include_prompt\":\"x\"", "[include_prompt] is \"x\""));
    bad.add(
        bad(
            "no dense file",
            SHARDED,
            delete("2_Dense/config.json"),
            "2_Dense/config.json is missing"));
    bad.add(
        bad(
            "no dense weights",
            SHARDED,
            delete("2_Dense/model.safetensors"),
            "2_Dense/model.safetensors is missing"));
    bad.add(
        bad(
            "pickled dense",
            SHARDED,
            delete("2_Dense/model.safetensors").then(write("2_Dense/pytorch_model.bin", "x")),
            "2_Dense/model.safetensors is missing; found [pytorch_model.bin]",
            "save_pretrained"));
    bad.add(
        dense("\"in_features\": 24", "\"in_features\": 25", "[in_features] is 25, expected 24"));
    bad.add(
        dense(
            "\"out_features\": 14",
            "\"out_features\": 15",
            "[14, 24], expected [15, 24]",
            "2_Dense"));
    bad.add(dense("\"bias\": true", "\"bias\": false", "[bias] is false", "[linear.bias]"));
    bad.add(
        dense(
            "activation.Tanh",
            "activation.Mish",
            "[torch.nn.modules.activation.Mish] is not supported",
            "Identity"));
    bad.add(dense("torch.nn.modules.activation.Tanh", "my.Tanh", "[my.Tanh] is not supported"));
    bad.add(dense("\"bias\": true", "\"use_residual\": true", "[use_residual] is true"));
    bad.add(
        dense(
            "\"module_input_name\": \"sentence_embedding\"",
            "\"module_input_name\": \"token_embeddings\"",
            "[module_input_name] is \"token_embeddings\""));
    bad.add(
        bad(
            "dense without its bias",
            SHARDED,
            directory ->
                rewriteHeader(
                    directory.resolve("2_Dense/model.safetensors"), "linear.bias", "linear.bia5"),
            "weight [linear.bias] of 2_Dense/ is missing"));
  }

  private static void settings(List<Bad> bad) {
    String sentence = "sentence_bert_config.json";
    bad.add(
        bad(
            "max_seq_length 0",
            PLAIN,
            write(sentence, "{\"max_seq_length\":0}"),
            sentence + ": [max_seq_length] is 0"));
    bad.add(
        bad(
            "max_seq_length under an old name",
            PLAIN,
            delete(sentence)
                .then(write("sentence_xlnet_config.json", "{\"max_seq_length\":\"x\"}")),
            "sentence_xlnet_config.json: [max_seq_length] is \"x\""));
    bad.add(
        bad(
            "do_lower_case no flag",
            PLAIN,
            write(sentence, "{\"do_lower_case\":\"yes\"}"),
            "[do_lower_case] is \"yes\""));
    bad.add(
        bad(
            "another task",
            PLAIN,
            edit(sentence, "feature-extraction", "text-generation"),
            "[transformer_task] is \"text-generation\""));
    bad.add(
        bad(
            "a pooling of logits",
            PLAIN,
            edit(sentence, "feature-extraction", "fill-mask")
                .then(edit(sentence, "last_hidden_state", "logits")),
            "[transformer_task] is \"fill-mask\", expected \"feature-extraction\""));
    bad.add(
        bad(
            "another output",
            PLAIN,
            edit(sentence, "last_hidden_state", "pooler_output"),
            "[method_output_name] is \"pooler_output\""));
    bad.add(
        bad(
            "model_max_length in words",
            PLAIN,
            edit(
                "tokenizer_config.json",
                "\"model_max_length\": 18",
                "\"model_max_length\": \"18\""),
            "[model_max_length] is \"18\""));
    String file = "config_sentence_transformers.json";
    bad.add(
        bad("prompts a list", PLAIN, write(file, "{\"prompts\":[]}"), file + ": [prompts] is []"));
    bad.add(
        bad(
            "prompt a number",
            PLAIN,
            write(file, "{\"prompts\":{\"query\":1}}"),
            "prompt [query] is 1, expected a string"));
    bad.add(
        bad(
            "unknown default",
            PLAIN,
            write(file, "{\"prompts\":{\"query\":\"q\"},\"default_prompt_name\":\"doc\"}"),
            "[default_prompt_name] is \"doc\", expected one of the prompts [query]"));
    bad.add(
        bad(
            "truncate_dim negative",
            PLAIN,
            write(file, "{\"truncate_dim\":-1}"),
            "[truncate_dim] is -1"));
    bad.add(
        bad(
            "similarity a number",
            PLAIN,
            write(file, "{\"similarity_fn_name\":1}"),
            "[similarity_fn_name] is 1"));
  }

  @ParameterizedTest
  @MethodSource("badDirectories")
  void badDirectoriesAreRefused(Bad bad) throws IOException {
    ModelDirectoryTest.copy(Goldens.path("encoders/" + bad.golden), directory);
    bad.mutation.apply(directory);
    String message = messageOf(directory);
    assertTrue(message.startsWith("model [" + directory + "] cannot be used: "), message);
    for (String word : bad.words) {
      assertTrue(message.contains(word), () -> message + " does not say " + word);
    }
    assertFalse(message.contains("Exception") || message.contains("com.fasterxml"), message);
    assertTrue(message.length() < 3000, message);
  }

  @Test
  void whatIsNoDirectoryIsRefused() throws IOException {
    Path absent = directory.resolve("absent");
    assertEquals("model [" + absent + "] cannot be used: it does not exist", messageOf(absent));
    Path file = Files.writeString(directory.resolve("file"), "x");
    assertEquals("model [" + file + "] cannot be used: it is not a directory", messageOf(file));
    assertThrows(ModelException.class, () -> ModelDirectory.openTokenizer(absent));
    String message =
        assertThrows(ModelException.class, () -> ModelDirectory.openTokenizer(directory))
            .getMessage();
    assertTrue(message.contains("tokenizer.json is missing, and so are vocab.txt"), message);
  }

  @Test
  void harmlessDifferencesStillOpen() throws IOException {
    ModelDirectoryTest.copy(Goldens.path("encoders/" + PLAIN), directory);
    edit("config.json", "\"model_type\": \"bert\",", "")
        .then(edit("config.json", "\"layer_norm_eps\": 1e-12,", ""))
        .then(edit("config.json", "\"type_vocab_size\": 2,", ""))
        .then(
            edit(
                "config.json", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"gelu_pytorch_tanh\""))
        .then(
            write("sentence_bert_config.json", "{\"max_seq_length\":1000,\"do_lower_case\":true}"))
        .then(
            write(
                "config_sentence_transformers.json",
                "{\"prompts\":{\"query\":null},\"default_prompt_name\":\"query\",\"truncate_dim\":56}"))
        .then(
            write(
                "modules.json",
                "[{\"type\":\"sentence_transformers.models.Transformer\"},"
                    + "{\"type\":\"sentence_transformers.models.Pooling\",\"path\":\"1_Pooling\"},"
                    + "{\"type\":\"sentence_transformers.models.Dropout\",\"path\":\"x\"},"
                    + "{\"type\":\"sentence_transformers.models.Normalize\",\"path\":\"absent\"}]"))
        .then(
            write(
                "1_Pooling/config.json",
                "{\"pooling_mode\":[\"max\",\"cls\"],\"include_prompt\":false}"))
        .apply(directory);
    try (ModelDirectory model = ModelDirectory.open(directory)) {
      assertEquals("gelu_new", model.config().sizes().activation());
      assertEquals(1e-12f, model.config().embedding().norm().orElseThrow().epsilon());
      assertEquals(2, model.config().typeVocabularySize());
      assertEquals(33, model.maxLength());
      assertTrue(model.lowerCase());
      assertEquals("", model.prompts().byDefault());
      assertEquals(OptionalInt.empty(), model.truncateDimensions());
      assertEquals(
          List.of(
              new SentenceModule.Pooling(List.of(PoolingMode.MAX, PoolingMode.CLS), false),
              new SentenceModule.Normalize()),
          model.sentenceModules());
    }
  }

  @Test
  void anUnlimitedTokenizerLeavesThePositionsAsTheLimit() throws IOException {
    ModelDirectoryTest.copy(Goldens.path("encoders/" + PLAIN), directory);
    edit(
            "tokenizer_config.json",
            "\"model_max_length\": 18",
            "\"model_max_length\": 1000000000000000019884624838656")
        .apply(directory);
    try (ModelDirectory model = ModelDirectory.open(directory)) {
      assertEquals(33, model.maxLength());
    }
  }

  @Test
  void theTransformerMayHaveAFolderOfItsOwn() throws IOException {
    Path golden = Goldens.path("encoders/" + OLD);
    Path home = Files.createDirectory(directory.resolve("0_Transformer"));
    ModelDirectoryTest.copy(golden, home);
    Files.move(home.resolve("1_Pooling"), directory.resolve("1_Pooling"));
    Files.delete(home.resolve("modules.json"));
    write(
            "modules.json",
            "[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":\"0_Transformer\"},"
                + "{\"type\":\"sentence_transformers.models.Pooling\",\"path\":\"1_Pooling\"}]")
        .apply(directory);
    try (ModelDirectory model = ModelDirectory.open(directory)) {
      assertEquals(14, model.maxLength());
      assertEquals(1, model.sentenceModules().size());
    }
    assertTrue(ModelDirectory.openTokenizer(directory).vocabularySize() > 0);
  }

  @Test
  void aDenseModuleWithoutBiasHasNone() throws IOException {
    ModelDirectoryTest.copy(Goldens.path("encoders/" + SHARDED), directory);
    edit("2_Dense/config.json", "\"bias\": true", "\"bias\": false")
        .then(edit("2_Dense/config.json", "activation.Tanh", "linear.Identity"))
        .apply(directory);
    rewriteHeader(directory.resolve("2_Dense/model.safetensors"), "linear.bias", "other.bias_");
    try (ModelDirectory model = ModelDirectory.open(directory)) {
      SentenceModule.Dense dense = (SentenceModule.Dense) model.sentenceModules().get(1);
      assertEquals(null, dense.bias());
      assertEquals("identity", dense.activation());
    }
  }

  @Test
  void manyModulesAreRefusedBeforeTheyAreRead() throws IOException {
    ModelDirectoryTest.copy(Goldens.path("encoders/" + PLAIN), directory);
    String dropout = ",{\"type\":\"sentence_transformers.models.Dropout\",\"path\":\"\"}";
    write(
            "modules.json",
            "[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":\"\"}"
                + dropout.repeat(32)
                + "]")
        .apply(directory);
    assertTrue(messageOf(directory).contains("modules.json has 33 modules, expected at most 32"));
  }

  /**
   * Bytes changed at random give an error or a model, in bounded time and heap. A failing case
   * reruns with -Dlanewise.seed and the number printed.
   */
  @Test
  void changedBytesNeverDoHarm() throws IOException {
    long seed = Long.getLong("lanewise.seed", new Random().nextLong());
    Random random = new Random(seed);
    ModelDirectoryTest.copy(Goldens.path("encoders/bert_relu_gamma_beta"), directory);
    Path weights = directory.resolve("model.safetensors");
    Path config = directory.resolve("config.json");
    byte[] goodWeights = Files.readAllBytes(weights);
    byte[] goodConfig = Files.readAllBytes(config);
    int header = 8 + (int) ByteBuffer.wrap(goodWeights).order(ByteOrder.LITTLE_ENDIAN).getLong();
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    assertTimeout(
        Duration.ofMinutes(2),
        () -> {
          int refused = 0;
          for (int round = 0; round < 3000; round++) {
            String which = "-Dlanewise.seed=" + seed + ", round " + round;
            boolean inWeights = round % 3 != 0;
            byte[] bytes = (inWeights ? goodWeights : goodConfig).clone();
            int limit = !inWeights ? bytes.length : round % 3 == 1 ? header : 8;
            for (int i = random.nextInt(1, 4); i > 0; i--) {
              bytes[random.nextInt(limit)] = interesting(random);
            }
            Files.write(inWeights ? weights : config, bytes);
            Files.write(inWeights ? config : weights, inWeights ? goodConfig : goodWeights);
            long before = threads.getCurrentThreadAllocatedBytes();
            try (ModelDirectory model = ModelDirectory.open(directory)) {
              readAll(model);
            } catch (ModelException e) {
              refused++;
            } catch (RuntimeException e) {
              throw new AssertionError(which, e);
            }
            long allocated = threads.getCurrentThreadAllocatedBytes() - before;
            assertTrue(allocated < 64 << 20, () -> which + " allocated " + allocated);
          }
          assertTrue(refused > 1000, "only " + refused + " refused with seed " + seed);
        },
        "seed " + seed);
  }

  private static byte interesting(Random random) {
    String marks = "{}[]\",:-0123456789.eE\\ \n";
    return (byte)
        (random.nextBoolean() ? marks.charAt(random.nextInt(marks.length())) : random.nextInt(256));
  }

  private static void readAll(ModelDirectory model) {
    for (String name : model.config().weightShapes().keySet()) {
      Tensor tensor = model.weights().tensor(name);
      assertEquals(tensor.data().byteSize(), tensor.data().asByteBuffer().remaining());
      assertEquals(-1, tensor.data().mismatch(tensor.data().asSlice(0)));
    }
  }

  private static Bad bad(String name, String golden, Mutation mutation, String... words) {
    return new Bad(name, golden, mutation, List.of(words));
  }

  private static Bad config(String from, String to, String... words) {
    return bad("config " + from + " -> " + to, PLAIN, edit("config.json", from, to), words);
  }

  private static Bad dense(String from, String to, String... words) {
    return bad(
        "dense " + from + " -> " + to, SHARDED, edit("2_Dense/config.json", from, to), words);
  }

  private static Bad module(String words, String fields) {
    String modules =
        "[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":\"\"},{" + fields + "}]";
    return bad("module " + fields, PLAIN, write("modules.json", modules), words);
  }

  private static Bad pooling(String fields, String... words) {
    return bad(
        "pooling " + fields, PLAIN, write("1_Pooling/config.json", "{" + fields + "}"), words);
  }

  private static Bad header(String name, String from, String to, String... words) {
    return bad(
        name,
        PLAIN,
        directory -> rewriteHeader(directory.resolve("model.safetensors"), from, to),
        words);
  }

  private static Mutation delete(String name) {
    return directory -> Files.delete(directory.resolve(name));
  }

  private static Mutation write(String name, String text) {
    return directory -> Files.writeString(directory.resolve(name), text);
  }

  private static Mutation edit(String name, String from, String to) {
    return directory -> {
      String text = Files.readString(directory.resolve(name));
      assertTrue(text.contains(from), () -> name + " has no " + from);
      Files.writeString(directory.resolve(name), text.replace(from, to));
    };
  }

  /** Changes the text of a safetensors header, and its length with it. */
  private static void rewriteHeader(Path file, String from, String to) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    byte[] text = new byte[(int) bytes.getLong()];
    bytes.get(text);
    String header = new String(text, StandardCharsets.UTF_8);
    assertTrue(header.contains(from), () -> header + " has no " + from);
    byte[] changed = header.replace(from, to).getBytes(StandardCharsets.UTF_8);
    Files.write(
        file,
        ByteBuffer.allocate(Long.BYTES + changed.length + bytes.remaining())
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(changed.length)
            .put(changed)
            .put(bytes)
            .array());
  }

  private static String messageOf(Path directory) {
    return assertThrows(ModelException.class, () -> ModelDirectory.open(directory)).getMessage();
  }
}
