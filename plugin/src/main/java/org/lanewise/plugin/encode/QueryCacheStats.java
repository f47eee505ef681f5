package org.lanewise.plugin.encode;

import java.io.IOException;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.common.unit.ByteSizeValue;
import org.elasticsearch.xcontent.ToXContentFragment;
import org.elasticsearch.xcontent.XContentBuilder;

/**
 * What the cache of questions did since the node started, and holds.
 *
 * @param hits questions that were answered from it
 * @param misses questions that were not
 * @param evictions answers that were forgotten
 * @param entries answers that it holds
 * @param bytes memory that these take, about
 */
public record QueryCacheStats(long hits, long misses, long evictions, long entries, long bytes)
    implements Writeable, ToXContentFragment {

  /** Reads what {@link #writeTo} wrote. */
  public QueryCacheStats(StreamInput in) throws IOException {
    this(in.readVLong(), in.readVLong(), in.readVLong(), in.readVLong(), in.readVLong());
  }

  /** Returns the share of questions that were answered from it, from 0 to 1. */
  public double hitRatio() {
    return hits == 0 ? 0.0 : (double) hits / (hits + misses);
  }

  @Override
  public void writeTo(StreamOutput out) throws IOException {
    out.writeVLong(hits);
    out.writeVLong(misses);
    out.writeVLong(evictions);
    out.writeVLong(entries);
    out.writeVLong(bytes);
  }

  @Override
  public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
    return builder
        .field("hits", hits)
        .field("misses", misses)
        .field("hit_ratio", hitRatio())
        .field("evictions", evictions)
        .field("entries", entries)
        .humanReadableField("memory_size_in_bytes", "memory_size", ByteSizeValue.ofBytes(bytes));
  }
}
