package org.lanewise.plugin.search;

import static org.elasticsearch.core.Strings.format;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.matchesPattern;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.search.SearchHit;
import org.elasticsearch.search.fetch.subphase.highlight.HighlightField;
import org.elasticsearch.xcontent.Text;
import org.lanewise.encoder.AnswerFinder;
import org.lanewise.encoder.AnswerFinder.Answer;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.plugin.HeadModels;

/** Marked answers on several shards, beside those of the library. */
public class AnswerHighlighterNodeTests extends HeadNodeTestCase {
  private static final String QUESTION = "Like streams";

  private static String search(String field, String highlight, String options) {
    return format(
        """
        {"query": {"match_all": {}}, "size": 30, "highlight": {"type": "lanewise_answer"%s,
        "options": {"model_id": "question_answering", "question": "%s"%s},
        "fields": {"%s": {}}}}\
        """,
        highlight, QUESTION, options, field);
  }

  private Answer answer(String text, int mostTokens) {
    try (TextEmbedder encoder = encoder(HeadModels.ANSWERER)) {
      return AnswerFinder.over(encoder).answer(QUESTION, text, mostTokens).orElseThrow();
    }
  }

  private static String marked(String text, Answer answer, String before, String after) {
    return text.substring(0, answer.start())
        + before
        + answer.text()
        + after
        + text.substring(answer.end());
  }

  private static List<String> fragments(HighlightField field) {
    List<String> fragments = new ArrayList<>();
    for (Text each : field.fragments()) {
      fragments.add(each.string());
    }
    return fragments;
  }

  public void testAnswersAreMarkedAndTold() {
    search(
        search("body", "", ", \"max_answer_tokens\": 3"),
        found -> {
          int marked = 0;
          for (SearchHit hit : found.getHits()) {
            String text = bodies.get(hit.getId());
            HighlightField field = hit.getHighlightFields().get("body");
            if (text == null) {
              assertNull(field);
              assertNull(hit.field(AnswerHighlighter.FIELD));
              continue;
            }
            Answer answer = answer(text, 3);
            assertEquals(List.of(marked(text, answer, "<em>", "</em>")), fragments(field));
            Map<?, ?> told = hit.field(AnswerHighlighter.FIELD).getValue();
            assertEquals("body", told.get("field"));
            assertEquals(0, told.get("value"));
            assertEquals(answer.text(), told.get("text"));
            assertEquals(answer.start(), told.get("start_pos"));
            assertEquals(answer.end(), told.get("end_pos"));
            assertEquals(answer.score(), ((Number) told.get("score")).floatValue(), 1e-5);
            marked++;
          }
          assertTrue(marked > 10);
        });
  }

  public void testValuesAreOrderedByTheirAnswers() {
    search(
        search("lines", ", \"pre_tags\": [\"[\"], \"post_tags\": [\"]\"]", ""),
        found -> {
          for (SearchHit hit : found.getHits()) {
            if (!bodies.containsKey(hit.getId())) {
              continue;
            }
            Map<String, Answer> answers = new HashMap<>();
            for (String text : List.of(bodies.get(hit.getId()), "alive")) {
              answers.put(text, answer(text, AnswerFinder.USUAL_TOKENS));
            }
            List<String> expected =
                List.of(bodies.get(hit.getId()), "alive").stream()
                    .sorted(Comparator.comparingDouble(text -> -answers.get(text).score()))
                    .map(text -> marked(text, answers.get(text), "[", "]"))
                    .toList();
            assertEquals(expected, fragments(hit.getHighlightFields().get("lines")));
            assertEquals(2, hit.field(AnswerHighlighter.FIELD).getValues().size());
          }
        });
    search(
        search("lines", ", \"number_of_fragments\": 1", ""),
        found -> {
          for (SearchHit hit : found.getHits()) {
            if (bodies.containsKey(hit.getId())) {
              assertEquals(1, fragments(hit.getHighlightFields().get("lines")).size());
            }
          }
        });
  }

  public void testLongTextsAreReadToTheirEndAndFragmentsAreShort() {
    String text = "<b> Hermia still loves ".repeat(20) + "Colonel Chabert & alive";
    client().prepareIndex("docs").setId("long").setSource("group", "long", "body", text).get();
    indicesAdmin().prepareRefresh("docs").get();
    Answer answer = answer(text, AnswerFinder.USUAL_TOKENS);
    String term = "{\"term\": {\"group\": \"long\"}}";
    for (int size : List.of(1, 30, 60, 5000)) {
      search(
          search("body", ", \"encoder\": \"html\", \"fragment_size\": " + size, "")
              .replace("{\"match_all\": {}}", term),
          found -> {
            SearchHit hit = found.getHits().getAt(0);
            String fragment = fragments(hit.getHighlightFields().get("body")).getFirst();
            String marked = "<em>" + html(answer.text()) + "</em>";
            assertThat(fragment, containsString(marked));
            String plain =
                fragment
                    .replace("<em>", "")
                    .replace("</em>", "")
                    .replace("&lt;", "<")
                    .replace("&gt;", ">")
                    .replace("&amp;", "&");
            assertTrue(
                size + " " + plain,
                plain.length() <= Math.max(size, answer.end() - answer.start()));
            assertThat(text, containsString(plain));
            if (size > 1) {
              assertThat(plain, matchesPattern("\\W*(Hermia|still|loves|b|Colonel|Chabert)\\b.*"));
            }
            assertEquals(size == 5000, plain.equals(text));
          });
    }
    search(
        search("body", ", \"number_of_fragments\": 0", "").replace("{\"match_all\": {}}", term),
        found ->
            assertEquals(
                List.of(marked(text, answer, "<em>", "</em>")),
                fragments(found.getHits().getAt(0).getHighlightFields().get("body"))));
  }

  private static String html(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  public void testErrors() {
    assertFails(
        RestStatus.REQUEST_TIMEOUT,
        search("body", "", ", \"timeout\": \"0ms\""),
        "timeout [0s] waiting for model [question_answering] to read [1] texts");
    assertFails(
        RestStatus.NOT_FOUND,
        search("body", "", "").replace("question_answering", "zz"),
        "Could not find model [zz]");
    assertFails(
        RestStatus.BAD_REQUEST,
        search("body", "", "").replace("question_answering", HeadModels.RERANKER),
        "is a reranker, expected a model that answers questions: use [lanewise_rerank]");
    assertFails(
        RestStatus.BAD_REQUEST,
        search("body", "", "").replace("\"question\":", "\"query\":"),
        "[lanewise_answer] has no option [query]; it has [max_answer_tokens, model_id, question,"
            + " timeout]");
    assertFails(
        RestStatus.BAD_REQUEST,
        search("body", "", "").replace(QUESTION, " "),
        "[question] must not be empty.");
    assertFails(
        RestStatus.BAD_REQUEST,
        search("body", "", "").replace(", \"question\": \"" + QUESTION + "\"", ""),
        "[lanewise_answer] needs the text [options.question] but it is [null]");
    assertFails(
        RestStatus.BAD_REQUEST,
        search("body", "", ", \"max_answer_tokens\": 0"),
        "[max_answer_tokens] is [0], expected a whole number of at least [1]");
    assertFails(
        RestStatus.BAD_REQUEST,
        search("body", "", "").replace(QUESTION, "dead ".repeat(30)),
        "the question has [");
  }

  /** All shards have hits to fetch, and none can. */
  private void assertFails(RestStatus status, String json, String message) {
    assertRefused(status, json.replace("\"size\": 30", "\"size\": " + DOCUMENTS), message);
  }
}
