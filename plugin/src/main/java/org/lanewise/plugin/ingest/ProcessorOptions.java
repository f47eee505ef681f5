package org.lanewise.plugin.ingest;

import static org.elasticsearch.ingest.ConfigurationUtils.newConfigurationException;
import static org.elasticsearch.ingest.ConfigurationUtils.readBooleanProperty;
import static org.elasticsearch.ingest.ConfigurationUtils.readOptionalStringProperty;
import static org.elasticsearch.ingest.ConfigurationUtils.readStringProperty;

import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.elasticsearch.ElasticsearchException;
import org.lanewise.plugin.encode.Labels;
import org.lanewise.plugin.models.ModelRegistry;

/**
 * The options of one processor of a pipeline, taken out one by one; what nobody takes is reported
 * by Elasticsearch. Every error names the option.
 *
 * @param type the processor
 * @param tag its tag; may be null
 * @param config its options, emptied on the way
 */
record ProcessorOptions(String type, String tag, Map<String, Object> config) {

  /** Returns the error of an option. */
  ElasticsearchException wrong(String option, String message) {
    return newConfigurationException(type, tag, option, message);
  }

  boolean flag(String option, boolean otherwise) {
    return readBooleanProperty(type, tag, config, option, otherwise);
  }

  String text(String option, String otherwise) {
    return readStringProperty(type, tag, config, option, otherwise);
  }

  /** Returns a text that is not empty, if there is one. */
  Optional<String> text(String option) {
    String value = readOptionalStringProperty(type, tag, config, option);
    if (value != null && value.isEmpty()) {
      throw wrong(option, "must not be empty");
    }
    return Optional.ofNullable(value);
  }

  /** Returns the constant that the option names. */
  <E extends Enum<E>> E choice(String option, E otherwise) {
    Optional<String> label = text(option);
    if (label.isEmpty()) {
      return otherwise;
    }
    try {
      return Labels.constant(otherwise.getDeclaringClass(), label.get());
    } catch (IllegalArgumentException e) {
      throw wrong(option, e.getMessage());
    }
  }

