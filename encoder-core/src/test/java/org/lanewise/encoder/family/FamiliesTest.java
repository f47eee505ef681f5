package org.lanewise.encoder.family;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.model.RotaryPlan;
import org.lanewise.encoder.weights.JsonFile;

/** What a config.json says that is not implemented is refused by name. */
class FamiliesTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** Sizes that every family understands. */
  private static final String SIZES =
      """
      {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
       "intermediate_size": 20, "max_position_embeddings": 64, "embedding_size": 16,
       "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 20}
      """;

  private static final String OWN_NOMIC =
      """
      {"model_type": "nomic_bert", "vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 2,
       "n_inner": 20, "n_positions": 8192, "activation_function": "swiglu", "rotary_emb_fraction": 1.0}
      """;

  private static ObjectNode json(String text) {
    try {
      return (ObjectNode) MAPPER.readTree(text);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(text, e);
    }
  }

  private static Optional<EncoderConfig> read(ObjectNode json, List<String> problems) {
    return Families.read(JsonFile.of(json, "config.json", problems), problems);
  }

  private static EncoderConfig good(ObjectNode json) {
    List<String> problems = new ArrayList<>();
    Optional<EncoderConfig> config = read(json, problems);
    assertEquals(List.of(), problems);
    return config.orElseThrow();
  }

  @Test
  void everyFamilyReadsItsSizes() {
    assertEquals(16, Families.supported().size());
    for (String family : Families.supported()) {
      EncoderConfig config = good(json(SIZES).put("model_type", family));
      assertEquals(family, config.family());
      assertEquals(2, config.layers(), family);
      assertEquals(16, config.hiddenSize(), family);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "nomic_bert; {\"moe_every_n_layers\": 2}; [moe_every_n_layers]; nomic-embed-text-v2-moe",
        "nomic_bert; {\"num_experts\": 8}; [num_experts]; mixtures of experts",
        "xlm-roberta; {\"lora_adaptations\": [\"a\"]}; [lora_adaptations]; jina-embeddings-v3",
        "jina_embeddings_v3; {}; [jina_embeddings_v3]; LoRA",
        "deberta; {}; [deberta]; supported: albert",
        "bert; {\"auto_map\": {\"AutoModel\": \"a--b.C\"}}; [auto_map]; a--b.C",
        "qwen3; {\"auto_map\": {\"AutoModel\": \"a--b.C\"}}; [auto_map]; a--b.C",
        "bert; {\"position_embedding_type\": \"relative_key\"}; [relative_key]; absolute",
        "bert; {\"position_embedding_type\": \"alibi\"}; feed_forward_type [original]; geglu",
        "albert; {\"inner_group_num\": 2}; [inner_group_num] is 2; expected 1",
        "mpnet; {\"relative_attention_num_buckets\": 16}; [relative_attention_num_buckets]; 32",
        "new; {\"position_embedding_type\": \"absolute\"}; [absolute]; rope",
        "new; {\"layer_norm_type\": \"rms_norm\"}; [rms_norm]; layer_norm",
        "new; {\"logn_attention_scale\": true}; [logn_attention_scale]; false",
        "gte; {\"rope_parameters\": {\"rope_type\": \"yarn\"}}; rope_type [yarn]; llama3",
        "eurobert; {\"rope_scaling\": {\"type\": \"dynamic\"}}; type [dynamic]; linear",
        "eurobert; {\"rope_scaling\": {\"type\": \"llama3\", \"low_freq_factor\": 4.0}};"
            + " [high_freq_factor]; more than [low_freq_factor]",
        "eurobert; {\"head_dim\": 7}; [7]; even",
        "qwen3; {\"num_key_value_heads\": 3}; [num_key_value_heads] is 3; divisor",
        "qwen3; {\"head_dim\": 1048576}; [head_dim]; at most",
        "gemma3_text; {\"attn_logit_softcapping\": 50.0}; [attn_logit_softcapping]; none",
        "gemma3_text; {\"layer_types\": [\"full_attention\"]}; [layer_types]; sliding_attention",
        "modernbert; {\"layer_types\": [\"a\", \"b\"]}; [layer_types]; full_attention",
        "modernbert; {\"hidden_activation\": \"quick_gelu\"}; [quick_gelu]; gelu_new",
        "deberta-v2; {\"pos_att_type\": \"c2p|p2p\"}; [pos_att_type]; p2c",
        "deberta-v2; {\"conv_kernel_size\": 4}; [conv_kernel_size] is 4; odd",
        "deberta-v2; {\"conv_kernel_size\": 3, \"conv_groups\": 2}; [conv_groups] is 2; expected 1",
        "deberta-v2; {\"relative_attention\": true, \"norm_rel_ebd\": \"batch_norm\"};"
            + " [norm_rel_ebd]; layer_norm",
        "roberta; {\"max_position_embeddings\": 2}; [max_position_embeddings]; [pad_token_id]",
        "roberta; {\"is_decoder\": true}; [is_decoder]; an encoder",
      })
  void whatChangesTheResultIsRefused(String family, String change, String found, String cure) {
    ObjectNode json = json(SIZES).put("model_type", family);
    json.setAll(json(change));
    List<String> problems = new ArrayList<>();
    assertTrue(read(json, problems).isEmpty(), family + change);
    String all = String.join("\n", problems);
    assertTrue(all.contains(found) && all.contains(cure), all);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "{\"prenorm\": true}; [prenorm]",
        "{\"parallel_block\": true}; [parallel_block]",
        "{\"use_rms_norm\": true}; [use_rms_norm]",
        "{\"causal\": true}; [causal]",
        "{\"rotary_emb_interleaved\": true}; [rotary_emb_interleaved]",
        "{\"rotary_emb_fraction\": 0.5}; [rotary_emb_fraction] is 0.5",
        "{\"rotary_emb_fraction\": null}; [rotary_emb_fraction] is null",
        "{\"rotary_emb_scale_base\": 512}; [rotary_emb_scale_base]",
        "{\"activation_function\": \"gelu\"}; activation_function [gelu]",
      })
  void whatNomicsOwnCodeCanDoBeyondItsModelsIsRefused(String change, String found) {
    ObjectNode json = json(OWN_NOMIC);
    json.setAll(json(change));
    List<String> problems = new ArrayList<>();
    assertTrue(read(json, problems).isEmpty(), change);
    assertTrue(String.join("\n", problems).contains(found), problems.toString());
  }

  @Test
  void whatIsMissingIsWhatTheOwnCodeMakesOfThat() {
    ObjectNode unturned = json(OWN_NOMIC).without(List.of("rotary_emb_fraction"));
    List<String> problems = new ArrayList<>();
    assertTrue(read(unturned, problems).isEmpty());
    assertTrue(
        problems.getFirst().contains("[rotary_emb_fraction] is missing"), problems.toString());
    EncoderConfig nomic = good(json(OWN_NOMIC));
    assertEquals(1e-5f, nomic.embedding().norm().orElseThrow().epsilon());
    assertEquals(2, nomic.typeVocabularySize());
    assertEquals(1, good(json(SIZES).put("model_type", "new")).typeVocabularySize());
  }

  @Test
  void anglesThatDependOnTheLengthLimitIt() {
    assertEquals(8192, good(json(OWN_NOMIC)).maxPositions());
    assertEquals(2048, good(json(OWN_NOMIC).put("rotary_scaling_factor", 2)).maxPositions());
    ObjectNode trained = json(OWN_NOMIC).put("rotary_scaling_factor", 2);
    assertEquals(512, good(trained.put("max_trained_positions", 512)).maxPositions());
  }

  @Test
  void positionsOfRobertaBeginBehindThePadding() {
    ObjectNode json = json(SIZES).put("model_type", "xlm-roberta").put("pad_token_id", 1);
    assertEquals(62, good(json.put("type_vocab_size", 1)).maxPositions());
  }

  @Test
  void scaledAnglesAreTheReferences() {
    assertFrequencies(
        "{\"rope_type\": \"llama3\", \"rope_theta\": 500000.0, \"factor\": 8.0,"
            + " \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0,"
            + " \"original_max_position_embeddings\": 8192}",
        1.0f,
        0.193922758102417f,
        0.03760603070259094f,
        0.00729266507551074f,
        0.0005248460220173001f,
        3.428102354519069e-05f,
        6.647869668086059e-06f,
        1.289173155782919e-06f);
    assertFrequencies(
        "{\"rope_type\": \"linear\", \"rope_theta\": 10000.0, \"factor\": 4.0}",
        0.25f,
        0.07905694097280502f,
        0.02500000037252903f,
        0.007905694656074047f,
        0.0024999999441206455f,
        0.0007905694656074047f,
        0.0002500000118743628f,
        7.905694656074047e-05f);
  }

  /** The formulas of gte's own code, for heads of 16: base * factor, and factor^(2 / 16) below. */
  @Test
  void ntkAnglesFollowTheFormulas() {
    float[] expected = new float[8];
    float[] mixed = new float[8];
    for (int i = 0; i < 8; i++) {
      expected[i] = (float) (Math.pow(20000 * 8.0, -i / 8.0) / Math.pow(8, 1 / 8.0));
      double divisor = Math.exp(Math.log(8) / Math.pow(8, 0.6) * Math.pow(i + 1, 0.6));
      mixed[i] = (float) (Math.pow(20000, -i / 8.0) / divisor);
    }
    String ntk = "{\"type\": \"ntk\", \"rope_theta\": 20000, \"factor\": 8.0";
    assertFrequencies(ntk + "}", expected);
    assertFrequencies(ntk + ", \"mixed_b\": 0.6}", mixed);
  }

  private static void assertFrequencies(String parameters, float... expected) {
    ObjectNode json = json(SIZES).put("model_type", "eurobert").put("hidden_size", 32);
    json.set("rope_parameters", json(parameters));
    RotaryPlan plan = good(json).plans().getFirst().attention().rotary().orElseThrow();
    assertEquals(expected.length, plan.frequencies().size());
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], plan.frequencies().get(i), expected[i] * 5e-7, parameters);
    }
  }
}
