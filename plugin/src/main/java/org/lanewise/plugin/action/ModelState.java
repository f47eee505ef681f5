package org.lanewise.plugin.action;

import java.io.IOException;
import java.util.Locale;
import java.util.Optional;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.plugin.models.ModelInfo;
import org.lanewise.plugin.models.ModelKind;

/**
 * How far one node is with one model: as much of {@link ModelInfo} as other nodes need.
 *
 * @param id the name users call it by
 * @param kind what it is; empty where its configuration cannot be read
 * @param state whether it is ready
 * @param reason why it could not be opened; empty unless it failed
 * @param fingerprint what its files have in common with equal ones on other nodes; empty where they
 *     were not read yet
 */
public record ModelState(
    String id,
    Optional<ModelKind> kind,
    ModelInfo.State state,
    Optional<String> reason,
    Optional<String> fingerprint)
    implements Writeable, ToXContentObject {

  /** Reads what {@link #writeTo} wrote. */
  public ModelState(StreamInput in) throws IOException {
    this(
        in.readString(),
        Optional.ofNullable(in.readOptionalEnum(ModelKind.class)),
        in.readEnum(ModelInfo.State.class),
        Optional.ofNullable(in.readOptionalString()),
        Optional.ofNullable(in.readOptionalString()));
  }

  static ModelState of(ModelInfo info) {
    return new ModelState(info.id(), info.kind(), info.state(), info.reason(), info.fingerprint());
  }

  /** Returns the state as answers name it. */
  public String stateLabel() {
    return state.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public void writeTo(StreamOutput out) throws IOException {
    out.writeString(id);
    out.writeOptionalEnum(kind.orElse(null));
    out.writeEnum(state);
    out.writeOptionalString(reason.orElse(null));
    out.writeOptionalString(fingerprint.orElse(null));
  }

  @Override
  public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
    builder.startObject();
    if (kind.isPresent()) {
      builder.field("kind", kind.get().label());
    }
    builder.field("state", stateLabel());
    if (reason.isPresent()) {
      builder.field("reason", reason.get());
    }
    if (fingerprint.isPresent()) {
      builder.field("fingerprint", fingerprint.get());
    }
    return builder.endObject();
  }
}
