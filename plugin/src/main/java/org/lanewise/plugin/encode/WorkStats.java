package org.lanewise.plugin.encode;

import java.io.IOException;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.xcontent.ToXContentFragment;
import org.elasticsearch.xcontent.XContentBuilder;

/**
 * Work done since the node started.
 *
 * @param texts texts that got an answer
 * @param tokens tokens of these texts, or words or characters, as the model counts
 * @param truncated those of these texts that were cut
 * @param batches batches that were computed
 * @param failures texts that got an error instead
 * @param millis time that threads spent tokenizing and computing, in milliseconds
 */
public record WorkStats(
    long texts, long tokens, long truncated, long batches, long failures, long millis)
    implements Writeable, ToXContentFragment {

  /** No work. */
  public static final WorkStats NOTHING = new WorkStats(0, 0, 0, 0, 0, 0);

  /** Reads what {@link #writeTo} wrote. */
  public WorkStats(StreamInput in) throws IOException {
    this(
        in.readVLong(),
        in.readVLong(),
        in.readVLong(),
        in.readVLong(),
        in.readVLong(),
        in.readVLong());
  }

  /** Returns the sum of both. */
  public WorkStats plus(WorkStats other) {
    return new WorkStats(
        texts + other.texts,
        tokens + other.tokens,
        truncated + other.truncated,
        batches + other.batches,
        failures + other.failures,
        millis + other.millis);
  }

  @Override
  public void writeTo(StreamOutput out) throws IOException {
    out.writeVLong(texts);
    out.writeVLong(tokens);
    out.writeVLong(truncated);
    out.writeVLong(batches);
    out.writeVLong(failures);
    out.writeVLong(millis);
  }

  @Override
  public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
    return builder
        .field("texts", texts)
        .field("tokens", tokens)
        .field("truncated", truncated)
        .field("batches", batches)
        .field("failures", failures)
        .humanReadableField(
            "encode_time_in_millis", "encode_time", TimeValue.timeValueMillis(millis));
  }
}
