package org.lanewise.plugin.encode;

import java.io.IOException;
import java.util.Optional;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.encoder.DeviceReport;

/**
 * What one model did on one node.
 *
 * @param backend the backend that runs
 * @param precision the precision that runs
 * @param kernels what multiplies matrices
 * @param device what the device that computes could not do; empty where there is none
 * @param bulk work of the bulk lane
 * @param search work of the search lane
 */
public record ModelStats(
    String backend,
    String precision,
    String kernels,
    Optional<DeviceReport> device,
    WorkStats bulk,
    WorkStats search)
    implements Writeable, ToXContentObject {

  /** Reads what {@link #writeTo} wrote. */
  public ModelStats(StreamInput in) throws IOException {
    this(
        in.readString(),
        in.readString(),
        in.readString(),
        readDevice(in),
        new WorkStats(in),
        new WorkStats(in));
  }

  private static Optional<DeviceReport> readDevice(StreamInput in) throws IOException {
    return in.readBoolean()
        ? Optional.of(
            new DeviceReport(
                in.readVLong(),
                in.readVLong(),
                Optional.ofNullable(in.readOptionalString()),
                Optional.ofNullable(in.readOptionalString())))
        : Optional.empty();
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
    out.writeBoolean(device.isPresent());
    if (device.isPresent()) {
      out.writeVLong(device.get().halvedBatches());
      out.writeVLong(device.get().processorBatches());
      out.writeOptionalString(device.get().lost().orElse(null));
      out.writeOptionalString(device.get().choice().orElse(null));
    }
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
    if (device.isPresent()) {
      builder
          .startObject("device")
          .field("halved_batches", device.get().halvedBatches())
          .field("processor_batches", device.get().processorBatches())
          .field("lost", device.get().lost().orElse(null));
      if (device.get().choice().isPresent()) {
        builder.field("choice", device.get().choice().get());
      }
      builder.endObject();
    }
    total().toXContent(builder, params);
    builder.startObject("lanes");
    bulk.toXContent(builder.startObject("bulk"), params).endObject();
    search.toXContent(builder.startObject("search"), params).endObject();
    return builder.endObject().endObject();
  }
}
