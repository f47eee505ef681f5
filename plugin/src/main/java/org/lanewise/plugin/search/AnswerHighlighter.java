package org.lanewise.plugin.search;

import java.io.IOException;
import java.text.BreakIterator;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;
import org.apache.lucene.search.highlight.Encoder;
import org.elasticsearch.common.document.DocumentField;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.index.mapper.MappedFieldType;
import org.elasticsearch.search.SearchHit;
import org.elasticsearch.search.fetch.subphase.highlight.FieldHighlightContext;
import org.elasticsearch.search.fetch.subphase.highlight.HighlightField;
import org.elasticsearch.search.fetch.subphase.highlight.HighlightUtils;
import org.elasticsearch.search.fetch.subphase.highlight.Highlighter;
import org.elasticsearch.search.fetch.subphase.highlight.SearchHighlightContext.FieldOptions;
import org.elasticsearch.xcontent.Text;
import org.lanewise.encoder.AnswerFinder;
import org.lanewise.encoder.AnswerFinder.Answer;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.models.ModelRegistry;

/**
 * The {@code lanewise_answer} highlighter: marks the answer to a question in each hit, with some of
 * the text around it.
 *
 * <p>It works where a hit is fetched, and waits there for the model. A field with several values
 * has a fragment for each, the best answer first, {@code number_of_fragments} at most. As fragments
 * are only text, the hit also gets a field {@link #FIELD} with the score and the place of each
 * answer.
 */
public final class AnswerHighlighter implements Highlighter {
  /** The name of the highlighter in a search. */
  public static final String TYPE = "lanewise_answer";

  /** The field that a hit gets. */
  static final String FIELD = "_lanewise_answer";

  private static final Set<String> OPTIONS =
      Set.of("model_id", "question", "max_answer_tokens", "timeout");

  private final Supplier<EncodeService> service;

  /**
   * What a search asks for.
   *
   * @param mostTokens most tokens of an answer
   */
  private record Question(String text, int mostTokens, ModelWait waiting) {}

  /**
   * An answer.
   *
   * @param value which value of the field it stands in
   */
  private record Found(int value, String text, Answer answer) {}

  /** Creates a highlighter over the node's models. */
  public AnswerHighlighter(Supplier<EncodeService> service) {
    this.service = service;
  }

  @Override
  public boolean canHighlight(MappedFieldType field) {
    return true;
  }

  @Override
  public HighlightField highlight(FieldHighlightContext context) throws IOException {
    FieldOptions options = context.field.fieldOptions();
    Question question = question(options.options());
    List<Found> found =
        found(
            question,
            HighlightUtils.loadFieldValues(
                context.fieldType, context.context.getSearchExecutionContext(), context.hitContext),
            context.fieldName);
    if (found.isEmpty()) {
      return null;
    }
    int most = options.numberOfFragments() == 0 ? 1 : options.numberOfFragments();
    List<Found> best = found.subList(0, Math.min(most, found.size()));
    tell(context.hitContext.hit(), context.fieldName, best);
    return new HighlightField(
        context.fieldName,
        best.stream().map(each -> new Text(fragment(each, options))).toArray(Text[]::new));
  }

  private static Question question(Map<String, Object> given) {
    Map<String, Object> options = given == null ? Map.of() : given;
    for (String name : options.keySet()) {
      if (!OPTIONS.contains(name)) {
        throw new IllegalArgumentException(
            "[" + TYPE + "] has no option [" + name + "]; it has " + new TreeSet<>(OPTIONS));
      }
    }
    String modelId = text(options, "model_id");
    ModelRegistry.checkId(modelId);
    String question = text(options, "question");
    if (!EncodeRequest.hasText(question)) {
      throw new IllegalArgumentException("[question] must not be empty.");
    }
    return new Question(
        question,
        options.containsKey("max_answer_tokens")
            ? tokens(options.get("max_answer_tokens"))
            : AnswerFinder.USUAL_TOKENS,
        new ModelWait(
            modelId,
            options.containsKey("timeout")
                ? TimeValue.parseTimeValue(text(options, "timeout"), "timeout")
                : ModelWait.USUAL));
  }

  private static String text(Map<String, Object> options, String name) {
    if (options.get(name) instanceof String text) {
      return text;
    }
    throw new IllegalArgumentException(
        "["
            + TYPE
            + "] needs the text [options."
            + name
            + "] but it is ["
            + options.get(name)
            + "]");
  }

  private static int tokens(Object given) {
    if (given instanceof Integer tokens && tokens >= 1) {
      return tokens;
    }
    throw new IllegalArgumentException(
        "[max_answer_tokens] is [" + given + "], expected a whole number of at least [1]");
  }

  /** Returns the answers in all values, the best first. */
  private List<Found> found(Question question, List<Object> values, String field) {
    List<Integer> places = new ArrayList<>();
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < values.size(); i++) {
      String text = FieldText.of(field, values.get(i));
      if (EncodeRequest.hasText(text)) {
        places.add(i);
        texts.add(text);
      }
    }
    if (texts.isEmpty()) {
      return List.of();
    }
    ModelWait waiting = question.waiting;
    List<Optional<Answer>> answers =
        waiting.await(
            texts.size(),
            () -> {},
            (abandoned, listener) ->
                service
                    .get()
                    .answer(
                        waiting.modelId(),
                        question.text,
                        question.mostTokens,
                        texts,
                        abandoned,
                        listener));
    List<Found> found = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      if (answers.get(i).isPresent()) {
        found.add(new Found(places.get(i), texts.get(i), answers.get(i).get()));
      }
    }
    found.sort(Comparator.comparingDouble(each -> -each.answer.score()));
    return found;
  }

  /** Adds what fragments cannot say. */
  private static void tell(SearchHit hit, String field, List<Found> best) {
    DocumentField known = hit.field(FIELD);
    List<Object> answers = known == null ? new ArrayList<>() : new ArrayList<>(known.getValues());
    for (Found each : best) {
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("field", field);
      entry.put("value", each.value);
      entry.put("text", each.answer.text());
      entry.put("score", each.answer.score());
      entry.put("start_pos", each.answer.start());
      entry.put("end_pos", each.answer.end());
      answers.add(entry);
    }
    hit.setDocumentField(new DocumentField(FIELD, answers));
  }

  /**
   * Returns the answer between its tags, and whole words around it until the fragment has its size.
   */
  private static String fragment(Found found, FieldOptions options) {
    String text = found.text;
    int start = found.answer.start();
    int end = found.answer.end();
    int from = 0;
    int to = text.length();
    if (options.numberOfFragments() > 0) {
      // What one side does not need is left to the other.
      int room = Math.max(0, options.fragmentCharSize() - (end - start));
      int before = Math.min(start, Math.max(room / 2, room - (text.length() - end)));
      int after = Math.min(text.length() - end, room - before);
      BreakIterator words = BreakIterator.getWordInstance(Locale.ROOT);
      words.setText(text);
      from = before == start ? 0 : Math.min(start, words.following(start - before - 1));
      to =
          after == text.length() - end
              ? text.length()
              : Math.max(end, words.preceding(end + after + 1));
    }
    Encoder encoder =
        "html".equals(options.encoder())
            ? HighlightUtils.Encoders.HTML
            : HighlightUtils.Encoders.DEFAULT;
    return encoder.encodeText(text.substring(from, start).stripLeading())
        + options.preTags()[0]
        + encoder.encodeText(text.substring(start, end))
        + options.postTags()[0]
        + encoder.encodeText(text.substring(end, to).stripTrailing());
  }
}
