package org.lanewise.plugin.encode;

import java.io.IOException;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;

/**
 * What one model did on one node.
 *
 * @param backend the backend that runs
 * @param precision the precision that runs
 * @param kernels what multiplies matrices
 * @param bulk work of the bulk lane
 * @param search work of the search lane
 */
public record ModelStats(
    String backend, String precision, String kernels, WorkStats bulk, WorkStats search)
    implements Writeable, ToXContentObject {

  /** Reads what {@link #writeTo} wrote. */
  public ModelStats(StreamInput in) throws IOException {
    this(in.readString(), in.readString(), in.readString(), new WorkStats(in), new WorkStats(in));
  }

  /** Returns the work of both lanes. */
  public WorkStats total() {
    return bulk.plus(search);
  }

  @Override
  public void writeTo(StreamOutput out) throws IOException {
    out.writeString(backend);
    out.writeString(precision);
    out.writeString(kernels);
    bulk.writeTo(out);
    search.writeTo(out);
  }

  @Override
  public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
    builder
        .startObject()
        .field("backend", backend)
        .field("precision", precision)
        .field("kernels", kernels);
    total().toXContent(builder, params);
    builder.startObject("lanes");
    bulk.toXContent(builder.startObject("bulk"), params).endObject();
    search.toXContent(builder.startObject("search"), params).endObject();
    return builder.endObject().endObject();
  }
}
