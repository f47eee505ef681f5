package org.lanewise.plugin.ingest;

import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.ExecutionException;
import org.elasticsearch.cluster.metadata.IndexAbstraction;
import org.elasticsearch.cluster.metadata.IndexMetadata;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.cluster.metadata.ProjectMetadata;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.cache.Cache;
import org.elasticsearch.common.cache.CacheBuilder;

/**
 * The dimensions that the mappings of the cluster state ask for.
 *
 * <p>A vector that is too long is refused by the field itself as well, but in words that leave out
 * how long it is: the field stops counting at its own size.
 */
public final class ClusterMappings implements MappedDimensions {
  private final ClusterService clusterService;
  private final Cache<Key, OptionalInt> known =
      CacheBuilder.<Key, OptionalInt>builder().setMaximumWeight(1000).build();

  /** One version of one index's mapping, and a field. */
  private record Key(String indexUuid, long mappingVersion, String path) {}

  /** Creates a view of the cluster state. */
  public ClusterMappings(ClusterService clusterService) {
    this.clusterService = clusterService;
  }

  @Override
  public OptionalInt of(ProjectId projectId, String index, String path) {
    ProjectMetadata project = clusterService.state().metadata().getProject(projectId);
    IndexAbstraction target = project.getIndicesLookup().get(index);
    if (target == null || target.getWriteIndex() == null) {
      return OptionalInt.empty();
    }
    IndexMetadata metadata = project.index(target.getWriteIndex());
    if (metadata == null || metadata.mapping() == null) {
      return OptionalInt.empty();
    }
    try {
      return known.computeIfAbsent(
          new Key(metadata.getIndexUUID(), metadata.getMappingVersion(), path),
          key -> dimensions(metadata.mapping().sourceAsMap(), path));
    } catch (ExecutionException e) {
      throw new IllegalStateException("mapping of index [" + index + "] cannot be read", e);
    }
  }

  private static OptionalInt dimensions(Map<String, Object> mapping, String path) {
    Object field = mapping;
    for (String name : path.split("\\.", -1)) {
      field = child(child(field, "properties"), name);
    }
    Object elements = child(field, "element_type");
    boolean numbers =
        elements == null || elements.equals("float") || elements.equals("bfloat16");
    return numbers
            && "dense_vector".equals(child(field, "type"))
            && child(field, "dims") instanceof Integer dims
        ? OptionalInt.of(dims)
        : OptionalInt.empty();
  }

  private static Object child(Object parent, String name) {
    return parent instanceof Map<?, ?> object ? object.get(name) : null;
  }
}
