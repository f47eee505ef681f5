package org.lanewise.plugin.ingest;

import java.util.OptionalInt;
import org.elasticsearch.cluster.metadata.ProjectId;

/** How long the vectors of a field must be. */
@FunctionalInterface
public interface MappedDimensions {
  /**
   * Returns the {@code dims} of a {@code dense_vector} field; empty where the index does not exist
   * yet, or does not say.
   *
   * @param index an index, or an alias or data stream, for its write index
   * @param path path of the field, in dot notation
   */
  OptionalInt of(ProjectId project, String index, String path);
}
