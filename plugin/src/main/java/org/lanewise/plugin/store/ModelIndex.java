package org.lanewise.plugin.store;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.DocWriteRequest;
import org.elasticsearch.action.DocWriteResponse;
import org.elasticsearch.action.bulk.BulkRequest;
import org.elasticsearch.action.delete.DeleteRequest;
import org.elasticsearch.action.get.GetRequest;
import org.elasticsearch.action.get.GetResponse;
import org.elasticsearch.action.get.MultiGetItemResponse;
import org.elasticsearch.action.get.MultiGetRequest;
import org.elasticsearch.action.index.IndexRequest;
import org.elasticsearch.action.search.SearchRequest;
import org.elasticsearch.action.support.ThreadedActionListener;
import org.elasticsearch.action.support.WriteRequest.RefreshPolicy;
import org.elasticsearch.action.update.UpdateRequest;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.client.internal.OriginSettingClient;
import org.elasticsearch.cluster.metadata.IndexMetadata;
import org.elasticsearch.common.bytes.BytesReference;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.xcontent.XContentHelper;
import org.elasticsearch.index.query.QueryBuilders;
import org.elasticsearch.indices.SystemIndexDescriptor;
import org.elasticsearch.ingest.IngestService;
import org.elasticsearch.search.SearchHit;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.fetch.subphase.FetchSourceContext;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentFactory;
import org.elasticsearch.xcontent.XContentType;
import org.lanewise.encoder.ModelFiles;
import org.lanewise.encoder.ModelFiles.ModelFile;
import org.lanewise.plugin.models.ModelKind;
import org.lanewise.plugin.models.UploadedModel;

/**
 * The hidden index with the uploaded models: a document for each model, and one for each {@value
 * #PART_BYTES} bytes of its files. Documents are CBOR, so that bytes are stored as they are.
 */
final class ModelIndex {
  /** Length of all parts of a file but the last. */
  static final int PART_BYTES = 4 << 20;

  /** The name by which the index is written and read. */
  static final String ALIAS = ".lanewise-models";

  private static final String INDEX = ".lanewise-models-1";
  private static final int MOST_MODELS = 1000;
  private static final int IDS_AT_ONCE = 1000;

  /**
   * Where security is on, a plugin's own requests need an origin that the security features know.
   * This is the one of the server's ingest service, on whose behalf models are kept.
   */
  private static final String ORIGIN = IngestService.INGEST_ORIGIN;

  private static final String MAPPINGS =
      """
      {"_doc": {
        "_meta": {"version": "1", "managed_index_mappings_version": 1},
        "dynamic": "strict",
        "properties": {
          "type": {"type": "keyword"},
          "model_id": {"type": "keyword"},
          "kind": {"type": "keyword"},
          "files": {"type": "object", "enabled": false},
          "content": {"type": "binary"}
        }
      }}
      """;

  private final Client client;
  private final BooleanSupplier exists;
  private final Executor executor;

  /**
   * Reads and writes the index.
   *
   * @param exists whether the index is there
   * @param executor where answers are worked on
   */
  ModelIndex(Client client, BooleanSupplier exists, Executor executor) {
    this.client = new OriginSettingClient(client, ORIGIN);
    this.exists = exists;
    this.executor = executor;
  }

  /** Returns what the server needs to create the index when the first model comes. */
  static SystemIndexDescriptor descriptor() {
    return SystemIndexDescriptor.builder()
        .setIndexPattern(".lanewise-models-*")
        .setPrimaryIndex(INDEX)
        .setAliasName(ALIAS)
        .setDescription("models of the Lanewise plugin")
        .setMappings(MAPPINGS)
        .setSettings(
            Settings.builder()
                .put(IndexMetadata.SETTING_NUMBER_OF_SHARDS, 1)
                .put(IndexMetadata.SETTING_AUTO_EXPAND_REPLICAS, "0-1")
                .put(IndexMetadata.SETTING_PRIORITY, 900)
                .build())
        .setOrigin(ORIGIN)
        .setNetNew()
        .build();
  }

