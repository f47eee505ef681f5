package org.lanewise.plugin.action;

import java.util.function.BooleanSupplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.ActionType;
import org.elasticsearch.action.support.ActionFilters;
import org.elasticsearch.action.support.TransportAction;
import org.elasticsearch.common.util.concurrent.EsExecutors;
import org.elasticsearch.tasks.Task;
import org.elasticsearch.threadpool.ThreadPool;
import org.elasticsearch.transport.TransportService;
import org.lanewise.plugin.encode.EncodeService;

/**
 * Lets a model read texts on the node that is asked; requests and responses never travel.
 *
 * @param <Q> the request
 * @param <R> the response
 */
abstract class TextsAction<Q extends TextsRequest, R extends ActionResponse>
    extends TransportAction<Q, R> {
  private final ThreadPool threadPool;
  private final EncodeService service;

  TextsAction(
      ActionType<R> type,
      TransportService transportService,
      ActionFilters filters,
      EncodeService service) {
    super(
        type.name(),
        filters,
        transportService.getTaskManager(),
        EsExecutors.DIRECT_EXECUTOR_SERVICE);
    this.threadPool = transportService.getThreadPool();
    this.service = service;
  }

  @Override
  protected final void doExecute(Task task, Q request, ActionListener<R> listener) {
    int texts = request.texts().size();
    try {
      service.checkCount(texts);
    } catch (IllegalArgumentException e) {
      listener.onFailure(e);
      return;
    }
    request
        .deadline()
        .ask(
            task,
            threadPool,
            request.modelId(),
            texts,
            listener,
            (abandoned, waiting) -> ask(service, request, abandoned, waiting));
  }

  /**
   * Asks the model.
   *
   * @param abandoned whether nobody waits any more
   */
  abstract void ask(
      EncodeService service, Q request, BooleanSupplier abandoned, ActionListener<R> listener);
}
