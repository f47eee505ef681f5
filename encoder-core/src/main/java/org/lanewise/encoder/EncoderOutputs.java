package org.lanewise.encoder;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import org.lanewise.encoder.head.HeadKind;
import org.lanewise.encoder.head.SparseVector;

/**
 * Makes several outputs of a text in one forward pass, on the calling thread alone: for servers,
 * which bring threads and batches of their own.
 *
 * <p>A head's weights are prepared when its output is first asked for. Thread-safe; lives as long
 * as the embedder under it.
 */
public final class EncoderOutputs {
  /** What an encoder makes of a text. */
  public enum Output {
    /** A vector: {@link TextEmbedder}. */
    DENSE,
    /** Weights of tokens of the vocabulary: {@link SparseEmbedder}. */
    SPARSE,
    /** A vector for each token: {@link TokenEmbedder}. */
    MULTI_VECTOR;

    /** Returns the name that users see. */
    public String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * A text as the model reads it: once, or more than once where outputs want other tokens of it.
   *
   * @param parts at least one; no output is in two of them
   */
  public record Reading(List<Part> parts) {
    /** Copies the list. */
    public Reading {
      parts = List.copyOf(parts);
    }

    /** Returns how many tokens the model reads. */
    public int tokens() {
      return parts.stream().mapToInt(part -> part.text().length()).sum();
    }

    /** Returns whether the model does not see the end of the text. */
    public boolean truncated() {
      return parts.stream().anyMatch(part -> part.text().tokens().truncated());
    }
  }

  /**
   * Tokens, and what is made of them.
   *
   * @param text the tokens
   * @param outputs what they are read for, at least one
   * @param kept the tokens that have a vector in {@link Output#MULTI_VECTOR}
   */
  public record Part(EncodedText text, Set<Output> outputs, int[] kept) {
    /** Copies the set. */
    public Part {
      outputs = Set.copyOf(outputs);
    }
  }

  /**
   * What was made of a text; everything that was not asked for is empty.
   *
   * @param dense the vector
   * @param sparse the weights of tokens
   * @param multiVector a vector for each token, [token][dimensions]
   * @param tokens tokens that entered the model, special tokens and prompt included
   * @param truncated whether the text was longer than the model takes and was cut
   */
  public record Answer(
      Optional<float[]> dense,
      Optional<SparseVector> sparse,
      Optional<float[][]> multiVector,
      int tokens,
      boolean truncated) {
    /** Returns the vector, which was asked for. */
    public float[] vector() {
      return dense.orElseThrow();
    }

    private static Answer empty(Reading text) {
      return new Answer(
          Optional.empty(), Optional.empty(), Optional.empty(), text.tokens(), text.truncated());
    }

    private Answer with(Answer part) {
      return new Answer(
          dense.or(part::dense),
          sparse.or(part::sparse),
          multiVector.or(part::multiVector),
          tokens,
          truncated);
    }
  }

  /** A part of one of the texts. */
  private record Place(int text, Part part) {}

  private final TextEmbedder encoder;
  private final Lazy<SparseEmbedder> sparse;
  private final Lazy<TokenEmbedder> multiVector;

  private EncoderOutputs(TextEmbedder encoder) {
    this.encoder = encoder;
    sparse = new Lazy<>(() -> SparseEmbedder.over(encoder));
    multiVector = new Lazy<>(() -> TokenEmbedder.over(encoder));
  }

  /** Returns the outputs of a model that is open. */
  public static EncoderOutputs over(TextEmbedder encoder) {
    return new EncoderOutputs(encoder);
  }

  /** Returns the outputs that the directory has what it takes for. */
  public Set<Output> available() {
    ModelDirectory directory = encoder.directory();
    Set<Output> available = EnumSet.noneOf(Output.class);
    if (encoder.pools()) {
      available.add(Output.DENSE);
    }
    if (directory.heads().plans().containsKey(HeadKind.MASKED_LM)) {
      available.add(Output.SPARSE);
    }
    if (directory.lateInteraction().isPresent()) {
      available.add(Output.MULTI_VECTOR);
    }
    return available;
  }