  /** A piece of a file. */
  record Part(String file, long offset, int bytes) {}

  /** Returns the pieces of a model's files, in the order of files and offsets. */
  static List<Part> parts(ModelFiles files) {
    List<Part> parts = new ArrayList<>();
    for (Map.Entry<String, ModelFile> file : files.byName().entrySet()) {
      long bytes = file.getValue().bytes();
      long offset = 0;
      // An empty file has one empty part.
      do {
        int length = (int) Math.min(PART_BYTES, bytes - offset);
        parts.add(new Part(file.getKey(), offset, length));
        offset += length;
      } while (offset < bytes);
    }
    return parts;
  }

  private static String documentId(String modelId) {
    return "model/" + modelId;
  }

  private static String documentId(UploadedModel model, Part part) {
    return "part/"
        + model.id()
        + "/"
        + model.files().fingerprint()
        + "/"
        + part.file()
        + "@"
        + part.offset();
  }

  private <T> ActionListener<T> forked(ActionListener<T> listener) {
    return new ThreadedActionListener<>(executor, listener);
  }

  /** Hands over what was uploaded, or begun to be, under an id. */
  void find(String id, ActionListener<Optional<UploadedModel>> listener) {
    if (!exists.getAsBoolean()) {
      listener.onResponse(Optional.empty());
      return;
    }
    client.get(
        new GetRequest(ALIAS, documentId(id)),
        forked(
            listener.map(
                found ->
                    found.isExists()
                        ? Optional.of(read(found.getSourceAsBytesRef()))
                        : Optional.empty())));
  }

  /** Hands over all models that were uploaded or begun to be. */
  void list(ActionListener<List<UploadedModel>> listener) {
    if (!exists.getAsBoolean()) {
      listener.onResponse(List.of());
      return;
    }
    SearchRequest request =
        new SearchRequest(ALIAS)
            .source(
                new SearchSourceBuilder()
                    .query(QueryBuilders.termQuery("type", "model"))
                    .size(MOST_MODELS)
                    .sort("model_id"));
    request.allowPartialSearchResults(false);
    client.search(
        request,
        listener.map(
            found -> {
              List<UploadedModel> models = new ArrayList<>();
              for (SearchHit hit : found.getHits()) {
                models.add(read(hit.getSourceRef()));
              }
              return models;
            }));
  }

  private static UploadedModel read(BytesReference source) {
    Map<String, Object> document =
        XContentHelper.convertToMap(source, false, XContentType.CBOR).v2();
    SortedMap<String, ModelFile> files = new TreeMap<>();
    for (Map.Entry<?, ?> each : ((Map<?, ?>) document.get("files")).entrySet()) {
      Map<?, ?> file = (Map<?, ?>) each.getValue();
      files.put(
          (String) each.getKey(),
          new ModelFile(((Number) file.get("bytes")).longValue(), (String) file.get("sha256")));
    }
    return new UploadedModel(
        (String) document.get("model_id"),
        new ModelFiles(files),
        Optional.ofNullable((String) document.get("kind"))
            .map(kind -> ModelKind.valueOf(kind.toUpperCase(Locale.ROOT))));
  }

