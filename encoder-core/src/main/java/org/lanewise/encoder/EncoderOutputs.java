package org.lanewise.encoder;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.lanewise.encoder.TextTagger.Entity;
import org.lanewise.encoder.batch.Batches;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.head.EncoderHeads;
import org.lanewise.encoder.head.HeadKind;
import org.lanewise.encoder.head.HeadPlan;
import org.lanewise.encoder.head.SentenceHead.Range;
import org.lanewise.encoder.head.SparseVector;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.tokenizer.WordSegmenter;

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
    MULTI_VECTOR,
    /** Entities or classes, whichever the head was trained for: {@link TextTagger} and others. */
    TAGS;

    /** Returns the name that users see. */
    public String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * A text as the model reads it: once, or more than once where outputs want other tokens of it.
   *
   * @param parts no output is in two of them, but for the windows in which entities are looked for
   * @param chunks the pieces of a longer text that this is read for; none of a text as a whole
   * @param weighed the sparse vector, where a table gives it and no part is needed for it
   * @param words the text in words, where entities are looked for
   */
  public record Reading(
      List<Part> parts,
      List<Chunk> chunks,
      Optional<SparseVector> weighed,
      Optional<SegmentedText> words) {
    /** Copies the lists. */
    public Reading {
      parts = List.copyOf(parts);
      chunks = List.copyOf(chunks);
    }

    /** Returns the reading of a whole text. */
    public Reading(List<Part> parts) {
      this(parts, List.of());
    }

    /** Returns the reading of chunks of a text. */
    public Reading(List<Part> parts, List<Chunk> chunks) {
      this(parts, chunks, Optional.empty(), Optional.empty());
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
   * @param ranges the tokens that have a vector in {@link Output#DENSE} together; all where empty
   */
  public record Part(EncodedText text, Set<Output> outputs, int[] kept, List<Range> ranges) {
    /** Copies the set and the list. */
    public Part {
      outputs = Set.copyOf(outputs);
      ranges = List.copyOf(ranges);
    }

    /** Returns a part all of whose tokens have one vector together. */
    public Part(EncodedText text, Set<Output> outputs, int[] kept) {
      this(text, outputs, kept, List.of());
    }

    private Part withTags() {
      Set<Output> more = EnumSet.copyOf(outputs);
      more.add(Output.TAGS);
      return new Part(text, more, kept, ranges);
    }
  }

  /**
   * What was made of a text; everything that was not asked for is empty.
   *
   * @param dense the vector; those of all chunks where it was read for more than one
   * @param sparse the weights of tokens
   * @param multiVector a vector for each token, [token][dimensions]
   * @param entities of {@link Output#TAGS} where the head labels tokens
   * @param classes of {@link Output#TAGS} where the head classifies texts
   * @param tokens tokens that entered the model, special tokens and prompt included
   * @param truncated whether the text was longer than the model takes and was cut
   */
  public record Answer(
      List<float[]> dense,
      Optional<SparseVector> sparse,
      Optional<float[][]> multiVector,
      Optional<List<Entity>> entities,
      Optional<ClassScores> classes,
      int tokens,
      boolean truncated) {
    /** Copies the lists. */
    public Answer {
      dense = List.copyOf(dense);
      entities = entities.map(List::copyOf);
    }

    /** Returns the vector, which was asked for. */
    public float[] vector() {
      return dense.getFirst();
    }

    private static Answer empty(Reading text) {
      return new Answer(
          List.of(),
          text.weighed,
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          text.tokens(),
          text.truncated());
    }

    private static Answer of(Part part, float[] vector) {
      return new Answer(
          List.of(vector),
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          part.text.length(),
          part.text.tokens().truncated());
    }

    private Answer with(Answer part) {
      return new Answer(
          dense.isEmpty() ? part.dense : dense,
          sparse.or(part::sparse),
          multiVector.or(part::multiVector),
          entities,
          classes.or(part::classes),
          tokens,
          truncated);
    }

    private Answer with(List<Entity> found) {
      return new Answer(dense, sparse, multiVector, Optional.of(found), classes, tokens, truncated);
    }
  }

  /** What is read together: the same outputs, of chunks of longer texts or of texts as a whole. */
  private record Pass(Set<Output> outputs, boolean late) {
    /** Returns whether nothing is wanted but vectors, which a device may compute. */
    boolean plain() {
      return !late && outputs.equals(Set.of(Output.DENSE));
    }
  }

  /** A part of one of the texts. */
  private record Place(int text, Part part) {}

  private final TextEmbedder encoder;
  private final Lazy<SparseEmbedder> sparse;
  private final Lazy<TokenEmbedder> multiVector;
  private final Lazy<EncoderLabeller> labeller;
  private final Lazy<EncoderClassifier> classifier;

  private EncoderOutputs(TextEmbedder encoder) {
    this.encoder = encoder;
    sparse = new Lazy<>(() -> SparseEmbedder.over(encoder));
    multiVector = new Lazy<>(() -> TokenEmbedder.over(encoder));
    labeller = new Lazy<>(() -> EncoderLabeller.over(encoder));
    classifier = new Lazy<>(() -> EncoderClassifier.over(encoder));
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
    if (labels() || classifies()) {
      available.add(Output.TAGS);
    }
    return available;
  }

  private boolean labels() {
    return heads().plans().containsKey(HeadKind.TOKEN_CLASSIFICATION);
  }

  private boolean classifies() {
    HeadPlan plan = heads().plans().get(HeadKind.SEQUENCE_CLASSIFICATION);
    return plan != null && plan.outputs() > 1;
  }

  private EncoderHeads heads() {
    return encoder.directory().heads();
  }

  /** Returns the names of the classes that {@link Output#TAGS} has; none where it is not there. */
  public List<String> classes() {
    if (labels()) {
      return TextTagger.classes(heads().labels());
    }
    return classifies() ? heads().labels() : List.of();
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
        case TAGS -> prepareTags();
      }
    }
  }

  private void prepareTags() {
    if (labels()) {
      labeller.get();
    } else if (classifies()) {
      classifier.get();
    } else {
      List<HeadKind> kinds =
          List.of(HeadKind.TOKEN_CLASSIFICATION, HeadKind.SEQUENCE_CLASSIFICATION);
      throw new ModelException(
          encoder.directory().path(),
          kinds.stream()
              .map(
                  kind ->
                      "it has no ["
                          + kind.label()
                          + "] head for [tags]: "
                          + heads()
                              .problems()
                              .getOrDefault(
                                  kind, "it has one output, expected two classes or more"))
              .toList());
    }
  }

  /**
   * Returns what the model reads of a text. What a table says of a question is known at once.
   *
   * @param prompt goes in front of the text as it is; empty for none; late interaction has its own
   * @param role what the text is to late interaction and to inference-free models
   * @param outputs what is wanted, at least one
   * @throws ModelException saying why the model has not got one of the outputs
   */
  public Reading read(String text, String prompt, TokenEmbedder.Role role, Set<Output> outputs) {
    prepare(outputs);
    List<Part> parts = new ArrayList<>();
    Set<Output> computed = EnumSet.copyOf(outputs);
    Optional<SparseVector> weighed =
        role == TokenEmbedder.Role.QUERY && outputs.contains(Output.SPARSE)
            ? SparseEmbedder.queryWeights(encoder, text, prompt)
            : Optional.empty();
    if (weighed.isPresent()) {
      computed.remove(Output.SPARSE);
    }
    Set<Output> plain = EnumSet.copyOf(computed);
    plain.removeAll(Set.of(Output.MULTI_VECTOR, Output.TAGS));
    computed.remove(Output.TAGS);
    if (!plain.isEmpty()) {
      parts.add(new Part(encoder.encode(text, prompt), plain, new int[0]));
    }
    if (outputs.contains(Output.MULTI_VECTOR)) {
      TokenEmbedder.Read read = multiVector.get().read(text, role);
      if (!plain.isEmpty() && read.text().readsAs(parts.getFirst().text())) {
        parts.set(0, new Part(parts.getFirst().text(), computed, read.kept()));
      } else {
        parts.add(new Part(read.text(), Set.of(Output.MULTI_VECTOR), read.kept()));
      }
    }
    Optional<SegmentedText> words =
        outputs.contains(Output.TAGS) ? readForTags(text, parts) : Optional.empty();
    return new Reading(parts, List.of(), weighed, words);
  }

  /** Adds what tags need and no part has; a text in which entities are looked for is read whole. */
  private Optional<SegmentedText> readForTags(String text, List<Part> parts) {
    if (!labels()) {
      readForTags(encoder.encode(text, ""), parts);
      return Optional.empty();
    }
    SegmentedText words = WordSegmenter.words(text);
    if (words.words() > 0) {
      for (Tokens window : labeller.get().windows(text)) {
        readForTags(new EncodedText(window, 0), parts);
      }
    }
    return Optional.of(words);
  }

  private static void readForTags(EncodedText text, List<Part> parts) {
    for (int i = 0; i < parts.size(); i++) {
      if (text.standsAs(parts.get(i).text())) {
        parts.set(i, parts.get(i).withTags());
        return;
      }
    }
    parts.add(new Part(text, Set.of(Output.TAGS), new int[0]));
  }

  /**
   * Returns what the model reads of a long text, in order; nothing of a text without tokens. All of
   * it is read: nothing is cut off.
   *
   * @param prompt goes in front of every piece as it is; empty for none
   * @param outputs what is wanted of each chunk, at least one
   * @param late whether vectors of chunks come from a pass over the whole text: {@link LateChunker}
   * @throws IllegalArgumentException if the options do not fit the model, or each other
   * @throws ModelException saying why the model has not got one of the outputs
   */
  public List<Reading> readChunks(
      String text, String prompt, Set<Output> outputs, ChunkOptions options, boolean late) {
    if (outputs.contains(Output.MULTI_VECTOR)
        || outputs.contains(Output.TAGS)
        || (late && outputs.contains(Output.SPARSE))) {
      throw new IllegalArgumentException(
          "chunks have [dense] and [sparse] outputs, late ones only [dense], but "
              + outputs.stream().map(Output::label).sorted().toList()
              + " was asked for");
    }
    prepare(outputs);
    Chunker chunker = Chunker.over(encoder, options, prompt);
    if (late) {
      return LateChunker.over(chunker).windows(text).stream()
          .map(
              window ->
                  new Reading(
                      List.of(new Part(window.text(), outputs, new int[0], window.ranges())),
                      window.chunks()))
          .toList();
    }
    return chunker.chunks(text).stream()
        .map(
            chunk ->
                new Reading(
                    List.of(new Part(encoder.encode(chunk.of(text), prompt), outputs, new int[0])),
                    List.of(chunk)))
        .toList();
  }

  /** Returns what is made of each text, in order. Tokens are read once for all their outputs. */
  public List<Answer> forward(List<Reading> texts) {
    return encoder.compute(texts, this::forward);
  }

  /** Returns the same, made by the embedder under this one or by its stand-in. */
  private List<Answer> forward(TextEmbedder computing, List<Reading> texts) {
    Map<Pass, List<Place>> batches = new LinkedHashMap<>();
    for (int i = 0; i < texts.size(); i++) {
      for (Part part : texts.get(i).parts()) {
        Pass pass = new Pass(part.outputs(), !part.ranges().isEmpty());
        batches.computeIfAbsent(pass, _ -> new ArrayList<>()).add(new Place(i, part));
      }
    }
    List<Answer> answers = new ArrayList<>();
    texts.forEach(text -> answers.add(Answer.empty(text)));
    IdentityHashMap<Part, float[][]> logits = new IdentityHashMap<>();
    batches.forEach(
        (pass, all) -> {
          for (List<Place> places : withinBudget(all, batchTokens(computing, pass, all))) {
            List<Answer> made = forward(computing, pass, places, logits);
            for (int i = 0; i < made.size(); i++) {
              int text = places.get(i).text;
              answers.set(text, answers.get(text).with(made.get(i)));
            }
          }
        });
    for (int i = 0; i < texts.size(); i++) {
      Reading text = texts.get(i);
      if (text.words.isPresent()) {
        answers.set(i, answers.get(i).with(entities(text, text.words.get(), logits)));
      }
    }
    return answers;
  }

  private static int batchTokens(TextEmbedder computing, Pass pass, List<Place> places) {
    return pass.plain()
        ? computing.batchTokens(
            places.stream().mapToLong(place -> place.part.text().length()).sum())
        : computing.batchTokens();
  }

  /** Windows over one text can be more than a batch shall hold. */
  private List<List<Place>> withinBudget(List<Place> places, int tokens) {
    int[] lengths = places.stream().mapToInt(place -> place.part.text().length()).toArray();
    return Batches.longestFirst(lengths, tokens).stream()
        .map(batch -> batch.stream().map(places::get).toList())
        .toList();
  }

  private List<Entity> entities(
      Reading text, SegmentedText words, IdentityHashMap<Part, float[][]> logits) {
    List<Part> windows =
        text.parts.stream().filter(part -> part.outputs.contains(Output.TAGS)).toList();
    return words.words() == 0
        ? List.of()
        : labeller
            .get()
            .entities(
                words,
                windows.stream().map(part -> part.text.tokens()).toList(),
                windows.stream().map(logits::get).toList());
  }

  private List<Answer> forward(
      TextEmbedder computing,
      Pass pass,
      List<Place> places,
      IdentityHashMap<Part, float[][]> logits) {
    Set<Output> outputs = pass.outputs;
    List<EncodedText> texts = places.stream().map(place -> place.part.text()).toList();
    if (pass.plain()) {
      float[][] vectors = computing.forward(texts);
      return IntStream.range(0, vectors.length)
          .mapToObj(i -> Answer.of(places.get(i).part, vectors[i]))
          .toList();
    }
    return computing.answerAlone(
        texts,
        (computed, backend, call, hidden, batch) -> {
          List<List<float[]>> dense = List.of();
          if (pass.late) {
            List<List<Range>> ranges = places.stream().map(place -> place.part.ranges()).toList();
            dense = LateChunker.vectors(computed, ranges, backend, call, hidden, batch);
          } else if (outputs.contains(Output.DENSE)) {
            dense = computed.vectors(backend, call, hidden, batch).stream().map(List::of).toList();
          }
          List<SparseVector> weights =
              outputs.contains(Output.SPARSE)
                  ? sparse.get().forward(computed, backend, call, hidden, batch)
                  : List.of();
          List<ClassScores> classes = List.of();
          if (outputs.contains(Output.TAGS) && labels()) {
            List<float[][]> rows = labeller.get().logits(computed, backend, call, hidden, batch);
            for (int i = 0; i < rows.size(); i++) {
              logits.put(places.get(i).part, rows.get(i));
            }
          } else if (outputs.contains(Output.TAGS)) {
            classes = classifier.get().scores(computed, backend, call, hidden, batch);
          }
          // The last one, because it may change the states.
          List<float[][]> vectors =
              outputs.contains(Output.MULTI_VECTOR)
                  ? multiVector.get().vectors(computed, backend, call, hidden, batch)
                  : List.of();
          List<Answer> answers = new ArrayList<>();
          for (int i = 0; i < places.size(); i++) {
            Part part = places.get(i).part;
            answers.add(
                new Answer(
                    at(dense, i).orElse(List.of()),
                    at(weights, i),
                    at(vectors, i).map(all -> TokenEmbedder.kept(all, part.kept())),
                    Optional.empty(),
                    at(classes, i),
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