  /**
   * Prepares outputs, which otherwise waits for the first text.
   *
   * @throws ModelException saying why the model has not got one of them
   */
  public void prepare(Set<Output> outputs) {
    for (Output output : outputs) {
      switch (output) {
        case DENSE -> encoder.dimensions();
        case SPARSE -> sparse.get();
        case MULTI_VECTOR -> multiVector.get();
      }
    }
  }

  /**
   * Returns what the model reads of a text.
   *
   * @param prompt goes in front of the text as it is; empty for none; late interaction has its own
   * @param role what the text is to late interaction
   * @param outputs what is wanted, at least one
   * @throws ModelException saying why the model has not got one of the outputs
   */
  public Reading read(String text, String prompt, TokenEmbedder.Role role, Set<Output> outputs) {
    prepare(outputs);
    List<Part> parts = new ArrayList<>();
    Set<Output> plain = EnumSet.copyOf(outputs);
    plain.remove(Output.MULTI_VECTOR);
    if (!plain.isEmpty()) {
      parts.add(new Part(encoder.encode(text, prompt), plain, new int[0]));
    }
    if (outputs.contains(Output.MULTI_VECTOR)) {
      TokenEmbedder.Read read = multiVector.get().read(text, role);
      if (!plain.isEmpty() && read.text().readsAs(parts.getFirst().text())) {
        parts.set(0, new Part(parts.getFirst().text(), outputs, read.kept()));
      } else {
        parts.add(new Part(read.text(), Set.of(Output.MULTI_VECTOR), read.kept()));
      }
    }
    return new Reading(parts);
  }

  /** Returns what is made of each text, in order. Tokens are read once for all their outputs. */
  public List<Answer> forward(List<Reading> texts) {
    Map<Set<Output>, List<Place>> batches = new LinkedHashMap<>();
    for (int i = 0; i < texts.size(); i++) {
      for (Part part : texts.get(i).parts()) {
        batches.computeIfAbsent(part.outputs(), _ -> new ArrayList<>()).add(new Place(i, part));
      }
    }
    List<Answer> answers = new ArrayList<>();
    texts.forEach(text -> answers.add(Answer.empty(text)));
    batches.forEach(
        (outputs, places) -> {
          List<Answer> made = forward(outputs, places);
          for (int i = 0; i < made.size(); i++) {
            int text = places.get(i).text;
            answers.set(text, answers.get(text).with(made.get(i)));
          }
        });
    return answers;
  }

  private List<Answer> forward(Set<Output> outputs, List<Place> places) {
    return encoder.answerAlone(
        places.stream().map(place -> place.part.text()).toList(),
        (backend, call, hidden, batch) -> {
          List<float[]> dense =
              outputs.contains(Output.DENSE)
                  ? encoder.vectors(backend, call, hidden, batch)
                  : List.of();
          List<SparseVector> weights =
              outputs.contains(Output.SPARSE)
                  ? sparse.get().forward(backend, call, hidden, batch)
                  : List.of();
          // The last one, because it may change the states.
          List<float[][]> vectors =
              outputs.contains(Output.MULTI_VECTOR)
                  ? multiVector.get().vectors(backend, call, hidden, batch)
                  : List.of();
          List<Answer> answers = new ArrayList<>();
          for (int i = 0; i < places.size(); i++) {
            Part part = places.get(i).part;
            answers.add(
                new Answer(
                    at(dense, i),
                    at(weights, i),
                    at(vectors, i).map(all -> TokenEmbedder.kept(all, part.kept())),
                    part.text().length(),
                    part.text().tokens().truncated()));
          }
          return answers;
        });
  }

  private static <T> Optional<T> at(List<T> list, int index) {
    return list.isEmpty() ? Optional.empty() : Optional.of(list.get(index));
  }

  /** Returns the weights of a vector by the tokens that they belong to, in the vector's order. */
  public Map<String, Float> tokens(SparseVector vector) {
    return sparse.get().tokens(vector);
  }

  /** What is made once, when it is first wanted; a failure is tried again. */
  private static final class Lazy<T> {
    private final Supplier<T> maker;
    private volatile T made;

    Lazy(Supplier<T> maker) {
      this.maker = maker;
    }

    T get() {
      T already = made;
      return already == null ? make() : already;
    }

    private synchronized T make() {
      if (made == null) {
        made = maker.get();
      }
      return made;
    }
  }
}
