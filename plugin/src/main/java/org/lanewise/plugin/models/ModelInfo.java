package org.lanewise.plugin.models;

import java.io.IOException;
import java.util.Locale;
import java.util.Optional;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;

/**
 * What a node knows of one model.
 *
 * @param id the name users call it by
 * @param source where its directory lies
 * @param state whether it is ready
 * @param reason why it could not be opened; empty in every state but {@link State#FAILED}
 * @param encoder the open model; empty in every state but {@link State#OPEN}
 */
public record ModelInfo(
    String id, Source source, State state, Optional<String> reason, Optional<Encoder> encoder)
    implements ToXContentObject {

  /** Where a model directory lies. */
  public enum Source {
    /** Below the node's config directory, put there by the administrator. */
    CONFIG,
    /** Inside the plugin. */
    BUNDLED
  }

  /** How far a model is. */
  public enum State {
    /** Nobody used it yet. */
    NOT_OPENED,
    /** Its first user is waiting for it. */
    OPENING,
    /** Ready. */
    OPEN,
    /** The last try failed; the next use tries again. */
    FAILED
  }

  @Override
  public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
    builder.startObject();
    builder.field("model_id", id);
    builder.field("source", source.name().toLowerCase(Locale.ROOT));
    builder.field("state", state.name().toLowerCase(Locale.ROOT));
    if (reason.isPresent()) {
      builder.field("reason", reason.get());
    }
    if (encoder.isPresent()) {
      Encoder open = encoder.get();
      builder.field("family", open.family());
      builder.field("dimensions", open.dimensions());
      builder.field("max_length", open.maxLength());
      builder.field("backend", open.backend());
      builder.field("precision", open.precision().label());
      builder.field("prompts", open.prompts().byName().keySet().stream().sorted().toList());
    }
    return builder.endObject();
  }
}
