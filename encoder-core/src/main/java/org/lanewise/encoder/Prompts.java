package org.lanewise.encoder;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The texts that a model wants in front of its input, by name.
 *
 * @param byName prompt texts by name, as in config_sentence_transformers.json
 * @param defaultName the prompt used where none is named
 */
public record Prompts(Map<String, String> byName, Optional<String> defaultName) {
  /** Copies the prompts, keeping their order, and checks that the default is one of them. */
  public Prompts {
    byName = Collections.unmodifiableMap(new LinkedHashMap<>(byName));
    if (defaultName.isPresent() && !byName.containsKey(defaultName.get())) {
      throw new IllegalArgumentException(
          "default prompt ["
              + defaultName.get()
              + "] is not one of the model's prompts "
              + byName.keySet());
    }
  }

  /** Returns the prompt of that name, or an error that lists the names there are. */
  public String named(String name) {
    String prompt = byName.get(name);
    if (prompt == null) {
      throw new IllegalArgumentException(
          "prompt [" + name + "] is not one of the model's prompts " + byName.keySet());
    }
    return prompt;
  }

  /** Returns the default prompt, or the empty text. */
  public String byDefault() {
    return defaultName.map(this::named).orElse("");
  }
}
