package org.lanewise.plugin.store;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionType;
import org.elasticsearch.action.FailedNodeException;
import org.elasticsearch.action.support.ActionFilters;
import org.elasticsearch.action.support.TransportAction;
import org.elasticsearch.action.support.nodes.BaseNodeResponse;
import org.elasticsearch.action.support.nodes.BaseNodesRequest;
import org.elasticsearch.action.support.nodes.BaseNodesResponse;
import org.elasticsearch.action.support.nodes.TransportNodesAction;
import org.elasticsearch.cluster.ClusterName;
import org.elasticsearch.cluster.node.DiscoveryNode;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.injection.guice.Inject;
import org.elasticsearch.tasks.Task;
import org.elasticsearch.threadpool.ThreadPool;
import org.elasticsearch.transport.AbstractTransportRequest;
import org.elasticsearch.transport.TransportService;
import org.elasticsearch.xcontent.ToXContent;
import org.elasticsearch.xcontent.ToXContentFragment;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.plugin.models.ModelRegistry;
import org.lanewise.plugin.models.OpenModel;

/** Has each of some nodes do something with a model. Asked by nodes, never by users. */
public final class ModelNodesAction
    extends TransportNodesAction<
        ModelNodesAction.Request,
        ModelNodesAction.Response,
        ModelNodesAction.NodeRequest,
        ModelNodesAction.NodeResponse,
        Void> {
  /** The action. */
  public static final ActionType<Response> TYPE = new ActionType<>("internal:lanewise/models");

  private final ModelRegistry registry;
  private final ClusterModels models;

  /** What to do. */
  public enum Operation {
    /** Say what is open, or being opened. */
    HELD,
    /** Say what would be opened now. */
    FOUND,
    /** Open it, unless it is. */
    LOAD,
    /** Close it when its work is done. */
    UNLOAD,
    /** Open it anew. */
    RELOAD,
    /** Close it and delete the copies of its files. */
    FORGET
  }

  /** Called by Elasticsearch. */
  @Inject
  public ModelNodesAction(
      ThreadPool threadPool,
      ClusterService clusterService,
      TransportService transportService,
      ActionFilters filters,
      ModelRegistry registry,
      ClusterModels models) {
    super(
        TYPE.name(),
        clusterService,
        transportService,
        filters,
        NodeRequest::new,
        // Files are read and deleted.
        threadPool.generic());
    this.registry = registry;
    this.models = models;
  }

  @Override
  protected Response newResponse(
      Request request, List<NodeResponse> responses, List<FailedNodeException> failures) {
    return new Response(clusterService.getClusterName(), responses, failures);
  }

  @Override
  protected NodeRequest newNodeRequest(Request request) {
    return new NodeRequest(request.operation, request.id);
  }

  @Override
  protected NodeResponse newNodeResponse(StreamInput in, DiscoveryNode node) throws IOException {
    return new NodeResponse(in, node);
  }

  @Override
  protected NodeResponse nodeOperation(NodeRequest request, Task task) {
    throw new UnsupportedOperationException("[" + TYPE.name() + "] answers through its listener");
  }

  @Override
  protected void nodeOperationAsync(
      NodeRequest request, Task task, ActionListener<NodeResponse> listener) {
    String id = request.id;
    ActionListener<OpenModel> opened =
        listener.map(open -> answer(Optional.of(open.fingerprint()), true));
    switch (request.operation) {
      case HELD -> {
        Optional<ModelRegistry.HeldModel> held = registry.held(id);
        listener.onResponse(
            answer(
                held.map(ModelRegistry.HeldModel::fingerprint),
                held.map(ModelRegistry.HeldModel::open).orElse(false)));
      }
      case FOUND ->
          registry.fingerprint(
              id, listener.map(fingerprint -> answer(Optional.of(fingerprint), false)));
      case LOAD -> registry.load(id, opened);
      case RELOAD -> registry.reload(id, opened);
      case UNLOAD -> registry.unload(id, listener.map(closed -> answer(Optional.empty(), false)));
      case FORGET ->
          registry.unload(
              id,
              listener.map(
                  closed -> {
                    models.forget(id);
                    return answer(Optional.empty(), false);
                  }));
    }
  }

  private NodeResponse answer(Optional<String> fingerprint, boolean open) {
    return new NodeResponse(clusterService.localNode(), fingerprint, open);
  }

  /** What to do, and where. */
  public static final class Request extends BaseNodesRequest {
    private final Operation operation;
    private final String id;

    /** Asks the nodes of these ids; without any, all. */
    Request(Operation operation, String id, String... nodes) {
      super(nodes);
      this.operation = operation;
      this.id = id;
    }
  }

  /** Asks one node. */
  static final class NodeRequest extends AbstractTransportRequest {
    private final Operation operation;
    private final String id;

    NodeRequest(Operation operation, String id) {
      this.operation = operation;
      this.id = id;
    }

    NodeRequest(StreamInput in) throws IOException {
      super(in);
      operation = in.readEnum(Operation.class);
      id = in.readString();
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
      super.writeTo(out);
      out.writeEnum(operation);
      out.writeString(id);
    }
  }

  /** How far a node is with the model now. */
  public static final class NodeResponse extends BaseNodeResponse {
    private final Optional<String> fingerprint;
    private final boolean open;

    NodeResponse(DiscoveryNode node, Optional<String> fingerprint, boolean open) {
      super(node);
      this.fingerprint = fingerprint;
      this.open = open;
    }

    NodeResponse(StreamInput in, DiscoveryNode node) throws IOException {
      super(in, node);
      fingerprint = Optional.ofNullable(in.readOptionalString());
      open = in.readBoolean();
    }

    /** Returns the fingerprint of what was asked for, if there is any. */
    public Optional<String> fingerprint() {
      return fingerprint;
    }

    /** Returns whether the model is open. */
    public boolean open() {
      return open;
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
      super.writeTo(out);
      out.writeOptionalString(fingerprint.orElse(null));
      out.writeBoolean(open);
    }
  }

  /** The answers of the nodes. */
  public static final class Response extends BaseNodesResponse<NodeResponse>
      implements ToXContentFragment {
    Response(
        ClusterName clusterName, List<NodeResponse> nodes, List<FailedNodeException> failures) {
      super(clusterName, nodes, failures);
    }

    @Override
    protected List<NodeResponse> readNodesFrom(StreamInput in) {
      return TransportAction.localOnly();
    }

    @Override
    protected void writeNodesTo(StreamOutput out, List<NodeResponse> nodes) {
      TransportAction.localOnly();
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, ToXContent.Params params)
        throws IOException {
      builder.startObject("nodes");
      for (NodeResponse node : getNodes()) {
        builder
            .startObject(node.getNode().getId())
            .field("name", node.getNode().getName())
            .field("state", node.open ? "open" : "not_opened");
        if (node.fingerprint.isPresent()) {
          builder.field("fingerprint", node.fingerprint.get());
        }
        builder.endObject();
      }
      return builder.endObject();
    }
  }
}
