package org.lanewise.plugin.action;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.ActionType;
import org.elasticsearch.action.ValidateActions;
import org.elasticsearch.action.support.ActionFilters;
import org.elasticsearch.action.support.TransportAction;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.injection.guice.Inject;
import org.elasticsearch.transport.TransportService;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.encoder.AnswerFinder.Answer;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.encode.EncodeService;

/** Finds answers in texts on the node that is asked; nothing travels. */
public final class AnswerAction extends TextsAction<AnswerAction.Request, AnswerAction.Response> {
  /** The action; its name asks for the {@code monitor} privilege where security is on. */
  public static final ActionType<Response> TYPE =
      new ActionType<>("cluster:monitor/lanewise/answer");

  /** Called by Elasticsearch. */
  @Inject
  public AnswerAction(
      TransportService transportService, ActionFilters filters, EncodeService service) {
    super(TYPE, transportService, filters, service);
  }

  @Override
  void ask(
      EncodeService service,
      Request request,
      BooleanSupplier abandoned,
      ActionListener<Response> listener) {
    service.answer(
        request.modelId(),
        request.question,
        request.mostTokens,
        request.texts(),
        abandoned,
        listener.map(answers -> new Response(request.modelId(), answers)));
  }

  /** A question, and texts that may hold its answer. */
  public static final class Request extends TextsRequest {
    private final String question;
    private final int mostTokens;

    /**
     * Creates a request to a model that answers questions.
     *
     * @param mostTokens most tokens of an answer
     */
    public Request(
        String modelId, String question, int mostTokens, List<String> texts, Deadline deadline) {
      super(modelId, texts, deadline);
      this.question = question;
      this.mostTokens = mostTokens;
    }

    @Override
    public ActionRequestValidationException validate() {
      ActionRequestValidationException errors = super.validate();
      if (!EncodeRequest.hasText(question)) {
        errors = ValidateActions.addValidationError("[question] has no text", errors);
      }
      if (mostTokens < 1) {
        errors =
            ValidateActions.addValidationError(
                "[max_answer_tokens] is [" + mostTokens + "], expected at least [1]", errors);
      }
      return errors;
    }
  }

  /** The best answer in each text, in the order of the texts. */
  public static final class Response extends ActionResponse implements ToXContentObject {
    private final String modelId;
    private final List<Optional<Answer>> answers;

    Response(String modelId, List<Optional<Answer>> answers) {
      this.modelId = modelId;
      this.answers = answers;
    }

    @Override
    public void writeTo(StreamOutput out) {
      TransportAction.localOnly();
    }

    /** Lists an empty object for a text that the model reads no token of. */
    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
      builder.startObject().field("model_id", modelId).startArray("answers");
      for (Optional<Answer> each : answers) {
        builder.startObject();
        if (each.isPresent()) {
          builder.field("text", each.get().text());
          builder.field("score", each.get().score());
          builder.field("start_pos", each.get().start());
          builder.field("end_pos", each.get().end());
        }
        builder.endObject();
      }
      return builder.endArray().endObject();
    }
  }
}
