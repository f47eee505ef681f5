package org.lanewise.plugin.action;

import java.io.IOException;
import java.util.List;
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
import org.lanewise.encoder.backend.Backends;
import org.lanewise.plugin.LanewiseSettings;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.encode.ServiceStats;
import org.lanewise.plugin.models.ModelRegistry;

/** Gathers the counters of nodes, and how far they are with their models. */
public final class StatsAction
    extends TransportNodesAction<
        StatsAction.Request,
        StatsAction.Response,
        StatsAction.NodeRequest,
        StatsAction.NodeResponse,
        Void> {
  /** The action; its name asks for the {@code monitor} privilege where security is on. */
  public static final ActionType<Response> TYPE =
      new ActionType<>("cluster:monitor/lanewise/stats");

  private final EncodeService service;
  private final ModelRegistry registry;

  /** Called by Elasticsearch. */
  @Inject
  public StatsAction(
      ThreadPool threadPool,
      ClusterService clusterService,
      TransportService transportService,
      ActionFilters filters,
      EncodeService service,
      ModelRegistry registry) {
    super(
        TYPE.name(),
        clusterService,
        transportService,
        filters,
        NodeRequest::new,
        // Directories are read, and threads of the management pool wait for the answer.
        threadPool.generic());
    this.service = service;
    this.registry = registry;
  }

  @Override
  protected Response newResponse(
      Request request, List<NodeResponse> responses, List<FailedNodeException> failures) {
    return new Response(clusterService.getClusterName(), responses, failures);
  }

  @Override
  protected NodeRequest newNodeRequest(Request request) {
    return new NodeRequest();
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
    registry.list(
        listener.map(
            models ->
                new NodeResponse(
                    clusterService.localNode(),
                    LanewiseSettings.of(clusterService.getSettings()).backend(),
                    Backends.vectorApiPresent(),
                    service.stats(),
                    models.stream().map(ModelState::of).toList())));
  }

  /** Which nodes to ask. */
  public static final class Request extends BaseNodesRequest {
    /** Asks the nodes that match one of these, as {@code _nodes} reads them; without any, all. */
    public Request(String... nodeIds) {
      super(nodeIds);
    }
  }

  /** Asks one node. */
  static final class NodeRequest extends AbstractTransportRequest {
    NodeRequest() {}

    NodeRequest(StreamInput in) throws IOException {
      super(in);
    }
  }

  /** What one node did, and can do. */
  public static final class NodeResponse extends BaseNodeResponse {
    private final String backend;
    private final boolean vectorApi;
    private final ServiceStats stats;
    private final List<ModelState> models;

    /**
     * Creates the answer of a node.
     *
     * @param backend what {@code lanewise.backend} asks for
     * @param vectorApi whether its JVM has the Vector API
     */
    public NodeResponse(
        DiscoveryNode node,
        String backend,
        boolean vectorApi,
        ServiceStats stats,
        List<ModelState> models) {
      super(node);
      this.backend = backend;
      this.vectorApi = vectorApi;
      this.stats = stats;
      this.models = List.copyOf(models);
    }

    NodeResponse(StreamInput in, DiscoveryNode node) throws IOException {
      super(in, node);
      backend = in.readString();
      vectorApi = in.readBoolean();
      stats = new ServiceStats(in);
      models = in.readCollectionAsImmutableList(ModelState::new);
    }

    /** Returns whether it computes on plain loops although nobody asked for them. */
    public boolean lacksVectorApi() {
      return !vectorApi && !backend.equals("scalar");
    }

    /** Returns what it did. */
    public ServiceStats stats() {
      return stats;
    }

    /** Returns all its models, in the order of their ids. */
    public List<ModelState> models() {
      return models;
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
      super.writeTo(out);
      out.writeString(backend);
      out.writeBoolean(vectorApi);
      stats.writeTo(out);
      out.writeCollection(models);
    }

    private void toXContent(XContentBuilder builder, ToXContent.Params params) throws IOException {
      builder.startObject(getNode().getId()).field("name", getNode().getName());
      builder.field("backend", backend).field("vector_api", vectorApi);
      stats.toXContent(builder, params);
      builder.startObject("model_states");
      for (ModelState model : models) {
        builder.field(model.id(), model);
      }
      builder.endObject().endObject();
    }
  }

  /** The counters of the nodes that answered. */
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
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
      builder.startObject("nodes");
      for (NodeResponse node : getNodes()) {
        node.toXContent(builder, params);
      }
      return builder.endObject();
    }
  }
}
