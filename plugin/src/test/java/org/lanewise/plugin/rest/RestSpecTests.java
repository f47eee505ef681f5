package org.lanewise.plugin.rest;

import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.elasticsearch.core.PathUtils;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.test.ESTestCase;
import org.lanewise.plugin.LanewisePlugin;

/** The specifications beside what the plugin registers. */
public class RestSpecTests extends ESTestCase {
  private static final Path API = PathUtils.get("src", "test", "resources", "rest-api-spec", "api");

  public void testEveryRouteIsSpecifiedAndNoOther() {
    Set<String> specified = new TreeSet<>();
    for (RestSpec spec : RestSpec.read(API).values()) {
      for (RestSpec.Route route : spec.paths()) {
        route.methods().forEach(method -> specified.add(method + " " + route.path()));
      }
    }
    Set<String> registered = new TreeSet<>();
    for (RestHandler handler : new LanewisePlugin().getRestHandlers(null, null, null)) {
      handler.routes().forEach(route -> registered.add(route.getMethod() + " " + route.getPath()));
    }
    assertEquals(registered, specified);
  }

  public void testPartsAreThoseOfThePath() {
    for (Map.Entry<String, RestSpec> each : RestSpec.read(API).entrySet()) {
      for (RestSpec.Route route : each.getValue().paths()) {
        Set<String> braces = new TreeSet<>();
        for (String part : route.path().split("/", -1)) {
          if (part.startsWith("{")) {
            braces.add(part.substring(1, part.length() - 1));
          }
        }
        assertEquals(each.getKey(), braces, new TreeSet<>(route.parts()));
      }
    }
  }
}
