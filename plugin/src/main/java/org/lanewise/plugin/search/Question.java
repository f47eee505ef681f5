package org.lanewise.plugin.search;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.ContextPreservingActionListener;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParseException;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.plugin.action.Deadline;
import org.lanewise.plugin.action.EmbedAction;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.models.Encoded;
import org.lanewise.plugin.models.ModelRegistry;

/**
 * A question to a model, on the search side of its prompts.
 *
 * @param modelId the model, which must be the one that wrote the field
 * @param text the question
 * @param promptName the model's prompt to use instead of that for questions
 * @param timeout the longest time that the search waits for the answer
 */
public record Question(String modelId, String text, Optional<String> promptName, TimeValue timeout)
    implements Writeable {
  static final ParseField TIMEOUT = new ParseField("timeout");

  /**
   * Returns the question of a search, with the bundled model where it names none.
   *
   * @param option what the search calls the text
   * @throws XContentParseException for a bad id or a question without text
   */
  static Question of(
      String option, String modelId, String text, String promptName, String timeout) {
    return parsed(
        () -> {
          String id = modelId == null ? ModelRegistry.BUNDLED_MODEL : modelId;
          ModelRegistry.checkId(id);
          if (text == null) {
            throw new IllegalArgumentException("[" + option + "] must not be null.");
          }
          if (!EncodeRequest.hasText(text)) {
            throw new IllegalArgumentException("[" + option + "] must not be empty.");
          }
          return new Question(id, text, Optional.ofNullable(promptName), timeout(timeout));
        });
  }

  /** Returns the time that an option of a search states, or the usual one. */
  static TimeValue timeout(String stated) {
    return stated == null
        ? Deadline.USUAL.timeout()
        : TimeValue.parseTimeValue(stated, TIMEOUT.getPreferredName());
  }

  /** Returns what is made of parsed options, or throws what is wrong with them as a parser does. */
  static <T> T parsed(Supplier<T> made) {
    try {
      return made.get();
    } catch (IllegalArgumentException e) {
      // Of nested errors, the innermost of this type is the one that a response shows first.
      throw new XContentParseException(null, e.getMessage(), e);
    }
  }

  /** Reads what {@link #writeTo} wrote. */
  public Question(StreamInput in) throws IOException {
    this(
        in.readString(),
        in.readString(),
        Optional.ofNullable(in.readOptionalString()),
        in.readTimeValue());
  }

  @Override
  public void writeTo(StreamOutput out) throws IOException {
    out.writeString(modelId);
    out.writeString(text);
    out.writeOptionalString(promptName.orElse(null));
    out.writeTimeValue(timeout);
  }

  /** Writes the time, unless it is the usual one. */
  void timeoutToXContent(XContentBuilder builder) throws IOException {
    if (!timeout.equals(Deadline.USUAL.timeout())) {
      builder.field(TIMEOUT.getPreferredName(), timeout.getStringRep());
    }
  }

  /** Asks the model on this node. */
  void ask(Client client, Output output, ActionListener<Encoded> listener) {
    ThreadContext threadContext = client.threadPool().getThreadContext();
    ActionListener<EmbedAction.Response> answer =
        ContextPreservingActionListener.wrapPreservingContext(
            listener.map(response -> response.answers().getFirst()), threadContext);
    EmbedAction.Request request =
        new EmbedAction.Request(
            modelId, List.of(text), Side.SEARCH, promptName, Set.of(output), new Deadline(timeout));
    SearchTasks.adopt(request, client);
    // As the node itself: who may search an index need not be allowed to monitor the cluster.
    try (ThreadContext.StoredContext _ = threadContext.stashContext()) {
      client.execute(EmbedAction.TYPE, request, answer);
    }
  }
}
