package org.lanewise.plugin.action;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.ActionType;
import org.elasticsearch.action.support.ActionFilters;
import org.elasticsearch.action.support.TransportAction;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.injection.guice.Inject;
import org.elasticsearch.transport.TransportService;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.encode.EncodeRequest.Truncate;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.encode.TagSelection;
import org.lanewise.plugin.models.Encoded;

/** Embeds texts on the node that is asked; requests and responses never travel. */
public final class EmbedAction extends TextsAction<EmbedAction.Request, EmbedAction.Response> {
  /** The action; its name asks for the {@code monitor} privilege where security is on. */
  public static final ActionType<Response> TYPE =
      new ActionType<>("cluster:monitor/lanewise/embed");

  /** Called by Elasticsearch. */
  @Inject
  public EmbedAction(
      TransportService transportService, ActionFilters filters, EncodeService service) {
    super(TYPE, transportService, filters, service);
  }

  @Override
  void ask(
      EncodeService service,
      Request request,
      BooleanSupplier abandoned,
      ActionListener<Response> listener) {
    service.embed(
        new EncodeRequest(
            request.modelId(),
            EncodeRequest.all(request.texts(), request.outputs),
            request.side,
            request.promptName,
            Truncate.FIRST),
        abandoned,
        listener.map(answers -> new Response(request.modelId(), answers)));
  }

  /** The texts to embed. */
  public static final class Request extends TextsRequest {
    private final Side side;
    private final Optional<String> promptName;
    private final Set<Output> outputs;

    /** Creates a request; see {@link EncodeRequest} for the parameters. */
    public Request(
        String modelId,
        List<String> texts,
        Side side,
        Optional<String> promptName,
        Set<Output> outputs,
        Deadline deadline) {
      super(modelId, texts, deadline);
      this.side = side;
      this.promptName = promptName;
      this.outputs = Set.copyOf(outputs);
    }
  }

  /** What was made of the texts, in their order. */
  public static final class Response extends ActionResponse implements ToXContentObject {
    private final String modelId;
    private final List<Encoded> answers;

    Response(String modelId, List<Encoded> answers) {
      this.modelId = modelId;
      this.answers = answers;
    }

    /** Returns one answer for each text, in order. */
    public List<Encoded> answers() {
      return answers;
    }

    @Override
    public void writeTo(StreamOutput out) {
      TransportAction.localOnly();
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
      builder.startObject().field("model_id", modelId).startArray("text_embedding");
      for (Encoded answer : answers) {
        builder.startObject();
        if (answer.dense().isPresent()) {
          builder.array("embedding", answer.dense().get());
        }
        if (answer.sparse().isPresent()) {
          builder.field("sparse_embedding", answer.sparse().get());
        }
        if (answer.multiVector().isPresent()) {
          builder.startArray("token_embeddings");
          for (float[] vector : answer.multiVector().get()) {
            builder.value(vector);
          }
          builder.endArray();
        }
        if (answer.tags().isPresent()) {
          builder.field(
              "tags", TagSelection.USUAL.of(answer.tags().get()).fields(Optional.empty()));
        }
        builder.field("tokens", answer.tokens());
        builder.field("is_truncated", answer.truncated());
        builder.endObject();
      }
      return builder.endArray().endObject();
    }
  }
}
