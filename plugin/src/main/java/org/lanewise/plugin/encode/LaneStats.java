package org.lanewise.plugin.encode;

import java.io.IOException;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.xcontent.ToXContentFragment;
import org.elasticsearch.xcontent.XContentBuilder;

/**
 * How full a lane is.
 *
 * @param queue texts that wait now
 * @param rejected texts that were refused since the node started because the queue was full
 */
public record LaneStats(long queue, long rejected) implements Writeable, ToXContentFragment {

  /** Reads what {@link #writeTo} wrote. */
  public LaneStats(StreamInput in) throws IOException {
    this(in.readVLong(), in.readVLong());
  }

  /** Returns the sum of both. */
  public LaneStats plus(LaneStats other) {
    return new LaneStats(queue + other.queue, rejected + other.rejected);
  }

  @Override
  public void writeTo(StreamOutput out) throws IOException {
    out.writeVLong(queue);
    out.writeVLong(rejected);
  }

  @Override
  public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
    return builder.field("queue", queue).field("rejected", rejected);
  }
}
