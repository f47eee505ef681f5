package org.lanewise.plugin.search;

import static org.hamcrest.Matchers.containsString;

import java.io.IOException;
import java.util.List;
import org.apache.lucene.search.Explanation;
import org.elasticsearch.ElasticsearchException;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.search.SearchModule;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.rank.RankDoc;
import org.elasticsearch.search.retriever.RetrieverBuilder;
import org.elasticsearch.test.ESTestCase;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.lanewise.plugin.TestPlugin;

public class RerankRetrieverBuilderTests extends ESTestCase {
  private static final String WHOLE =
      """
      {"retriever": {"standard": {}}, "model_id": "m", "field": "f", "inference_text": "q",
      "rank_window_size": 33, "timeout": "7s", "min_score": 0.25, "_name": "n", "filter": {"term": {"a": "b"}}}\
      """;

  @Override
  protected NamedXContentRegistry xContentRegistry() {
    return new NamedXContentRegistry(
        new SearchModule(Settings.EMPTY, List.of(new TestPlugin())).getNamedXContents());
  }

  private RetrieverBuilder parse(String rerank) throws IOException {
    String json = "{\"retriever\": {\"lanewise_rerank\": " + rerank + "}}";
    try (XContentParser parser = createParser(JsonXContent.jsonXContent, json)) {
      return new SearchSourceBuilder().parseXContent(parser, true, feature -> true).retriever();
    }
  }

  public void testWhatIsWrittenIsReadAgain() throws IOException {
    RetrieverBuilder read = parse(WHOLE);
    String written = Strings.toString(read);
    RetrieverBuilder again =
        parse(written.substring("{\"lanewise_rerank\":".length(), written.length() - 1));
    assertEquals(read, again);
    assertEquals(read.hashCode(), again.hashCode());
    assertEquals(written, Strings.toString(again));
    assertNotEquals(read, parse(WHOLE.replace("\"q\"", "\"other\"")));
    assertNotEquals(read, parse(WHOLE.replace("33", "34")));
    assertNotEquals(read, parse(WHOLE.replace("7s", "8s")));
  }

  public void testBadOptions() {
    assertBad("{}", "Required [retriever, model_id, field, inference_text]");
    assertBad(WHOLE.replace("\"m\"", "\"../m\""), "model id [../m] must have");
    assertBad(WHOLE.replace("\"f\"", "\"f*\""), "[field] is [f*], expected the name of one field");
    assertBad(WHOLE.replace("\"f\"", "\"\""), "[field] is [], expected the name of one field");
    assertBad(WHOLE.replace("\"q\"", "\" \""), "[inference_text] must not be empty.");
    assertBad(WHOLE.replace("33", "0"), "[rank_window_size] is [0], expected [1] to [1000]");
    assertBad(WHOLE.replace("33", "1001"), "[rank_window_size] is [1001], expected [1] to [1000]");
    assertBad(WHOLE.replace("7s", "long"), "[timeout]");
    assertBad(WHOLE.replace("inference_text", "inference_txt"), "[inference_txt]");
  }

  /** The message must be the one that a response shows first. */
  private void assertBad(String rerank, String message) {
    Exception e = expectThrows(Exception.class, () -> parse(rerank));
    assertEquals(rerank, RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
    assertThat(ElasticsearchException.guessRootCauses(e)[0].getMessage(), containsString(message));
  }

  public void testExplainedHitsGoFromNodeToNode() throws IOException {
    RerankRankDoc hit = new RerankRankDoc(5, 0.5f, 2, "because");
    hit.rank = 3;
    RankDoc read =
        copyNamedWriteable(
            hit, new NamedWriteableRegistry(new TestPlugin().getNamedWriteables()), RankDoc.class);
    assertEquals(hit, read);
    assertEquals(hit.hashCode(), read.hashCode());
    Explanation source = Explanation.match(7, "the source");
    assertEquals(
        Explanation.match(0.5f, "rank [3], because; the hit was found by:", source),
        read.explain(new Explanation[] {source}, new String[1]));
  }
}
