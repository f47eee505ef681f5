package org.lanewise.encoder.batch;

import java.util.Arrays;
import java.util.List;
import org.lanewise.encoder.tokenizer.Tokens;

/**
 * Several sequences end to end, with no padding between them.
 *
 * <p>Sequence {@code i} owns the tokens {@code sequenceStarts[i]} up to, and without, {@code
 * sequenceStarts[i + 1]}. The arrays are not copied: treat them as read-only.
 *
 * @param ids vocabulary id of each token
 * @param typeIds segment id of each token
 * @param positions position of each token within its sequence, from 0
 * @param sequenceStarts n + 1 ascending offsets, the first 0, the last the number of tokens
 * @param pooledStarts first token of each sequence that enters the pooling
 * @param readTokens tokens of each sequence that attention reads, from its first on
 */
public record PackedBatch(
    int[] ids,
    int[] typeIds,
    int[] positions,
    int[] sequenceStarts,
    int[] pooledStarts,
    int[] readTokens) {

  /** Returns a batch in which all tokens are read. */
  public PackedBatch(
      int[] ids, int[] typeIds, int[] positions, int[] sequenceStarts, int[] pooledStarts) {
    this(ids, typeIds, positions, sequenceStarts, pooledStarts, lengths(sequenceStarts));
  }

  private static int[] lengths(int[] starts) {
    int[] lengths = new int[starts.length - 1];
    Arrays.setAll(lengths, i -> starts[i + 1] - starts[i]);
    return lengths;
  }

  /**
   * Returns the batch with tokens at the end of sequences that read the others, and that none
   * reads.
   *
   * @param unread how many of each sequence, fewer than it has
   */
  public PackedBatch withUnread(int[] unread) {
    int[] read = lengths(sequenceStarts);
    for (int i = 0; i < read.length; i++) {
      if (unread[i] < 0 || unread[i] >= read[i]) {
        throw new IllegalArgumentException(
            "["
                + unread[i]
                + "] of "
                + read[i]
                + " tokens are not read, expected at least 1 to be");
      }
      read[i] -= unread[i];
    }
    return new PackedBatch(ids, typeIds, positions, sequenceStarts, pooledStarts, read);
  }

  /** Returns whether attention reads all tokens. */
  public boolean allRead() {
    return Arrays.equals(readTokens, lengths(sequenceStarts));
  }

  /**
   * Returns the sequences packed in the given order.
   *
   * @param promptTokens leading tokens of each sequence that stay out of the pooling
   */
  public static PackedBatch pack(List<Tokens> sequences, int[] promptTokens) {
    int tokens = 0;
    for (Tokens sequence : sequences) {
      if (sequence.length() == 0) {
        throw new IllegalArgumentException("a sequence has no tokens, expected at least 1");
      }
      tokens = Math.addExact(tokens, sequence.length());
    }
    int[] ids = new int[tokens];
    int[] typeIds = new int[tokens];
    int[] positions = new int[tokens];
    int[] starts = new int[sequences.size() + 1];
    int[] pooledStarts = new int[sequences.size()];
    int at = 0;
    for (int i = 0; i < sequences.size(); i++) {
      Tokens sequence = sequences.get(i);
      int length = sequence.length();
      System.arraycopy(sequence.ids(), 0, ids, at, length);
      System.arraycopy(sequence.typeIds(), 0, typeIds, at, length);
      for (int position = 0; position < length; position++) {
        positions[at + position] = position;
      }
      // A prompt that fills the whole sequence leaves its last token to pool.
      pooledStarts[i] = at + Math.min(promptTokens[i], length - 1);
      at += length;
      starts[i + 1] = at;
    }
    return new PackedBatch(ids, typeIds, positions, starts, pooledStarts);
  }

  /** Returns the sequences packed in the given order, all tokens entering the pooling. */
  public static PackedBatch pack(List<Tokens> sequences) {
    return pack(sequences, new int[sequences.size()]);
  }

  /**
   * Returns sequences of tokens that are no vocabulary's, for what follows an encoder or replaces
   * it: all ids are 0.
   *
   * @param sequenceStarts n + 1 ascending offsets, the first 0
   */
  public static PackedBatch of(int[] sequenceStarts) {
    int sequences = sequenceStarts.length - 1;
    int tokens = sequenceStarts[sequences];
    int[] positions = new int[tokens];
    for (int i = 0; i < sequences; i++) {
      for (int token = sequenceStarts[i]; token < sequenceStarts[i + 1]; token++) {
        positions[token] = token - sequenceStarts[i];
      }
    }
    int[] pooledStarts = Arrays.copyOf(sequenceStarts, sequences);
    return new PackedBatch(
        new int[tokens], new int[tokens], positions, sequenceStarts, pooledStarts);
  }

  /**
   * Returns the batch with positions as RoBERTa counts them: from {@code paddingId + 1} on, tokens
   * of that id not being counted and having it as their position.
   */
  public PackedBatch withPositionsAfter(int paddingId) {
    int[] counted = new int[ids.length];
    for (int i = 0; i < sequences(); i++) {
      int position = paddingId;
      for (int token = sequenceStarts[i]; token < sequenceStarts[i + 1]; token++) {
        counted[token] = ids[token] == paddingId ? paddingId : ++position;
      }
    }
    return new PackedBatch(ids, typeIds, counted, sequenceStarts, pooledStarts, readTokens);
  }

  /** Returns the number of tokens of all sequences. */
  public int tokens() {
    return ids.length;
  }

  /** Returns the number of sequences. */
  public int sequences() {
    return sequenceStarts.length - 1;
  }

  /** Returns the number of tokens of sequence {@code i}. */
  public int length(int i) {
    return sequenceStarts[i + 1] - sequenceStarts[i];
  }

  /** Returns the number of tokens of the longest sequence. */
  public int longest() {
    int longest = 0;
    for (int i = 0; i < sequences(); i++) {
      longest = Math.max(longest, length(i));
    }
    return longest;
  }
}