  /** Writes the document of a model whose upload begins; there must be none of its id. */
  void create(UploadedModel model, ActionListener<Void> listener) {
    try (XContentBuilder document = XContentFactory.cborBuilder()) {
      document.startObject().field("type", "model").field("model_id", model.id());
      document.startObject("files");
      for (Map.Entry<String, ModelFile> file : model.files().byName().entrySet()) {
        document
            .startObject(file.getKey())
            .field("bytes", file.getValue().bytes())
            .field("sha256", file.getValue().sha256())
            .endObject();
      }
      document.endObject().endObject();
      client.index(
          new IndexRequest(ALIAS)
              .id(documentId(model.id()))
              .opType(DocWriteRequest.OpType.CREATE)
              .source(document)
              .setRefreshPolicy(RefreshPolicy.IMMEDIATE),
          forked(listener.map(written -> null)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Notes what a model is, from when on it is complete; fails where it was deleted meanwhile. */
  void complete(String id, ModelKind kind, ActionListener<Void> listener) {
    UpdateRequest request =
        new UpdateRequest(ALIAS, documentId(id))
            .doc(Map.of("kind", kind.name().toLowerCase(Locale.ROOT)));
    request.setRefreshPolicy(RefreshPolicy.IMMEDIATE);
    client.update(request, forked(listener.map(written -> null)));
  }

  /** Writes a piece of a file. */
  void write(UploadedModel model, Part part, byte[] content, ActionListener<Void> listener) {
    try (XContentBuilder document = XContentFactory.cborBuilder()) {
      document
          .startObject()
          .field("type", "part")
          .field("model_id", model.id())
          .field("content", content)
          .endObject();
      client.index(
          new IndexRequest(ALIAS).id(documentId(model, part)).source(document),
          forked(listener.map(written -> null)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Hands over a piece of a file. */
  void read(UploadedModel model, Part part, ActionListener<byte[]> listener) {
    client.get(
        new GetRequest(ALIAS, documentId(model, part)),
        forked(listener.map(found -> content(model, part, found))));
  }

  private static byte[] content(UploadedModel model, Part part, GetResponse found) {
    if (found.isExists()
        && XContentHelper.convertToMap(found.getSourceAsBytesRef(), false, XContentType.CBOR)
                .v2()
                .get("content")
            instanceof byte[] content
        && content.length == part.bytes()) {
      return content;
    }
    throw new IllegalArgumentException(
        "the part at offset ["
            + part.offset()
            + "] of file ["
            + part.file()
            + "] of model ["
            + model.id()
            + "] is missing; upload it and complete the model");
  }

  /** Hands over the pieces that are not there. */
  void missing(UploadedModel model, ActionListener<List<Part>> listener) {
    missing(model, parts(model.files()), 0, new ArrayList<>(), listener);
  }

  private void missing(
      UploadedModel model,
      List<Part> parts,
      int from,
      List<Part> missing,
      ActionListener<List<Part>> listener) {
    if (from >= parts.size()) {
      listener.onResponse(missing);
      return;
    }
    List<Part> some = parts.subList(from, Math.min(from + IDS_AT_ONCE, parts.size()));
    MultiGetRequest request = new MultiGetRequest();
    for (Part part : some) {
      request.add(
          new MultiGetRequest.Item(ALIAS, documentId(model, part))
              .fetchSourceContext(FetchSourceContext.DO_NOT_FETCH_SOURCE));
    }
    client.multiGet(
        request,
        forked(
            listener.delegateFailureAndWrap(
                (next, found) -> {
                  int i = 0;
                  for (MultiGetItemResponse each : found) {
                    if (each.isFailed()) {
                      throw each.getFailure().getFailure();
                    }
                    if (!each.getResponse().isExists()) {
                      missing.add(some.get(i));
                    }
                    i++;
                  }
                  missing(model, parts, from + some.size(), missing, next);
                })));
  }

  /** Deletes the document of a model, and answers whether there was one. */
  void delete(String id, ActionListener<Boolean> listener) {
    if (!exists.getAsBoolean()) {
      listener.onResponse(false);
      return;
    }
    client.delete(
        new DeleteRequest(ALIAS, documentId(id)).setRefreshPolicy(RefreshPolicy.IMMEDIATE),
        forked(listener.map(deleted -> deleted.getResult() == DocWriteResponse.Result.DELETED)));
  }

  /** Deletes the pieces of a model's files. */
  void deleteParts(UploadedModel model, ActionListener<Void> listener) {
    BulkRequest request = new BulkRequest();
    parts(model.files())
        .forEach(part -> request.add(new DeleteRequest(ALIAS, documentId(model, part))));
    client.bulk(
        request,
        forked(
            listener.map(
                deleted -> {
                  if (deleted.hasFailures()) {
                    throw new IllegalStateException(deleted.buildFailureMessage());
                  }
                  return null;
                })));
  }
}
