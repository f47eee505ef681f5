package org.lanewise.plugin.rest;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.elasticsearch.client.Request;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.xcontent.XContentHelper;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.json.JsonXContent;

/**
 * One API as its specification says it is called.
 *
 * @param paths its paths, their methods, and the names of the parts of each
 * @param params names of the parameters that may go behind the path
 * @param body whether it takes a body
 * @param bodyRequired whether it needs one
 * @param lines whether the body is one JSON object per line
 */
record RestSpec(
    String name,
    List<Route> paths,
    Set<String> params,
    boolean body,
    boolean bodyRequired,
    boolean lines) {

  /** A path, the methods that it can be called by, and the names in its braces. */
  record Route(String path, List<String> methods, Set<String> parts) {}

  /** Arguments that the specification does not allow. */
  static final class MisuseException extends RuntimeException {
    private static final long serialVersionUID = 1;

    MisuseException(String message) {
      super(message);
    }
  }

  /** Returns the specifications of a directory, by name. */
  static Map<String, RestSpec> read(Path directory) {
    Map<String, RestSpec> specs = new TreeMap<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "*.json")) {
      for (Path file : files) {
        try (InputStream in = Files.newInputStream(file)) {
          XContentHelper.convertToMap(JsonXContent.jsonXContent, in, true)
              .forEach((name, spec) -> specs.put(name, of(name, (Map<?, ?>) spec)));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return specs;
  }

  private static RestSpec of(String name, Map<?, ?> spec) {
    List<Route> paths = new ArrayList<>();
    for (Object each : (List<?>) ((Map<?, ?>) spec.get("url")).get("paths")) {
      Map<?, ?> path = (Map<?, ?>) each;
      paths.add(
          new Route(
              (String) path.get("path"),
              ((List<?>) path.get("methods")).stream().map(String::valueOf).toList(),
              names(path.get("parts"))));
    }
    Map<?, ?> body = (Map<?, ?>) spec.get("body");
    return new RestSpec(
        name,
        paths,
        names(spec.get("params")),
        body != null,
        body != null && Boolean.TRUE.equals(body.get("required")),
        body != null && "bulk".equals(body.get("serialize")));
  }

  private static Set<String> names(Object object) {
    return object == null
        ? Set.of()
        : ((Map<?, ?>) object).keySet().stream().map(String::valueOf).collect(Collectors.toSet());
  }

  /** Returns the request that these arguments make. */
  Request request(Map<String, Object> arguments) throws IOException {
    Map<String, Object> left = new TreeMap<>(arguments);
    Object content = left.remove("body");
    Set<String> parts = new HashSet<>(left.keySet());
    parts.removeAll(params);
    Route route =
        paths.stream()
            .filter(each -> each.parts.equals(parts))
            .findFirst()
            .orElseThrow(
                () -> new MisuseException("[" + name + "] has no path with the parts " + parts));
    if (content == null ? bodyRequired : !body) {
      throw new MisuseException("[" + name + "] needs a body, or takes none");
    }
    String path = route.path;
    for (String part : route.parts) {
      path = path.replace("{" + part + "}", encoded(left.remove(part)));
    }
    Request request = new Request(route.methods.getFirst(), path);
    left.forEach((key, value) -> request.addParameter(key, text(value)));
    if (content != null) {
      request.setJsonEntity(lines ? lines((List<?>) content) : json(content));
    }
    return request;
  }

  private static String encoded(Object value) {
    return URLEncoder.encode(text(value), StandardCharsets.UTF_8);
  }

  private static String text(Object value) {
    return value instanceof List<?> list
        ? list.stream().map(String::valueOf).collect(Collectors.joining(","))
        : String.valueOf(value);
  }

  private static String lines(List<?> objects) throws IOException {
    StringBuilder lines = new StringBuilder();
    for (Object each : objects) {
      lines.append(json(each)).append('\n');
    }
    return lines.toString();
  }

  private static String json(Object value) throws IOException {
    try (XContentBuilder builder = JsonXContent.contentBuilder()) {
      return Strings.toString(builder.value(value));
    }
  }
}
