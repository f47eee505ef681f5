package org.lanewise.plugin;

import static org.hamcrest.Matchers.containsString;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.http.util.EntityUtils;
import org.elasticsearch.client.Request;
import org.elasticsearch.client.Response;
import org.elasticsearch.client.ResponseException;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.xcontent.XContentHelper;
import org.elasticsearch.common.xcontent.support.XContentMapValues;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.test.ESIntegTestCase;
import org.elasticsearch.transport.netty4.Netty4Plugin;
import org.elasticsearch.xcontent.json.JsonXContent;

/** A cluster of nodes with the plugin that answer over HTTP. */
public abstract class RestTestCase extends ESIntegTestCase {
  @Override
  protected boolean addMockHttpTransport() {
    return false;
  }

  @Override
  protected Collection<Class<? extends Plugin>> nodePlugins() {
    return List.of(TestPlugin.class, Netty4Plugin.class);
  }

  @Override
  protected Settings nodeSettings(int nodeOrdinal, Settings otherSettings) {
    return Settings.builder()
        .put(super.nodeSettings(nodeOrdinal, otherSettings))
        .put("http.type", "netty4")
        .build();
  }

  protected static Map<String, Object> call(String method, String path, String body)
      throws IOException {
    Request request = new Request(method, path);
    if (body != null) {
      request.setJsonEntity(body);
    }
    Response response = getRestClient().performRequest(request);
    return XContentHelper.convertToMap(
        JsonXContent.jsonXContent, response.getEntity().getContent(), true);
  }

  protected static void assertError(
      int status, String reason, String method, String path, String body) {
    ResponseException e = expectThrows(ResponseException.class, () -> call(method, path, body));
    try {
      String answer = EntityUtils.toString(e.getResponse().getEntity());
      assertEquals(answer, status, e.getResponse().getStatusLine().getStatusCode());
      assertThat(answer.replace("\\\"", "\""), containsString(reason));
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    }
  }

  protected static Object at(Map<String, Object> answer, String path) {
    return XContentMapValues.extractValue(path, answer);
  }
}
