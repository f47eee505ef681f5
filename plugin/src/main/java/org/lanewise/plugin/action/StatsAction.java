package org.lanewise.plugin.action;

import java.io.IOException;
import java.util.List;
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
import org.elasticsearch.xcontent.ToXContentFragment;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.encode.ServiceStats;

/** Gathers the counters of all nodes. */
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

  /** Called by Elasticsearch. */
  @Inject
  public StatsAction(
      ThreadPool threadPool,
      ClusterService clusterService,
      TransportService transportService,
      ActionFilters filters,
      EncodeService service) {
    super(
        TYPE.name(),
        clusterService,
        transportService,
        filters,
        NodeRequest::new,
        threadPool.executor(ThreadPool.Names.MANAGEMENT));
    this.service = service;
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
    return new NodeResponse(clusterService.localNode(), service.stats());
  }

  /** Asks all nodes. */
  public static final class Request extends BaseNodesRequest {
    /** Creates the request. */
    public Request() {
      super(new String[0]);
    }
  }

  /** Asks one node. */
  static final class NodeRequest extends AbstractTransportRequest {
    NodeRequest() {}

    NodeRequest(StreamInput in) throws IOException {
      super(in);
    }
  }

  /** The counters of one node. */
  static final class NodeResponse extends BaseNodeResponse {
    private final ServiceStats stats;

    NodeResponse(DiscoveryNode node, ServiceStats stats) {
      super(node);
      this.stats = stats;
    }

    NodeResponse(StreamInput in, DiscoveryNode node) throws IOException {
      super(in, node);
      stats = new ServiceStats(in);
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
      super.writeTo(out);
      stats.writeTo(out);
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
        builder.startObject(node.getNode().getId()).field("name", node.getNode().getName());
        node.stats.toXContent(builder, params).endObject();
      }
      return builder.endObject();
    }
  }
}
