package org.lanewise.node;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** Requests to one node, JSON in and out. Thread-safe. */
public final class Http implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final HttpClient client = HttpClient.newHttpClient();
  private final URI base;

  /** Creates a client of the node at the address, for example {@code http://127.0.0.1:9200}. */
  public Http(URI base) {
    this.base = base;
  }

  /**
   * What the node answered.
   *
   * @param status HTTP status
   * @param text the body as it came
   */
  public record Response(int status, String text) {
    /** Returns the body as JSON; another kind of body is an error that shows it. */
    public JsonNode json() {
      try {
        return JSON.readTree(text);
      } catch (JsonProcessingException e) {
        throw new NodeException("expected JSON but the node answered [" + text + "]", e);
      }
    }

    /** Returns itself if the status is 2xx; otherwise throws with the node's own words. */
    public Response orThrow() {
      if (status / 100 != 2) {
        throw new NodeException("the node answered status [" + status + "]: " + text);
      }
      return this;
    }
  }

  /** Returns the answer to GET. */
  public Response get(String path) {
    return send("GET", path, "", "application/json");
  }

  /** Returns the answer to PUT with a JSON body. */
  public Response put(String path, String json) {
    return send("PUT", path, json, "application/json");
  }

  /** Returns the answer to POST with a JSON body. */
  public Response post(String path, String json) {
    return send("POST", path, json, "application/json");
  }

  /** Returns the answer to POST with one JSON object per line, as the bulk API wants them. */
  public Response postLines(String path, String lines) {
    return send("POST", path, lines, "application/x-ndjson");
  }

  /** Returns the answer to DELETE. */
  public Response delete(String path) {
    return send("DELETE", path, "", "application/json");
  }

  @Override
  public void close() {
    client.close();
  }

  private Response send(String method, String path, String body, String type) {
    HttpRequest request =
        HttpRequest.newBuilder(base.resolve(path))
            .header("Content-Type", type)
            .timeout(Duration.ofMinutes(2))
            .method(
                method,
                body.isEmpty()
                    ? BodyPublishers.noBody()
                    : BodyPublishers.ofString(body, StandardCharsets.UTF_8))
            .build();
    try {
      HttpResponse<String> response =
          client.send(request, BodyHandlers.ofString(StandardCharsets.UTF_8));
      return new Response(response.statusCode(), response.body());
    } catch (IOException e) {
      throw new NodeException("no answer to [" + method + " " + request.uri() + "]: " + e, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new NodeException("interrupted at [" + method + " " + request.uri() + "]", e);
    }
  }
}
