package org.lanewise.plugin.action;

import java.io.IOException;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.ActionType;
import org.elasticsearch.action.ValidateActions;
import org.elasticsearch.action.support.ActionFilters;
import org.elasticsearch.action.support.TransportAction;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.injection.guice.Inject;
import org.elasticsearch.transport.TransportService;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.models.Relevance;

/** Scores texts against a query on the node that is asked; nothing travels. */
public final class RerankAction extends TextsAction<RerankAction.Request, RerankAction.Response> {
  /** The action; its name asks for the {@code monitor} privilege where security is on. */
  public static final ActionType<Response> TYPE =
      new ActionType<>("cluster:monitor/lanewise/rerank");

  /** Called by Elasticsearch. */
  @Inject
  public RerankAction(
      TransportService transportService, ActionFilters filters, EncodeService service) {
    super(TYPE, transportService, filters, service);
  }

  @Override
  void ask(
      EncodeService service,
      Request request,
      BooleanSupplier abandoned,
      ActionListener<Response> listener) {
    service.rerank(
        request.modelId(),
        request.query,
        request.texts(),
        abandoned,
        listener.map(relevances -> new Response(request, relevances)));
  }

  /** The texts to score. */
  public static final class Request extends TextsRequest {
    private final String query;
    private final OptionalInt top;

    /**
     * Creates a request to a reranker.
     *
     * @param top how many of the best texts the response shall list; all where it is empty
     */
    public Request(
        String modelId, String query, List<String> texts, OptionalInt top, Deadline deadline) {
      super(modelId, texts, deadline);
      this.query = query;
      this.top = top;
    }

    @Override
    public ActionRequestValidationException validate() {
      ActionRequestValidationException errors = super.validate();
      if (!EncodeRequest.hasText(query)) {
        errors = ValidateActions.addValidationError("[query] has no text", errors);
      }
      if (top.isPresent() && top.getAsInt() < 1) {
        errors =
            ValidateActions.addValidationError(
                "[top_n] is [" + top.getAsInt() + "], expected at least [1]", errors);
      }
      return errors;
    }
  }

  /** The scores of the texts. */
  public static final class Response extends ActionResponse implements ToXContentObject {
    private final Request request;
    private final List<Relevance> relevances;

    Response(Request request, List<Relevance> relevances) {
      this.request = request;
      this.relevances = relevances;
    }

    /** Returns one for each text, in order. */
    public List<Relevance> relevances() {
      return relevances;
    }

    @Override
    public void writeTo(StreamOutput out) {
      TransportAction.localOnly();
    }

    /** Lists the best first, equal ones in the order of the request. */
    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
      List<Integer> best =
          IntStream.range(0, relevances.size())
              .boxed()
              .sorted(Comparator.comparingDouble(i -> -relevances.get(i).score()))
              .limit(request.top.orElse(relevances.size()))
              .toList();
      builder.startObject().field("model_id", request.modelId()).startArray("rerank");
      for (int i : best) {
        builder.startObject();
        builder.field("index", i);
        builder.field("relevance_score", relevances.get(i).score());
        builder.field("text", request.texts().get(i));
        builder.field("is_truncated", relevances.get(i).truncated());
        builder.endObject();
      }
      return builder.endArray().endObject();
    }
  }
}
