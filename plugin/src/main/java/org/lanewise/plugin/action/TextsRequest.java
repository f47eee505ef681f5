package org.lanewise.plugin.action;

import java.util.List;
import java.util.Map;
import org.elasticsearch.action.ActionRequest;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.action.ValidateActions;
import org.elasticsearch.action.support.TransportAction;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.tasks.CancellableTask;
import org.elasticsearch.tasks.Task;
import org.elasticsearch.tasks.TaskId;
import org.lanewise.plugin.encode.EncodeRequest;

/**
 * Texts for a model, which somebody waits for. Never leaves its node; its task can be cancelled.
 */
public abstract class TextsRequest extends ActionRequest {
  private final String modelId;
  private final List<String> texts;
  private final Deadline deadline;

  TextsRequest(String modelId, List<String> texts, Deadline deadline) {
    this.modelId = modelId;
    this.texts = List.copyOf(texts);
    this.deadline = deadline;
  }

  final String modelId() {
    return modelId;
  }

  final List<String> texts() {
    return texts;
  }

  final Deadline deadline() {
    return deadline;
  }

  /** Returns what keeps the texts from being read, or null. */
  @Override
  public ActionRequestValidationException validate() {
    if (texts.isEmpty()) {
      return ValidateActions.addValidationError("[input] must have at least one text", null);
    }
    ActionRequestValidationException errors = null;
    for (int i = 0; i < texts.size(); i++) {
      if (!EncodeRequest.hasText(texts.get(i))) {
        errors =
            ValidateActions.addValidationError(
                "[input] has no text at position [" + i + "]", errors);
      }
    }
    return errors;
  }

  @Override
  public final Task createTask(
      long id, String type, String action, TaskId parent, Map<String, String> headers) {
    return new CancellableTask(id, type, action, getDescription(), parent, headers);
  }

  @Override
  public final void writeTo(StreamOutput out) {
    TransportAction.localOnly();
  }
}
