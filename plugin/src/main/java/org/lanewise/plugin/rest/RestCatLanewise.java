package org.lanewise.plugin.rest;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.Table;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestRequest.Method;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.action.RestResponseListener;
import org.elasticsearch.rest.action.cat.AbstractCatAction;
import org.elasticsearch.rest.action.cat.RestTable;
import org.lanewise.plugin.action.ModelState;
import org.lanewise.plugin.action.StatsAction;
import org.lanewise.plugin.encode.LaneStats;
import org.lanewise.plugin.encode.ModelStats;
import org.lanewise.plugin.encode.QueryCacheStats;
import org.lanewise.plugin.encode.ServiceStats;
import org.lanewise.plugin.encode.WorkStats;
import org.lanewise.plugin.models.ModelKind;

/**
 * {@code GET /_cat/lanewise} and {@code GET /_cat/lanewise/{node_id}}: a row per node and model.
 */
public final class RestCatLanewise extends AbstractCatAction {
  @Override
  public String getName() {
    return "cat_lanewise_action";
  }

  @Override
  public List<Route> routes() {
    return List.of(
        new Route(Method.GET, "/_cat/lanewise"), new Route(Method.GET, "/_cat/lanewise/{node_id}"));
  }

  @Override
  protected void documentation(StringBuilder text) {
    text.append("/_cat/lanewise\n");
    text.append("/_cat/lanewise/{node_id}\n");
  }

  @Override
  protected RestChannelConsumer doCatRequest(RestRequest request, NodeClient client) {
    StatsAction.Request stats =
        new StatsAction.Request(Strings.splitStringByCommaToArray(request.param("node_id")));
    return channel ->
        client.execute(
            StatsAction.TYPE,
            stats,
            new RestResponseListener<>(channel) {
              @Override
              public RestResponse buildResponse(StatsAction.Response response) throws Exception {
                RestResponse answer = RestTable.buildResponse(table(request, response), channel);
                if (!response.failures().isEmpty()) {
                  answer.addHeader(
                      "Warning", "[" + response.failures().size() + "] nodes did not answer");
                }
                return answer;
              }
            });
  }

  @Override
  protected Table getTableWithHeader(RestRequest request) {
    Table table = new Table();
    table.startHeaders();
    table.addCell("node_id", "default:false;alias:nid;desc:id of the node");
    table.addCell("node", "alias:n,node_name;desc:name of the node");
    table.addCell("id", "alias:m,model,model_id;desc:id of the model");
    table.addCell("kind", "alias:k;desc:what the model is");
    table.addCell("state", "alias:s;desc:not_opened, opening, open or failed");
    table.addCell("backend", "alias:b;desc:backend that runs");
    table.addCell("kernels", "default:false;alias:kn;desc:what multiplies matrices");
    table.addCell("precision", "alias:p;desc:precision that runs");
    table.addCell("texts", "alias:t;text-align:right;desc:texts that got an answer");
    table.addCell("tokens", "alias:to;text-align:right;desc:tokens of these texts");
    table.addCell("truncated", "alias:tr;text-align:right;desc:texts that were cut");
    table.addCell("failures", "alias:f;text-align:right;desc:texts that got an error");
    table.addCell(
        "rejected", "alias:r;text-align:right;desc:texts that the whole node had no place for");
    table.addCell("queue", "alias:q;text-align:right;desc:texts that wait in the whole node");
    table.addCell(
        "cache_hit_ratio",
        "alias:chr;text-align:right;desc:questions that the whole node answered from its cache");
    table.addCell("time", "alias:ti;text-align:right;desc:time that threads spent on the model");
    table.addCell("reason", "default:false;alias:re;desc:why the model could not be opened");
    table.endHeaders();
    return table;
  }

  private Table table(RestRequest request, StatsAction.Response response) {
    Table table = getTableWithHeader(request);
    for (StatsAction.NodeResponse node : response.getNodes()) {
      for (ModelState model : node.models()) {
        addRow(table, node, model);
      }
    }
    return table;
  }

  private static void addRow(Table table, StatsAction.NodeResponse node, ModelState model) {
    ServiceStats stats = node.stats();
    Optional<ModelStats> used = Optional.ofNullable(stats.models().get(model.id()));
    WorkStats work = used.map(ModelStats::total).orElse(WorkStats.NOTHING);
    LaneStats lanes = stats.bulk().plus(stats.search());
    QueryCacheStats cache = stats.queryCache();
    table.startRow();
    table.addCell(node.getNode().getId());
    table.addCell(node.getNode().getName());
    table.addCell(model.id());
    table.addCell(model.kind().map(ModelKind::label).orElse(null));
    table.addCell(model.stateLabel());
    table.addCell(used.map(ModelStats::backend).orElse(null));
    table.addCell(used.map(ModelStats::kernels).orElse(null));
    table.addCell(used.map(ModelStats::precision).orElse(null));
    table.addCell(work.texts());
    table.addCell(work.tokens());
    table.addCell(work.truncated());
    table.addCell(work.failures());
    table.addCell(lanes.rejected());
    table.addCell(lanes.queue());
    table.addCell(String.format(Locale.ROOT, "%.2f", cache.hitRatio()));
    table.addCell(TimeValue.timeValueMillis(work.millis()));
    table.addCell(model.reason().orElse(null));
    table.endRow();
  }
}
