package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.lanewise.encoder.ModelFiles;
import org.lanewise.encoder.ModelFiles.ModelFile;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code lanewise upload}: a model directory to an Elasticsearch cluster with the plugin. */
@Command(
    name = "upload",
    description = {
      "Uploads a model directory to an Elasticsearch cluster with the plugin, from where every node"
          + " fetches it. An upload that was interrupted goes on where it stopped.",
      "Answers what the cluster says of the model: {\"model_id\":..,\"state\":\"complete\",..}"
    })
final class UploadCommand implements Callable<Integer> {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Duration PATIENCE = Duration.ofMinutes(5);

  private final Streams streams;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "DIR",
      description = "A model directory, as it was published.")
  private Path model;

  @Option(
      names = "--id",
      paramLabel = "ID",
      description = "What the model is called in the cluster (default: the directory's name).")
  private Optional<String> id = Optional.empty();

  @Option(
      names = "--url",
      paramLabel = "URL",
      defaultValue = "http://localhost:9200",
      description = "A node of the cluster (default: ${DEFAULT-VALUE}).")
  private URI url;

  @Option(
      names = "--header",
      paramLabel = "NAME:VALUE",
      description = "A header of every request, such as 'Authorization: ApiKey ...'; may repeat.")
  private List<String> headers = List.of();

  UploadCommand(Streams streams) {
    this.streams = streams;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (!Files.isDirectory(model)) {
      throw new IllegalArgumentException("[" + model + "] is no directory");
    }
    ModelFiles files = ModelFiles.of(model);
    String path =
        "/_lanewise/models/"
            + encoded(
                id.orElse(model.toRealPath().getFileName().toString().toLowerCase(Locale.ROOT)));
    try (HttpClient client = HttpClient.newHttpClient();
        JsonGenerator json = streams.json()) {
      JsonNode begun = send(client, "PUT", path, "application/json", json(manifest(files)));
      long total = files.bytes();
      long left = 0;
      for (JsonNode part : begun.path("missing")) {
        left += part.path("bytes").asLong();
      }
      for (JsonNode part : begun.path("missing")) {
        streams.progress(String.format(Locale.ROOT, "%,d of %,d bytes", total - left, total));
        sendPart(client, path, part);
        left -= part.path("bytes").asLong();
      }
      streams.progress("checking the files");
      JsonNode complete =
          send(client, "POST", path + "/_complete", "application/json", BodyPublishers.noBody());
      streams.progress("");
      MAPPER.writeTree(json, complete);
      Streams.endLine(json);
      streams.flush(json);
      return 0;
    } finally {
      streams.progress("");
    }
  }

  private static ObjectNode manifest(ModelFiles files) {
    ObjectNode manifest = MAPPER.createObjectNode();
    ObjectNode each = manifest.putObject("files");
    for (Map.Entry<String, ModelFile> file : files.byName().entrySet()) {
      each.putObject(file.getKey())
          .put("bytes", file.getValue().bytes())
          .put("sha256", file.getValue().sha256());
    }
    return manifest;
  }

  private static BodyPublisher json(JsonNode content) {
    return BodyPublishers.ofString(content.toString());
  }

  private void sendPart(HttpClient client, String path, JsonNode part)
      throws IOException, InterruptedException {
    String file = part.path("file").asText();
    long offset = part.path("offset").asLong();
    byte[] bytes;
    try (InputStream in = Files.newInputStream(model.resolve(file))) {
      in.skipNBytes(offset);
      bytes = in.readNBytes(part.path("bytes").asInt());
    }
    String digest = HexFormat.of().formatHex(ModelFiles.sha256().digest(bytes));
    send(
        client,
        "PUT",
        path + "/_part?file=" + encoded(file) + "&offset=" + offset + "&sha256=" + digest,
        "application/octet-stream",
        BodyPublishers.ofByteArray(bytes));
  }

  private JsonNode send(
      HttpClient client, String method, String path, String type, BodyPublisher body)
      throws IOException, InterruptedException {
    String base = url.toString().replaceAll("/+$", "");
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(base + path))
            .method(method, body)
            .timeout(PATIENCE)
            .header("Content-Type", type);
    for (String header : headers) {
      int colon = header.indexOf(':');
      if (colon <= 0) {
        throw new IllegalArgumentException(
            "[--header] is [" + header + "], expected a name, a colon and a value");
      }
      request.header(header.substring(0, colon).strip(), header.substring(colon + 1).strip());
    }
    HttpResponse<String> answer;
    try {
      answer = client.send(request.build(), BodyHandlers.ofString(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new IOException(
          "[" + base + "] does not answer (" + e + "); the same command goes on where it stopped",
          e);
    }
    JsonNode content;
    try {
      content = MAPPER.readTree(answer.body());
    } catch (IOException e) {
      throw new IOException(
          "["
              + base
              + "] answered ["
              + answer.statusCode()
              + "] without JSON; is it Elasticsearch"
              + " with the plugin?",
          e);
    }
    if (answer.statusCode() != 200) {
      throw new IOException(
          "["
              + base
              + "] answered ["
              + answer.statusCode()
              + "]: "
              + content.at("/error/reason").asText(answer.body()));
    }
    return content;
  }

  private static String encoded(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }
}
