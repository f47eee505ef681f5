package org.lanewise.plugin.encode;

import java.util.Arrays;
import java.util.Locale;

/** The names by which requests and options call constants: their own in lower case. */
public final class Labels {
  private Labels() {}

  /**
   * Returns the constant of a name.
   *
   * @throws IllegalArgumentException naming those there are, without saying of which option
   */
  public static <E extends Enum<E>> E constant(Class<E> type, String label) {
    return Arrays.stream(type.getEnumConstants())
        .filter(constant -> label(constant).equals(label))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "must be one of "
                        + Arrays.stream(type.getEnumConstants()).map(Labels::label).toList()
                        + " but was ["
                        + label
                        + "]"));
  }

  private static String label(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }
}
