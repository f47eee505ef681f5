package org.lanewise.plugin.action;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRequest;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.ActionType;
import org.elasticsearch.action.support.ActionFilters;
import org.elasticsearch.action.support.TransportAction;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.util.concurrent.EsExecutors;
import org.elasticsearch.injection.guice.Inject;
import org.elasticsearch.tasks.Task;
import org.elasticsearch.transport.TransportService;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.plugin.models.ModelInfo;
import org.lanewise.plugin.models.ModelRegistry;

/** Describes the models of the node that is asked; requests and responses never travel. */
public final class ModelsAction
    extends TransportAction<ModelsAction.Request, ModelsAction.Response> {
  /** The action; its name asks for the {@code monitor} privilege where security is on. */
  public static final ActionType<Response> TYPE =
      new ActionType<>("cluster:monitor/lanewise/models");

  private final ModelRegistry registry;

  /** Called by Elasticsearch. */
  @Inject
  public ModelsAction(
      TransportService transportService, ActionFilters filters, ModelRegistry registry) {
    super(
        TYPE.name(),
        filters,
        transportService.getTaskManager(),
        EsExecutors.DIRECT_EXECUTOR_SERVICE);
    this.registry = registry;
  }

  @Override
  protected void doExecute(Task task, Request request, ActionListener<Response> listener) {
    if (request.modelId.isPresent()) {
      registry.info(request.modelId.get(), listener.map(info -> new Response(List.of(info))));
    } else {
      registry.list(listener.map(Response::new));
    }
  }

  /** Which models to describe. */
  public static final class Request extends ActionRequest {
    private final Optional<String> modelId;

    /** Asks for one model, which is opened for it, or for all, as far as they are known. */
    public Request(Optional<String> modelId) {
      this.modelId = modelId;
    }

    @Override
    public ActionRequestValidationException validate() {
      return null;
    }

    @Override
    public void writeTo(StreamOutput out) {
      TransportAction.localOnly();
    }
  }

  /** The models, in the order of their ids. */
  public static final class Response extends ActionResponse implements ToXContentObject {
    private final List<ModelInfo> models;

    Response(List<ModelInfo> models) {
      this.models = models;
    }

    @Override
    public void writeTo(StreamOutput out) {
      TransportAction.localOnly();
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
      return builder
          .startObject()
          .field("count", models.size())
          .xContentList("models", models)
          .endObject();
    }
  }
}
