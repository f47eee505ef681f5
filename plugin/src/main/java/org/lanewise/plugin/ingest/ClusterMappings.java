package org.lanewise.plugin.ingest;

import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ExecutionException;
import org.elasticsearch.cluster.metadata.IndexAbstraction;
import org.elasticsearch.cluster.metadata.IndexMetadata;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.cluster.metadata.ProjectMetadata;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.cache.Cache;
import org.elasticsearch.common.cache.CacheBuilder;
import org.lanewise.encoder.head.ElementType;

/**
 * What the mappings of the cluster state ask of vectors.
 *
 * <p>A vector that is too long is refused by the field itself as well, but in words that leave out
 * how long it is: the field stops counting at its own size.
 */
public final class ClusterMappings implements MappedDimensions {
  private final ClusterService clusterService;
  private final Cache<Key, Optional<Field>> known =
      CacheBuilder.<Key, Optional<Field>>builder().setMaximumWeight(1000).build();

  /** One version of one index's mapping, and a field. */
  private record Key(String indexUuid, long mappingVersion, String path) {}

  /** Creates a view of the cluster state. */
  public ClusterMappings(ClusterService clusterService) {
    this.clusterService = clusterService;
  }

  @Override
  public Optional<Field> of(ProjectId projectId, String index, String path) {
    ProjectMetadata project = clusterService.state().metadata().getProject(projectId);
    IndexAbstraction target = project.getIndicesLookup().get(index);
    if (target == null || target.getWriteIndex() == null) {
      return Optional.empty();
    }
    IndexMetadata metadata = project.index(target.getWriteIndex());
    if (metadata == null || metadata.mapping() == null) {
      return Optional.empty();
    }
    try {
      return known.computeIfAbsent(
          new Key(metadata.getIndexUUID(), metadata.getMappingVersion(), path),
          key -> field(metadata.mapping().sourceAsMap(), path));
    } catch (ExecutionException e) {
      throw new IllegalStateException("mapping of index [" + index + "] cannot be read", e);
    }
  }

  private static Optional<Field> field(Map<String, Object> mapping, String path) {
    Object field = mapping;
    for (String name : path.split("\\.", -1)) {
      field = child(child(field, "properties"), name);
    }
    if (!"dense_vector".equals(child(field, "type"))) {
      return Optional.empty();
    }
    ElementType type =
        switch (String.valueOf(child(field, "element_type"))) {
          case "byte" -> ElementType.BYTE;
          case "bit" -> ElementType.BIT;
          default -> ElementType.FLOAT;
        };
    Object similarity = child(field, "similarity");
    return Optional.of(
        new Field(
            child(field, "dims") instanceof Integer dims
                ? OptionalInt.of(dims)
                : OptionalInt.empty(),
            type,
            similarity == null || similarity.equals("cosine") || type == ElementType.BIT));
  }

  private static Object child(Object parent, String name) {
    return parent instanceof Map<?, ?> object ? object.get(name) : null;
  }
}
