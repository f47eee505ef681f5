package org.lanewise.plugin.encode;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.xcontent.ToXContentFragment;
import org.elasticsearch.xcontent.XContentBuilder;

/**
 * What one node did.
 *
 * @param threads bulk batches that are computed at once
 * @param batchTokens most tokens of a batch
 * @param queueCapacity most texts that may wait in each lane
 * @param bulk how full the bulk lane is
 * @param search how full the search lane is
 * @param queryCache what was asked again
 * @param models the models used so far, by id
 */
public record ServiceStats(
    int threads,
    int batchTokens,
    int queueCapacity,
    LaneStats bulk,
    LaneStats search,
    QueryCacheStats queryCache,
    Map<String, ModelStats> models)
    implements Writeable, ToXContentFragment {

  public ServiceStats {
    models = Map.copyOf(models);
  }

  /** Reads what {@link #writeTo} wrote. */
  public ServiceStats(StreamInput in) throws IOException {
    this(
        in.readVInt(),
        in.readVInt(),
        in.readVInt(),
        new LaneStats(in),
        new LaneStats(in),
        new QueryCacheStats(in),
        in.readMap(ModelStats::new));
  }

  @Override
  public void writeTo(StreamOutput out) throws IOException {
    out.writeVInt(threads);
    out.writeVInt(batchTokens);
    out.writeVInt(queueCapacity);
    bulk.writeTo(out);
    search.writeTo(out);
    queryCache.writeTo(out);
    out.writeMap(models, StreamOutput::writeWriteable);
  }

  @Override
  public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
    builder.field("threads", threads);
    builder.field("batch_tokens", batchTokens);
    builder.field("queue_capacity", queueCapacity);
    bulk.plus(search).toXContent(builder, params);
    models.values().stream()
        .map(ModelStats::total)
        .reduce(WorkStats.NOTHING, WorkStats::plus)
        .toXContent(builder, params);
    builder.startObject("lanes");
    bulk.toXContent(builder.startObject("bulk"), params).endObject();
    search.toXContent(builder.startObject("search"), params).endObject();
    builder.endObject();
    queryCache.toXContent(builder.startObject("query_cache"), params).endObject();
    builder.startObject("models");
    for (Map.Entry<String, ModelStats> model : new TreeMap<>(models).entrySet()) {
      builder.field(model.getKey(), model.getValue());
    }
    return builder.endObject();
  }
}
