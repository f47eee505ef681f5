package org.lanewise.plugin.rest;

import com.carrotsearch.randomizedtesting.annotations.Name;
import com.carrotsearch.randomizedtesting.annotations.ParametersFactory;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.http.HttpEntity;
import org.apache.http.util.EntityUtils;
import org.apache.lucene.tests.util.LuceneTestCase.SuppressFileSystems;
import org.elasticsearch.client.Response;
import org.elasticsearch.client.ResponseException;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.core.PathUtils;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.test.ESIntegTestCase;
import org.elasticsearch.transport.netty4.Netty4Plugin;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParserConfiguration;
import org.elasticsearch.xcontent.XContentType;
import org.lanewise.plugin.HeadModels;
import org.lanewise.plugin.LanewisePlugin;
import org.lanewise.plugin.RestTestCase;
import org.lanewise.plugin.TinyModels;

/**
 * The YAML tests of {@code rest-api-spec/test/lanewise}, in the format of Elasticsearch's own, as
 * far as these need it, with calls checked against the specifications of {@code rest-api-spec/api}.
 * The models are real.
 */
@ESIntegTestCase.ClusterScope(
    scope = ESIntegTestCase.Scope.SUITE,
    numDataNodes = 1,
    numClientNodes = 0,
    supportsDedicatedMasters = false)
@SuppressFileSystems("*") // weights are mapped into memory
public class YamlRestTests extends RestTestCase {
  private static final Path SPEC = PathUtils.get("src", "test", "resources", "rest-api-spec");
  private static final Path BUNDLED = PathUtils.get("..", "models", "lanewise-mini-en");
  private static final Map<Integer, Path> CONFIGS = new ConcurrentHashMap<>();
  private static final Map<String, Integer> STATUS =
      Map.of("bad_request", 400, "missing", 404, "request_timeout", 408, "conflict", 409);

  /** A section of a file with the steps that go before it. */
  public record Section(String file, String name, List<Object> steps) {
    @Override
    public String toString() {
      return file + " / " + name;
    }
  }

  private final Section section;
  private final Map<String, RestSpec> specs = new HashMap<>();
  private final Map<String, Object> stash = new HashMap<>();
  private Object answer;

  /** Called for each section. */
  public YamlRestTests(@Name("section") Section section) {
    this.section = section;
  }

  /** Returns the sections of all files. */
  @ParametersFactory
  public static Iterable<Object[]> sections() throws IOException {
    List<Object[]> sections = new ArrayList<>();
    List<Path> files = new ArrayList<>();
    try (DirectoryStream<Path> all =
        Files.newDirectoryStream(SPEC.resolve("test").resolve("lanewise"), "*.yml")) {
      all.forEach(files::add);
    }
    for (Path file : files) {
      Map<String, List<?>> named = read(file);
      List<?> setup = Objects.requireNonNullElse(named.remove("setup"), List.of());
      named.forEach(
          (name, steps) -> {
            List<Object> all = new ArrayList<>(setup);
            all.addAll(steps);
            sections.add(new Object[] {new Section(file.getFileName().toString(), name, all)});
          });
    }
    return sections;
  }

  private static Map<String, List<?>> read(Path file) throws IOException {
    Map<String, List<?>> sections = new LinkedHashMap<>();
    try (InputStream in = Files.newInputStream(file);
        XContentParser parser =
            XContentType.YAML.xContent().createParser(XContentParserConfiguration.EMPTY, in)) {
      while (parser.nextToken() != null) {
        parser.mapOrdered().forEach((name, steps) -> sections.put(name, (List<?>) steps));
      }
    }
    return sections;
  }

  @Override
  protected Collection<Class<? extends Plugin>> nodePlugins() {
    return List.of(LanewisePlugin.class, Netty4Plugin.class);
  }

  @Override
  protected Settings nodeSettings(int nodeOrdinal, Settings otherSettings) {
    return Settings.builder()
        .put(super.nodeSettings(nodeOrdinal, otherSettings))
        .put("lanewise.backend", "scalar")
        .build();
  }

  @Override
  protected Path nodeConfigPath(int nodeOrdinal) {
    return CONFIGS.computeIfAbsent(
        nodeOrdinal,
        node -> {
          Path config = createTempDir();
          Path models = config.resolve("lanewise").resolve("models");
          for (String name : List.of(HeadModels.RERANKER, HeadModels.ANSWERER, HeadModels.SPLADE)) {
            HeadModels.create(models, name);
          }
          TinyModels.names(models.resolve("names"));
          TinyModels.mood(models.resolve("mood"));
          copy(BUNDLED, models.resolve(BUNDLED.getFileName().toString()));
          copy(BUNDLED.resolve("1_Pooling"), models.resolve("broken"));
          return config;
        });
  }

