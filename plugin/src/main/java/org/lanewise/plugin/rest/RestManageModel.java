package org.lanewise.plugin.rest;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.elasticsearch.action.ActionType;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.common.bytes.BytesReference;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestRequest.Method;
import org.elasticsearch.rest.action.RestToXContentListener;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ObjectParser;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentParser;
import org.lanewise.encoder.ModelFiles;
import org.lanewise.encoder.ModelFiles.ModelFile;
import org.lanewise.plugin.action.ManageModelAction;
import org.lanewise.plugin.store.ModelNodesAction.Operation;

/**
 * {@code PUT} and {@code DELETE /_lanewise/models/{model_id}}, {@code PUT .../_part} with a piece
 * of a file, {@code POST .../_complete}, {@code _load}, {@code _unload} and {@code _reload}.
 */
public final class RestManageModel extends BaseRestHandler {
  private static final String MODEL = "/_lanewise/models/{model_id}";
  private static final String PART = MODEL + "/_part";

  private static final ConstructingObjectParser<ModelFile, Void> FILE =
      new ConstructingObjectParser<>(
          "lanewise_model_file", args -> new ModelFile((long) args[0], (String) args[1]));

  private static final ConstructingObjectParser<ModelFiles, Void> FILES =
      new ConstructingObjectParser<>(
          "lanewise_model",
          args -> {
            @SuppressWarnings("unchecked") // readFiles returns files
            SortedMap<String, ModelFile> files = (SortedMap<String, ModelFile>) args[0];
            return new ModelFiles(files);
          });

  static {
    FILE.declareLong(ConstructingObjectParser.constructorArg(), new ParseField("bytes"));
    FILE.declareString(ConstructingObjectParser.constructorArg(), new ParseField("sha256"));
    FILES.declareField(
        ConstructingObjectParser.constructorArg(),
        (parser, ignored) -> readFiles(parser),
        new ParseField("files"),
        ObjectParser.ValueType.OBJECT);
  }

  private static SortedMap<String, ModelFile> readFiles(XContentParser parser) throws IOException {
    SortedMap<String, ModelFile> files = new TreeMap<>();
    while (parser.nextToken() != XContentParser.Token.END_OBJECT) {
      String name = parser.currentName();
      parser.nextToken();
      files.put(name, FILE.parse(parser, null));
    }
    return files;
  }

  @Override
  public String getName() {
    return "lanewise_manage_model_action";
  }

  @Override
  public List<Route> routes() {
    return List.of(
        new Route(Method.PUT, MODEL),
        new Route(Method.PUT, PART),
        new Route(Method.POST, MODEL + "/_complete"),
        new Route(Method.DELETE, MODEL),
        new Route(Method.POST, MODEL + "/_load"),
        new Route(Method.POST, MODEL + "/_unload"),
        new Route(Method.POST, MODEL + "/_reload"));
  }

  /** A piece of a file is bytes, whatever a client calls them. */
  @Override
  public boolean mediaTypesValid(RestRequest request) {
    return request.path().endsWith("/_part") || super.mediaTypesValid(request);
  }

  @Override
  protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client)
      throws IOException {
    String id = request.param("model_id");
    String path = request.path();
    String verb = path.substring(path.lastIndexOf('/') + 1);
    return switch (request.method()) {
      case DELETE ->
          send(
              client,
              ManageModelAction.Delete.TYPE,
              new ManageModelAction.Remove(id, request.paramAsBoolean("force", false)));
      case PUT ->
          send(
              client,
              ManageModelAction.Put.TYPE,
              verb.equals("_part") ? part(id, request) : begin(id, request));
      default ->
          switch (verb) {
            case "_complete" ->
                send(client, ManageModelAction.Put.TYPE, new ManageModelAction.Complete(id));
            case "_load" -> change(client, id, Operation.LOAD);
            case "_unload" -> change(client, id, Operation.UNLOAD);
            default -> change(client, id, Operation.RELOAD);
          };
    };
  }

  private static ManageModelAction.Request begin(String id, RestRequest request)
      throws IOException {
    try (XContentParser parser = request.contentParser()) {
      return new ManageModelAction.Begin(id, FILES.parse(parser, null));
    }
  }

  private static ManageModelAction.Request part(String id, RestRequest request) {
    String file = request.param("file");
    if (file == null) {
      throw new IllegalArgumentException(
          "[file] is missing: the path of the file below the model's directory");
    }
    return new ManageModelAction.AddPart(
        id,
        file,
        request.paramAsLong("offset", 0),
        BytesReference.toBytes(request.content()),
        Optional.ofNullable(request.param("sha256")));
  }

  private static RestChannelConsumer change(NodeClient client, String id, Operation operation) {
    return send(client, ManageModelAction.Load.TYPE, new ManageModelAction.Switch(id, operation));
  }

  private static RestChannelConsumer send(
      NodeClient client,
      ActionType<ManageModelAction.Response> type,
      ManageModelAction.Request request) {
    return channel -> client.execute(type, request, new RestToXContentListener<>(channel));
  }
}