  /** Returns a number from {@code least} to {@code most}, if there is one. */
  Optional<Double> number(String option, double least, double most) {
    Object value = config.remove(option);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof Number number
        && number.doubleValue() >= least
        && number.doubleValue() <= most) {
      return Optional.of(number.doubleValue());
    }
    throw wrong(
        option, "must be a number from " + least + " to " + most + " but was [" + value + "]");
  }

  /** Returns a whole number, if there is one. */
  Optional<Integer> wholeNumber(String option) {
    Object value = config.remove(option);
    if (value == null || value instanceof Integer) {
      return Optional.ofNullable((Integer) value);
    }
    throw wrong(option, "must be a whole number but was [" + value + "]");
  }

  /** Returns a whole number from {@code least} to {@code most}, if there is one. */
  Optional<Integer> wholeNumber(String option, int least, int most) {
    Optional<Integer> number = wholeNumber(option);
    if (number.isPresent() && (number.get() < least || number.get() > most)) {
      throw wrong(
          option,
          most == Integer.MAX_VALUE
              ? "must be " + least + " or more but was [" + number.get() + "]"
              : "must be from " + least + " to " + most + " but was [" + number.get() + "]");
    }
    return number;
  }

  /** Returns a set of texts, none of them empty; an empty set where there is no such option. */
  Set<String> texts(String option) {
    Object value = config.remove(option);
    Set<String> texts = new HashSet<>();
    if (value != null) {
      for (Object each : value instanceof List<?> several ? several : List.of(value)) {
        if (!(each instanceof String text) || text.isEmpty()) {
          throw wrong(option, "must be a list of texts but holds [" + each + "]");
        }
        texts.add(text);
      }
    }
    return texts;
  }

  /** Returns the id of a model, checked for what an id may be. */
  String modelId(Optional<String> otherwise) {
    String id =
        text("model_id")
            .or(() -> otherwise)
            .orElseThrow(() -> wrong("model_id", "required property is missing"));
    try {
      ModelRegistry.checkId(id);
    } catch (IllegalArgumentException e) {
      throw wrong("model_id", e.getMessage());
    }
    return id;
  }

  /** Returns the object below an option; what nobody takes of it is an error. */
  <X> Optional<X> object(String option, Function<ProcessorOptions, X> reader) {
    Object value = config.remove(option);
    if (value == null) {
      return Optional.empty();
    }
    if (!(value instanceof Map<?, ?> object)) {
      throw wrong(option, "must be an object but was [" + value + "]");
    }
    ProcessorOptions below = below(object);
    X read = reader.apply(below);
    below.finish(option);
    return Optional.of(read);
  }

  private ProcessorOptions below(Map<?, ?> object) {
    Map<String, Object> options = new HashMap<>();
    object.forEach((key, value) -> options.put(String.valueOf(key), value));
    return new ProcessorOptions(type, tag, options);
  }

  private void finish(String option) {
    if (!config.isEmpty()) {
      throw wrong(option, "has unknown options " + config.keySet());
    }
  }

  /**
   * Returns the pairs of {@code input_output}, or the one of {@code field} and {@code
   * target_field}, in their order, each with the options that stand beside it.
   *
   * @param target makes the target of a field where none is named
   * @param more reads the options of a pair
   */
  <X> Map<FieldPair, X> fields(
      BiFunction<String, X, String> target, Function<ProcessorOptions, X> more) {
    Object pairs = config.remove("input_output");
    Optional<String> field = text("field");
    Optional<String> named = text("target_field");
    Map<FieldPair, X> result = new LinkedHashMap<>();
    if (pairs == null) {
      if (field.isEmpty()) {
        throw wrong(named.isPresent() ? "field" : "input_output", "required property is missing");
      }
      X options = more.apply(this);
      String output = named.orElseGet(() -> target.apply(field.get(), options));
      result.put(new FieldPair(field.get(), output), options);
      return checked(result);
    }
    if (field.isPresent()) {
      throw wrong(
          "field",
          "option is incompatible with [input_output]. Use the [input_field] option to specify"
              + " where to read the text from.");
    }
    if (named.isPresent()) {
      throw wrong(
          "target_field",
          "option is incompatible with [input_output]. Use the [output_field] option to specify"
              + " where to write the inference results to.");
    }
    List<?> list = pairs instanceof List<?> several ? several : List.of(pairs);
    if (list.isEmpty()) {
      throw wrong("input_output", "cannot be empty");
    }
    for (Object pair : list) {
      if (!(pair instanceof Map<?, ?> object)) {
        throw wrong(
            "input_output",
            "must hold objects with [input_field] and [output_field] but holds [" + pair + "]");
      }
      ProcessorOptions options = below(object);
      String input = readStringProperty(type, tag, options.config, "input_field");
      String output = readStringProperty(type, tag, options.config, "output_field");
      X beside = more.apply(options);
      options.finish("input_output");
      if (result.put(new FieldPair(input, output), beside) != null) {
        throw wrong("input_output", "writes [" + output + "] twice");
      }
    }
    return checked(result);
  }

  private <X> Map<FieldPair, X> checked(Map<FieldPair, X> fields) {
    Set<String> outputs = new HashSet<>();
    Set<String> inputs = new HashSet<>();
    for (FieldPair field : fields.keySet()) {
      if (field.input().isEmpty() || field.output().isEmpty()) {
        throw wrong("input_output", "fields must not be empty");
      }
      inputs.add(field.input());
      if (!outputs.add(field.output())) {
        throw wrong("input_output", "writes [" + field.output() + "] twice");
      }
    }
    for (String output : outputs) {
      if (inputs.contains(output)) {
        throw wrong("input_output", "reads and writes [" + output + "]");
      }
    }
    return Collections.unmodifiableMap(fields);
  }
}
