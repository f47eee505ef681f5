package org.lanewise.plugin.models;

import java.io.IOException;
import java.util.Locale;
import java.util.Optional;
import java.util.SortedSet;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.ModelFiles;

/**
 * What a node knows of one model.
 *
 * @param id the name users call it by
 * @param source where its files lie
 * @param state whether it is ready
 * @param kind what it is; empty where its configuration cannot be read
 * @param reason why it could not be opened; empty in every state but {@link State#FAILED}
 * @param model the open model; empty in every state but {@link State#OPEN}
 * @param fingerprint of {@link ModelFiles}; empty where they were not read yet
 * @param aliases what users may call it, too
 */
public record ModelInfo(
    String id,
    Source source,
    State state,
    Optional<ModelKind> kind,
    Optional<String> reason,
    Optional<Model<?, ?>> model,
    Optional<String> fingerprint,
    SortedSet<String> aliases)
    implements ToXContentObject {

  /** Where a model's files lie. */
  public enum Source {
    /** Below the node's config directory, put there by the administrator. */
    CONFIG,
    /** Inside the plugin. */
    BUNDLED,
    /** In the cluster's index of models, from which each node makes its own copy. */
    INDEX
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
    if (!aliases.isEmpty()) {
      builder.field("aliases", aliases);
    }
    builder.field("source", source.name().toLowerCase(Locale.ROOT));
    builder.field("state", state.name().toLowerCase(Locale.ROOT));
    if (kind.isPresent()) {
      builder.field("kind", kind.get().label());
    }
    if (reason.isPresent()) {
      builder.field("reason", reason.get());
    }
    if (fingerprint.isPresent()) {
      builder.field("fingerprint", fingerprint.get());
    }
    if (model.isPresent()) {
      switch (model.get()) {
        case Encoder encoder -> {
          builder.field("family", encoder.family());
          builder.field("outputs", encoder.outputs().stream().map(Output::label).toList());
          if (encoder.dimensions().isPresent()) {
            builder.field("dimensions", encoder.dimensions().getAsInt());
          }
          builder.field("max_length", encoder.maxLength());
          if (encoder.outputs().contains(Output.TAGS)) {
            builder.field("labels", encoder.classes());
          }
        }
        case Tagger tagger -> {
          builder.field("labels", tagger.classes());
          builder.field("encoders", tagger.encoders());
        }
        case Reranker reranker -> {
          builder.field("family", reranker.family());
          builder.field("max_length", reranker.maxLength());
        }
        case Answerer answerer -> {
          builder.field("family", answerer.family());
          builder.field("max_length", answerer.maxLength());
        }
      }
      builder.field("backend", model.get().backend());
      builder.field("precision", model.get().precision().label());
      if (model.get() instanceof Encoder encoder) {
        builder.field("prompts", encoder.prompts().byName().keySet().stream().sorted().toList());
      }
    }
    return builder.endObject();
  }
}
