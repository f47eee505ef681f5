package org.lanewise.plugin.search;

import java.io.IOException;
import java.util.List;
import java.util.OptionalInt;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.OriginalIndices;
import org.elasticsearch.action.ResolvedIndices;
import org.elasticsearch.action.fieldcaps.FieldCapabilitiesRequest;
import org.elasticsearch.action.support.ContextPreservingActionListener;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.common.regex.Regex;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.ToXContentFragment;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.plugin.action.Deadline;
import org.lanewise.plugin.action.RerankAction;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.models.ModelRegistry;
import org.lanewise.plugin.models.Relevance;

/**
 * Which model scores what: the part of a search that retriever and rescorer have in common.
 *
 * @param modelId the reranker
 * @param field the field whose text it reads
 * @param query what the text shall answer
 */
record Reranking(String modelId, String field, String query)
    implements Writeable, ToXContentFragment {
  static final ParseField MODEL_ID = new ParseField("model_id");
  static final ParseField FIELD = new ParseField("field");
  static final ParseField INFERENCE_TEXT = new ParseField("inference_text");

  /** Throws an {@code IllegalArgumentException} that names what is wrong. */
  Reranking {
    ModelRegistry.checkId(modelId);
    if (field.isEmpty() || Regex.isSimpleMatchPattern(field)) {
      throw new IllegalArgumentException(
          "[field] is [" + field + "], expected the name of one field");
    }
    if (!EncodeRequest.hasText(query)) {
      throw new IllegalArgumentException("[inference_text] must not be empty.");
    }
  }

  Reranking(StreamInput in) throws IOException {
    this(in.readString(), in.readString(), in.readString());
  }

  @Override
  public void writeTo(StreamOutput out) throws IOException {
    out.writeString(modelId);
    out.writeString(field);
    out.writeString(query);
  }

  @Override
  public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
    return builder
        .field(MODEL_ID.getPreferredName(), modelId)
        .field(FIELD.getPreferredName(), field)
        .field(INFERENCE_TEXT.getPreferredName(), query);
  }

  /** Returns the error of a search none of whose indices has the field. */
  IllegalArgumentException unmapped() {
    return new IllegalArgumentException(
        "field ["
            + field
            + "] does not exist in the mapping of any index that is searched, so that ["
            + modelId
            + "] has nothing to read: correct [field], or add ["
            + field
            + "] to a mapping");
  }

  /**
   * Hands over whether an index of the search has the field in its mapping; also true where that
   * cannot be told.
   *
   * @param indices null where nothing is known of them
   */
  void mapped(Client client, ResolvedIndices indices, ActionListener<Boolean> listener) {
    OriginalIndices local = indices == null ? null : indices.getLocalIndices();
    if (local == null || !indices.getRemoteClusterIndices().isEmpty()) {
      listener.onResponse(true);
      return;
    }
    FieldCapabilitiesRequest request =
        new FieldCapabilitiesRequest()
            .indices(local.indices())
            .indicesOptions(local.indicesOptions())
            .fields(field);
    SearchTasks.adopt(request, client);
    client.fieldCaps(
        request,
        ActionListener.wrap(
            found ->
                listener.onResponse(
                    found.getField(field) != null || !found.getFailures().isEmpty()),
            _ -> listener.onResponse(true)));
  }

  /** Hands over how well each text answers the query, from another thread. */
  void score(
      Client client,
      List<String> texts,
      Deadline deadline,
      ActionListener<List<Relevance>> listener) {
    ThreadContext threadContext = client.threadPool().getThreadContext();
    ActionListener<RerankAction.Response> answer =
        ContextPreservingActionListener.wrapPreservingContext(
            listener.map(RerankAction.Response::relevances), threadContext);
    RerankAction.Request request =
        new RerankAction.Request(modelId, query, texts, OptionalInt.empty(), deadline);
    SearchTasks.adopt(request, client);
    // As the node itself: who may search an index need not be allowed to monitor the cluster.
    try (ThreadContext.StoredContext _ = threadContext.stashContext()) {
      client.execute(RerankAction.TYPE, request, answer);
    }
  }
}
