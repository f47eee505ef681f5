package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The zip as a user installs it, in the real server with entitlements on. */
final class RealNodeIT {
  private static NodeHome home;
  private static ElasticsearchNode node;

  @BeforeAll
  static void start() {
    home = NodeHome.assemble("real-node");
    node = ElasticsearchNode.start(home, NodeOptions.defaults());
  }

  @AfterAll
  static void stop() {
    if (node != null) {
      node.close();
      assertFalse(node.isAlive());
    }
    home.close();
  }

  @Test
  void pluginIsInstalled() {
    JsonNode plugins = node.http().get("/_cat/plugins?format=json").orThrow().json();
    assertEquals("lanewise", plugins.path(0).path("component").asText());
    assertEquals(1, plugins.size());
  }

  @Test
  void clusterIsHealthy() {
    JsonNode health = node.http().get("/_cluster/health").orThrow().json();
    assertEquals("green", health.path("status").asText());
    assertEquals(1, health.path("number_of_nodes").asInt());
  }

  @Test
  void entitlementsAreOn() {
    assertTrue(node.log().contains("Entitlement agent attached"), node::log);
  }
}
