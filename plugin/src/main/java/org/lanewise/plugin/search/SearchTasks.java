package org.lanewise.plugin.search;

import java.util.List;
import java.util.function.Supplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRequest;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.search.TransportSearchAction;
import org.elasticsearch.action.support.ActionFilterChain;
import org.elasticsearch.action.support.MappedActionFilter;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.tasks.Task;

/**
 * Makes what a search asks of a model a part of its task. The server does not tell queries and
 * retrievers which task they are rewritten for; with this it stands in the thread context, and a
 * search that is cancelled, or whose client went away, takes its questions with it.
 */
public final class SearchTasks implements MappedActionFilter {
  private static final String KEY = "_lanewise_search_task";

  private final ThreadContext threadContext;
  private final Supplier<String> nodeId;

  /**
   * Creates a filter that notes tasks in this context.
   *
   * @param nodeId the id of this node, which is first asked when a search comes
   */
  public SearchTasks(ThreadContext threadContext, Supplier<String> nodeId) {
    this.threadContext = threadContext;
    this.nodeId = nodeId;
  }

  @Override
  public String actionName() {
    return TransportSearchAction.NAME;
  }

  @Override
  public <Q extends ActionRequest, R extends ActionResponse> void apply(
      Task task,
      String action,
      Q request,
      ActionListener<R> listener,
      ActionFilterChain<Q, R> chain) {
    try (ThreadContext.StoredContext _ = threadContext.newStoredContext(List.of(KEY), List.of())) {
      threadContext.putTransient(KEY, new SearchTask(nodeId.get(), task.getId()));
      chain.proceed(task, action, request, listener);
    }
  }

  /** Makes the request a child of the search that this thread works for, if it does. */
  static void adopt(ActionRequest request, Client client) {
    SearchTask search = client.threadPool().getThreadContext().getTransient(KEY);
    if (search != null) {
      request.setParentTask(search.node, search.id);
    }
  }

  private record SearchTask(String node, long id) {}
}
