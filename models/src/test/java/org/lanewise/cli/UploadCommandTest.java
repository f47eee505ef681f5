package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code upload}, to a server that answers as the plugin does; the plugin's tests use a node. */
class UploadCommandTest {

  @TempDir private Path model;

  private final List<String> requests = new CopyOnWriteArrayList<>();
  private HttpServer server;
  private int status = 200;
  private String first = "{\"missing\":[{\"file\":\"a.json\",\"offset\":3,\"bytes\":2}]}";

  @BeforeEach
  void start() throws IOException {
    Files.writeString(model.resolve("a.json"), "hello");
    Files.writeString(model.resolve("pytorch_model.bin"), "not a part of it");
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/", this::answer);
    server.start();
  }

  @AfterEach
  void stop() {
    server.stop(0);
  }

  private void answer(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    requests.add(
        exchange.getRequestMethod()
            + " "
            + exchange.getRequestURI()
            + " "
            + exchange.getRequestHeaders().getFirst("X-Key")
            + " "
            + body);
    byte[] answer =
        (requests.size() == 1 ? first : "{\"state\":\"complete\"}")
            .getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, answer.length);
    exchange.getResponseBody().write(answer);
    exchange.close();
  }

  private Run upload(String... more) {
    String[] arguments = new String[7 + more.length];
    System.arraycopy(
        new String[] {
          "upload",
          "--model",
          model.toString(),
          "--url",
          "http://localhost:" + server.getAddress().getPort() + "/",
          "--id",
          "m"
        },
        0,
        arguments,
        0,
        7);
    System.arraycopy(more, 0, arguments, 7, more.length);
    return Run.of("", arguments);
  }

  @Test
  void sendsWhatIsMissing() {
    List<JsonNode> answers = upload("--header", "X-Key: secret").answers();
    assertEquals("complete", answers.getFirst().get("state").asText());
    assertEquals(3, requests.size());
    assertEquals(
        "PUT /_lanewise/models/m secret {\"files\":{\"a.json\":{\"bytes\":5,\"sha256\":\""
            + "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"}}}",
        requests.get(0));
    assertTrue(
        requests.get(1).startsWith("PUT /_lanewise/models/m/_part?file=a.json&offset=3&sha256="),
        requests.get(1));
    assertTrue(requests.get(1).endsWith(" secret lo"), requests.get(1));
    assertEquals("POST /_lanewise/models/m/_complete secret ", requests.get(2));
  }

  @Test
  void aRefusalIsOneLine() {
    status = 409;
    first = "{\"error\":{\"reason\":\"model [m] is on the disk of this node\"}}";
    String complaint = upload().complaint();
    assertTrue(complaint.contains("answered [409]: model [m] is on the disk"), complaint);
    assertEquals(1, requests.size());
  }

  @Test
  void badArgumentsAreNamed() {
    assertTrue(upload("--header", "x").complaint().contains("[--header] is [x]"));
    first = "<html>";
    requests.clear();
    assertTrue(upload().complaint().contains("without JSON"));
    server.stop(0);
    assertTrue(upload().complaint().contains("goes on where it stopped"));
    assertTrue(
        Run.of("", "upload", "--model", model.resolve("a.json").toString())
            .complaint()
            .contains("is no directory"));
  }
}
