package org.lanewise.plugin.ingest;

import java.util.Optional;
import java.util.OptionalInt;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.lanewise.encoder.head.ElementType;

/** What vectors a field takes. */
@FunctionalInterface
public interface MappedDimensions {
  /**
   * Returns what the mapping says of a {@code dense_vector} field; empty where the index does not
   * exist yet, or does not say.
   *
   * @param index an index, or an alias or data stream, for its write index
   * @param path path of the field, in dot notation
   */
  Optional<Field> of(ProjectId project, String index, String path);

  /**
   * A {@code dense_vector} field.
   *
   * @param dimensions how many numbers, or bits, a vector has; empty where the first one decides
   * @param type what the numbers are
   * @param angle whether vectors are compared by their angle alone, or by their bits
   */
  record Field(OptionalInt dimensions, ElementType type, boolean angle) {}
}