  private static void copy(Path from, Path to) {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Path target = to.resolve(from.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(target);
        } else {
          Files.copy(file, target);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public void testSection() throws Exception {
    specs.putAll(RestSpec.read(SPEC.resolve("api")));
    specs.putAll(RestSpec.read(SPEC.resolve("server")));
    for (Object step : section.steps) {
      Map<?, ?> single = (Map<?, ?>) step;
      assertEquals(step.toString(), 1, single.size());
      Map.Entry<?, ?> each = single.entrySet().iterator().next();
      try {
        run((String) each.getKey(), each.getValue());
      } catch (AssertionError e) {
        throw new AssertionError("at " + step + ", after the answer " + answer, e);
      }
    }
  }

  private void run(String step, Object value) throws IOException {
    switch (step) {
      case "do" -> call((Map<?, ?>) value);
      case "is_true" -> assertTrue(isTrue(at((String) value)));
      case "is_false" -> assertFalse(isTrue(at((String) value)));
      default -> {
        Map.Entry<?, ?> only = ((Map<?, ?>) value).entrySet().iterator().next();
        Object found = at((String) only.getKey());
        Object expected = stashed(only.getValue());
        switch (step) {
          case "match" -> assertMatches(expected, found);
          case "length" -> assertEquals(number(expected), size(found), 0);
          case "gt" -> assertTrue(number(found) > number(expected));
          case "gte" -> assertTrue(number(found) >= number(expected));
          case "lt" -> assertTrue(number(found) < number(expected));
          case "lte" -> assertTrue(number(found) <= number(expected));
          case "close_to" -> {
            Map<?, ?> near = (Map<?, ?>) expected;
            assertEquals(
                number(stashed(near.get("value"))), number(found), number(near.get("error")));
          }
          case "set" -> stash.put((String) expected, found);
          default -> throw new AssertionError("unknown step [" + step + "]");
        }
      }
    }
  }

  private void call(Map<?, ?> step) throws IOException {
    String expected = null;
    String api = null;
    Map<String, Object> arguments = new TreeMap<>();
    for (Map.Entry<?, ?> each : step.entrySet()) {
      if (each.getKey().equals("catch")) {
        expected = (String) each.getValue();
      } else {
        api = (String) each.getKey();
        ((Map<?, ?>) each.getValue())
            .forEach((name, value) -> arguments.put((String) name, stashed(value)));
      }
    }
    assertTrue("no specification of [" + api + "]", specs.containsKey(api));
    try {
      answer = content(getRestClient().performRequest(specs.get(api).request(arguments)));
    } catch (ResponseException e) {
      answer = content(e.getResponse());
      int status = e.getResponse().getStatusLine().getStatusCode();
      if (expected == null) {
        throw new AssertionError("status " + status, e);
      } else if (expected.startsWith("/")) {
        assertTrue(expected, pattern(expected).matcher(answer.toString()).find());
      } else {
        assertEquals(expected, STATUS.get(expected), (Integer) status);
      }
      return;
    } catch (RestSpec.MisuseException e) {
      if (!"param".equals(expected)) {
        throw e;
      }
      return;
    }
    assertNull("no error", expected);
  }

  private static Object content(Response response) throws IOException {
    HttpEntity entity = response.getEntity();
    String text = EntityUtils.toString(entity, StandardCharsets.UTF_8);
    if (!entity.getContentType().getValue().contains("json")) {
      return text;
    }
    try (XContentParser parser =
        XContentType.JSON.xContent().createParser(XContentParserConfiguration.EMPTY, text)) {
      return parser.nextToken() == XContentParser.Token.START_ARRAY
          ? parser.listOrderedMap()
          : parser.mapOrdered();
    }
  }

  /** Returns what lies at a path of names and places, of which {@code $body} is the whole. */
  private Object at(String path) {
    if (path.equals("$body")) {
      return answer;
    }
    Object found = answer;
    for (String part : path.split("(?<!\\\\)\\.", -1)) {
      String name = String.valueOf(stashed(part)).replace("\\.", ".");
      if (found instanceof List<?> list) {
        int place = Integer.parseInt(name);
        found = place < list.size() ? list.get(place) : null;
      } else if (found instanceof Map<?, ?> map) {
        found = name.equals("_arbitrary_key_") ? map.keySet().iterator().next() : map.get(name);
      } else {
        return null;
      }
    }
    return found;
  }

  private Object stashed(Object value) {
    if (value instanceof String name && name.startsWith("$") && !name.equals("$body")) {
      assertTrue(name, stash.containsKey(name.substring(1)));
      return stash.get(name.substring(1));
    }
    return value;
  }

  private static void assertMatches(Object expected, Object found) {
    if (expected instanceof String text && text.startsWith("/")) {
      assertTrue(
          "expected " + text + " but found " + found,
          pattern(text).matcher(String.valueOf(found)).matches());
    } else if (expected instanceof Number && found instanceof Number) {
      assertEquals(number(expected), number(found), 0);
    } else {
      assertEquals(expected, found);
    }
  }

  private static Pattern pattern(String text) {
    String stripped = text.strip();
    return Pattern.compile(stripped.substring(1, stripped.length() - 1), Pattern.COMMENTS);
  }

  private static boolean isTrue(Object found) {
    return found != null
        && !found.equals(false)
        && !found.equals("")
        && !found.equals("false")
        && !(found instanceof Number number && number.doubleValue() == 0);
  }

  private static double number(Object value) {
    assertTrue("expected a number but found " + value, value instanceof Number);
    return ((Number) value).doubleValue();
  }

  private static int size(Object found) {
    return switch (found) {
      case Map<?, ?> map -> map.size();
      case List<?> list -> list.size();
      case String text -> text.length();
      case null, default -> throw new AssertionError(found + " has no length");
    };
  }
}
