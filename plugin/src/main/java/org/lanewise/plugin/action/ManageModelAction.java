package org.lanewise.plugin.action;

import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeSet;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRequest;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.ActionType;
import org.elasticsearch.action.FailedNodeException;
import org.elasticsearch.action.support.ActionFilters;
import org.elasticsearch.action.support.TransportAction;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.util.concurrent.EsExecutors;
import org.elasticsearch.injection.guice.Inject;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.rest.action.RestActions;
import org.elasticsearch.tasks.Task;
import org.elasticsearch.transport.TransportService;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.encoder.ModelFiles;
import org.lanewise.plugin.models.ModelRegistry;
import org.lanewise.plugin.store.ClusterModels;
import org.lanewise.plugin.store.ModelNodesAction;
import org.lanewise.plugin.store.ModelNodesAction.Operation;

/**
 * Uploads, deletes, opens and closes models of the cluster, on the node that is asked; requests and
 * responses never travel. One subclass for each privilege.
 */
public abstract sealed class ManageModelAction
    extends TransportAction<ManageModelAction.Request, ManageModelAction.Response> {
  private final ModelRegistry registry;
  private final ClusterModels models;

  private ManageModelAction(
      ActionType<Response> type,
      TransportService transportService,
      ActionFilters filters,
      ModelRegistry registry,
      ClusterModels models) {
    super(
        type.name(),
        filters,
        transportService.getTaskManager(),
        EsExecutors.DIRECT_EXECUTOR_SERVICE);
    this.registry = registry;
    this.models = models;
  }

  /** Uploads models. */
  public static final class Put extends ManageModelAction {
    /** The action; its name asks for the {@code manage} privilege where security is on. */
    public static final ActionType<Response> TYPE =
        new ActionType<>("cluster:admin/lanewise/models/put");

    /** Called by Elasticsearch. */
    @Inject
    public Put(
        TransportService transportService,
        ActionFilters filters,
        ModelRegistry registry,
        ClusterModels models) {
      super(TYPE, transportService, filters, registry, models);
    }
  }

  /** Deletes models. */
  public static final class Delete extends ManageModelAction {
    /** The action; its name asks for the {@code manage} privilege where security is on. */
    public static final ActionType<Response> TYPE =
        new ActionType<>("cluster:admin/lanewise/models/delete");

    /** Called by Elasticsearch. */
    @Inject
    public Delete(
        TransportService transportService,
        ActionFilters filters,
        ModelRegistry registry,
        ClusterModels models) {
      super(TYPE, transportService, filters, registry, models);
    }
  }

  /** Opens and closes models on all nodes. */
  public static final class Load extends ManageModelAction {
    /** The action; its name asks for the {@code manage} privilege where security is on. */
    public static final ActionType<Response> TYPE =
        new ActionType<>("cluster:admin/lanewise/models/load");

    /** Called by Elasticsearch. */
    @Inject
    public Load(
        TransportService transportService,
        ActionFilters filters,
        ModelRegistry registry,
        ClusterModels models) {
      super(TYPE, transportService, filters, registry, models);
    }
  }

  @Override
  protected final void doExecute(Task task, Request request, ActionListener<Response> listener) {
    ActionListener.run(
        listener,
        asker -> {
          ModelRegistry.checkId(request.modelId);
          switch (request) {
            case Begin begin -> {
              checkNotOnDisk(begin.modelId);
              models.begin(begin.modelId, begin.files, asker.map(Response::new));
            }
            case AddPart part ->
                models.addPart(
                    part.modelId,
                    part.file,
                    part.offset,
                    part.content,
                    part.sha256,
                    asker.map(
                        model ->
                            new Response(
                                (builder, params) ->
                                    builder
                                        .startObject()
                                        .field("model_id", part.modelId)
                                        .field("file", part.file)
                                        .field("offset", part.offset)
                                        .field("bytes", part.content.length)
                                        .endObject())));
            case Complete complete ->
                models.complete(
                    complete.modelId,
                    asker.map(model -> new Response(new ClusterModels.Upload(model, List.of()))));
            case Remove remove ->
                models.delete(
                    remove.modelId,
                    remove.force,
                    asker.map(
                        model ->
                            new Response(
                                (builder, params) ->
                                    builder
                                        .startObject()
                                        .field("acknowledged", true)
                                        .endObject())));
            case Switch change -> change(change, asker);
          }
        });
  }

  private void checkNotOnDisk(String id) {
    if (registry.isOnDisk(id)) {
      throw new ElasticsearchStatusException(
          "model [{}] is on the disk of this node, which comes first; upload under another id",
          RestStatus.CONFLICT,
          id);
    }
  }

  private void change(Switch change, ActionListener<Response> listener) {
    String id = models.resolve(change.modelId);
    if (change.operation == Operation.RELOAD) {
      // What nodes would open is compared before any of them gives up what it has.
      models.ask(
          Operation.FOUND,
          id,
          new String[0],
          listener.delegateFailureAndWrap(
              (next, found) -> {
                checkEqual(id, found);
                all(Operation.RELOAD, id, next);
              }));
    } else {
      all(change.operation, id, listener);
    }
  }

  private static void checkEqual(String id, ModelNodesAction.Response found) {
    failIfNoneAnswered(found);
    TreeSet<String> fingerprints = new TreeSet<>();
    StringBuilder nodes = new StringBuilder();
    for (ModelNodesAction.NodeResponse node : found.getNodes()) {
      fingerprints.add(node.fingerprint().orElseThrow());
      nodes
          .append(nodes.isEmpty() ? "" : ", ")
          .append(node.getNode().getName())
          .append(": ")
          .append(node.fingerprint().orElseThrow());
    }
    if (fingerprints.size() > 1) {
      throw new ElasticsearchStatusException(
          "model [{}] has other files on some nodes, so nothing was reloaded: [{}]; put the same"
              + " files on every node",
          RestStatus.CONFLICT,
          id,
          nodes);
    }
  }

  private static void failIfNoneAnswered(ModelNodesAction.Response response) {
    if (response.getNodes().isEmpty() && response.hasFailures()) {
      FailedNodeException first = response.failures().getFirst();
      throw first.getCause() instanceof RuntimeException cause ? cause : first;
    }
  }

  private void all(Operation operation, String id, ActionListener<Response> listener) {
    models.ask(
        operation,
        id,
        new String[0],
        listener.map(
            answers -> {
              failIfNoneAnswered(answers);
              return new Response(
                  (builder, params) -> {
                    builder.startObject();
                    RestActions.buildNodesHeader(builder, params, answers);
                    builder.field("model_id", id);
                    return answers.toXContent(builder, params).endObject();
                  });
            }));
  }

  /** What to do with a model. */
  public abstract static sealed class Request extends ActionRequest {
    final String modelId;

    private Request(String modelId) {
      this.modelId = Objects.requireNonNull(modelId);
    }

    @Override
    public ActionRequestValidationException validate() {
      return null;
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
      TransportAction.localOnly();
    }
  }

  /** Begins an upload, or asks what is missing of it. */
  public static final class Begin extends Request {
    private final ModelFiles files;

    /** Announces the files of a model. */
    public Begin(String modelId, ModelFiles files) {
      super(modelId);
      this.files = files;
    }
  }

  /** Uploads a piece of a file. */
  public static final class AddPart extends Request {
    private final String file;
    private final long offset;
    private final byte[] content;
    private final Optional<String> sha256;

    /** Brings a piece; see {@link ClusterModels#addPart}. */
    public AddPart(
        String modelId, String file, long offset, byte[] content, Optional<String> sha256) {
      super(modelId);
      this.file = file;
      this.offset = offset;
      this.content = content;
      this.sha256 = sha256;
    }
  }

  /** Ends an upload. */
  public static final class Complete extends Request {
    /** Says that all pieces were sent. */
    public Complete(String modelId) {
      super(modelId);
    }
  }

  /** Deletes a model. */
  public static final class Remove extends Request {
    private final boolean force;

    /**
     * Asks for it.
     *
     * @param force whether also where something needs it
     */
    public Remove(String modelId, boolean force) {
      super(modelId);
      this.force = force;
    }
  }

  /** Opens or closes a model on all nodes. */
  public static final class Switch extends Request {
    private final Operation operation;

    /**
     * Asks for it.
     *
     * @param operation to load, unload or reload
     */
    public Switch(String modelId, Operation operation) {
      super(modelId);
      this.operation = operation;
    }
  }

  /** What was done. */
  public static final class Response extends ActionResponse implements ToXContentObject {
    private final ToXContentObject content;

    private Response(ToXContentObject content) {
      this.content = content;
    }

    @Override
    public void writeTo(StreamOutput out) {
      TransportAction.localOnly();
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
      return content.toXContent(builder, params);
    }
  }
}
