package org.lanewise.plugin.action;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.ActionType;
import org.elasticsearch.action.support.ActionFilters;
import org.elasticsearch.action.support.TransportAction;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.injection.guice.Inject;
import org.elasticsearch.transport.TransportService;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.encode.TagSelection;
import org.lanewise.plugin.models.Tags;

/** Tags texts on the node that is asked; requests and responses never travel. */
public final class TagAction extends TextsAction<TagAction.Request, TagAction.Response> {
  /** The action; its name asks for the {@code monitor} privilege where security is on. */
  public static final ActionType<Response> TYPE = new ActionType<>("cluster:monitor/lanewise/tag");

  /** Called by Elasticsearch. */
  @Inject
  public TagAction(
      TransportService transportService, ActionFilters filters, EncodeService service) {
    super(TYPE, transportService, filters, service);
  }

  @Override
  void ask(
      EncodeService service,
      Request request,
      BooleanSupplier abandoned,
      ActionListener<Response> listener) {
    service.tag(
        request.modelId(),
        request.texts(),
        request.selection,
        abandoned,
        listener.map(results -> new Response(request.modelId(), results)));
  }

  /** The texts to tag. */
  public static final class Request extends TextsRequest {
    private final TagSelection selection;

    /** Creates a request to a tagger or classifier. */
    public Request(String modelId, List<String> texts, TagSelection selection, Deadline deadline) {
      super(modelId, texts, deadline);
      this.selection = selection;
    }
  }

  /** The tags, in the order of the texts. */
  public static final class Response extends ActionResponse implements ToXContentObject {
    private final String modelId;
    private final List<Tags> results;

    Response(String modelId, List<Tags> results) {
      this.modelId = modelId;
      this.results = results;
    }

    @Override
    public void writeTo(StreamOutput out) {
      TransportAction.localOnly();
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
      builder.startObject().field("model_id", modelId).startArray("results");
      for (Tags each : results) {
        builder.map(each.fields(Optional.empty()));
      }
      return builder.endArray().endObject();
    }
  }
}
