package org.lanewise.plugin.store;

import java.io.IOException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Collection;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.ResourceNotFoundException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRunnable;
import org.elasticsearch.action.support.ContextPreservingActionListener;
import org.elasticsearch.action.support.ThreadedActionListener;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.cluster.metadata.ProjectMetadata;
import org.elasticsearch.cluster.node.DiscoveryNode;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.cluster.project.ProjectResolver;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.indices.SystemIndexDescriptor;
import org.elasticsearch.ingest.IngestMetadata;
import org.elasticsearch.ingest.PipelineConfiguration;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.ModelFiles;
import org.lanewise.encoder.ModelFiles.ModelFile;
import org.lanewise.plugin.LanewiseSettings;
import org.lanewise.plugin.models.ModelCluster;
import org.lanewise.plugin.models.ModelKind;
import org.lanewise.plugin.models.ModelOpener;
import org.lanewise.plugin.models.UploadedModel;
import org.lanewise.plugin.store.ModelIndex.Part;
import org.lanewise.plugin.store.ModelNodesAction.Operation;

/**
 * The models of the cluster as one node sees them: uploads, deletes and fetches models, knows what
 * aliases mean and asks other nodes what they have open.
 */
public final class ClusterModels implements ModelCluster {
  /** A node that does not answer in this time does not keep others from opening a model. */
  private static final TimeValue PATIENCE = TimeValue.timeValueSeconds(5);

  /** Between two questions to a node that is about to know whether it uses a model. */
  private static final TimeValue PAUSE = TimeValue.timeValueMillis(20);

  private final Client client;
  private final ClusterService clusterService;
  private final ProjectResolver projects;
  private final ExecutorService executor;
  private final ThreadContext threadContext;
  private final ModelCopies copies;
  private final ModelOpener opener;
  private final ModelIndex index;

  /**
   * Creates the view of a node, which asks for nothing yet.
   *
   * @param opener says what a model is when its upload is complete
   */
  public ClusterModels(
      Client client,
      ClusterService clusterService,
      ProjectResolver projects,
      ExecutorService executor,
      ModelCopies copies,
      ModelOpener opener) {
    this.client = client;
    this.clusterService = clusterService;
    this.projects = projects;
    this.executor = executor;
    this.threadContext = client.threadPool().getThreadContext();
    this.copies = copies;
    this.opener = opener;
    index = new ModelIndex(client, () -> project().hasIndexAbstraction(ModelIndex.ALIAS), executor);
  }

  /** Returns what the server needs to create the index of models. */
  public static SystemIndexDescriptor indexDescriptor() {
    return ModelIndex.descriptor();
  }

  private ProjectMetadata project() {
    return projects.getProjectMetadata(clusterService.state());
  }

  /** Returns the settings of the cluster over those of the node. */
  private Settings settings() {
    return Settings.builder()
        .put(clusterService.getSettings())
        .put(clusterService.state().metadata().settings())
        .build();
  }

  @Override
  public String resolve(String name) {
    String key = LanewiseSettings.ALIAS.getKey() + name;
    String id = clusterService.state().metadata().settings().get(key);
    if (id == null) {
      id = clusterService.getSettings().get(key);
    }
    return id == null || id.isEmpty() ? name : id;
  }

  @Override
  public SortedSet<String> aliases(String id) {
    SortedSet<String> aliases = new TreeSet<>();
    LanewiseSettings.ALIAS
        .getAsMap(settings())
        .forEach(
            (alias, target) -> {
              if (target.equals(id)) {
                aliases.add(alias);
              }
            });
    return aliases;
  }

  @Override
  public void find(String id, ActionListener<Optional<UploadedModel>> listener) {
    index.find(
        id,
        listener.map(
            found -> {
              if (found.isPresent() && !found.get().complete()) {
                throw new ElasticsearchStatusException(
                    "the upload of model [{}] is not complete; send the parts that are missing and"
                        + " POST _lanewise/models/{}/_complete",
                    RestStatus.CONFLICT,
                    id,
                    id);
              }
              return found;
            }));
  }

  @Override
  public void list(ActionListener<List<UploadedModel>> listener) {
    index.list(listener.map(all -> all.stream().filter(UploadedModel::complete).toList()));
  }

  @Override
  public void fetch(UploadedModel model, ActionListener<Path> listener) {
    executor.execute(
        ActionRunnable.wrap(
            listener,
            asker -> {
              Optional<Path> copy = copies.find(model);
              if (copy.isPresent()) {
                asker.onResponse(copy.get());
                return;
              }
              ModelCopies.Draft draft = copies.begin(model);
              ActionListener<Path> tidy = ActionListener.runBefore(asker, draft::close);
              ActionListener.run(
                  tidy,
                  each -> fetch(model, ModelIndex.parts(model.files()).iterator(), draft, each));
            }));
  }

  private void fetch(
      UploadedModel model,
      Iterator<Part> parts,
      ModelCopies.Draft draft,
      ActionListener<Path> listener)
      throws IOException {
    if (!parts.hasNext()) {
      listener.onResponse(draft.finish());
      return;
    }
    Part part = parts.next();
    index.read(
        model,
        part,
        listener.delegateFailureAndWrap(
            (next, content) -> {
              draft.append(part.file(), part.offset(), content);
              fetch(model, parts, draft, next);
            }));
  }

  @Override
  public void agree(String id, String fingerprint, boolean settled, ActionListener<Void> listener) {
    DiscoveryNodes nodes = clusterService.state().nodes();
    String self = nodes.getLocalNodeId();
    String[] others =
        nodes.stream()
            .map(DiscoveryNode::getId)
            .filter(node -> !node.equals(self))
            .toArray(String[]::new);
    if (others.length == 0) {
      listener.onResponse(null);
      return;
    }
    ask(
        Operation.HELD,
        id,
        others,
        listener.delegateFailureAndWrap(
            (next, answers) -> {
              boolean wait = false;
              for (ModelNodesAction.NodeResponse other : answers.getNodes()) {
                if (other.fingerprint().isEmpty()
                    || other.fingerprint().get().equals(fingerprint)) {
                  continue;
                }
                switch (turn(other.getNode().getId(), other.open(), self, settled)) {
                  case OURS -> {}
                  case UNDECIDED -> wait = true;
                  case THEIRS ->
                      throw new ElasticsearchStatusException(
                          "its files have fingerprint [{}] but node [{}] uses it with [{}]; put the"
                              + " same files on every node, or upload the model under an id of its"
                              + " own",
                          RestStatus.CONFLICT,
                          fingerprint,
                          other.getNode().getName(),
                          other.fingerprint().get());
                }
              }
              if (wait) {
                client
                    .threadPool()
                    .schedule(
                        ActionRunnable.wrap(next, each -> agree(id, fingerprint, settled, each)),
                        PAUSE,
                        executor);
              } else {
                next.onResponse(null);
              }
            }));
  }

  /** Which of two nodes with other files of one model uses it. */
  enum Turn {
    OURS,
    THEIRS,
    /** The other node's answer to its first question says. */
    UNDECIDED
  }

  /**
   * Returns which of two nodes with other files of one model uses it. Whoever asks first gives way
   * to one that is settled, and to a lesser id; whoever is settled gives way to a lesser id that is
   * settled, too, and waits while that is not known: so never both and never none go on.
   */
  static Turn turn(String other, boolean otherSettled, String self, boolean settled) {
    boolean otherIsLess = other.compareTo(self) < 0;
    if (!settled) {
      return otherSettled || otherIsLess ? Turn.THEIRS : Turn.OURS;
    }
    if (!otherIsLess) {
      return Turn.OURS;
    }
    return otherSettled ? Turn.THEIRS : Turn.UNDECIDED;
  }

  /** Has nodes do something with a model, with the rights of this node. */
  public void ask(
      Operation operation,
      String id,
      String[] nodes,
      ActionListener<ModelNodesAction.Response> listener) {
    ModelNodesAction.Request request = new ModelNodesAction.Request(operation, id, nodes);
    if (operation == Operation.HELD) {
      request.setTimeout(PATIENCE);
    }
    ActionListener<ModelNodesAction.Response> restored =
        ContextPreservingActionListener.wrapPreservingContext(
            new ThreadedActionListener<>(executor, listener), threadContext);
    try (ThreadContext.StoredContext _ = threadContext.stashContext()) {
      threadContext.markAsSystemContext();
      client.execute(ModelNodesAction.TYPE, request, restored);
    }
  }

  /** Deletes this node's copies of a model. */
  void forget(String id) throws IOException {
    copies.forget(id);
  }

  /**
   * An upload.
   *
   * @param missing what has still to be sent; empty where it is complete
   */
  public record Upload(UploadedModel model, List<Part> missing) implements ToXContentObject {
    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
      builder
          .startObject()
          .field("model_id", model.id())
          .field("state", model.complete() ? "complete" : "uploading")
          .field("fingerprint", model.files().fingerprint());
      if (model.kind().isPresent()) {
        builder.field("kind", model.kind().get().label());
      }
      builder.startArray("missing");
      for (Part part : missing) {
        builder
            .startObject()
            .field("file", part.file())
            .field("offset", part.offset())
            .field("bytes", part.bytes())
            .endObject();
      }
      return builder.endArray().endObject();
    }
  }

  /**
   * Begins an upload, or goes on with one of the same files, and hands over what is missing. Fails
   * with a 409 where the id has other files already: a model never changes under its id.
   */
  public void begin(String id, ModelFiles files, ActionListener<Upload> listener) {
    if (files.byName().isEmpty()) {
      throw new IllegalArgumentException("[files] is empty; a model has at least a config.json");
    }
    copies.checkSize(files);
    if (!resolve(id).equals(id)) {
      throw new ElasticsearchStatusException(
          "[{}] is an alias of model [{}]; upload under another id",
          RestStatus.CONFLICT,
          id,
          resolve(id));
    }
    index.find(
        id,
        listener.delegateFailureAndWrap(
            (next, found) -> {
              UploadedModel model = found.orElse(new UploadedModel(id, files, Optional.empty()));
              if (!model.files().equals(files)) {
                throw new ElasticsearchStatusException(
                    "model [{}] was uploaded with other files, fingerprint [{}] and not [{}]; a"
                        + " model never changes: choose another id and point an alias at it, or"
                        + " DELETE the model",
                    RestStatus.CONFLICT,
                    id,
                    model.files().fingerprint(),
                    files.fingerprint());
              }
              if (found.isPresent()) {
                missing(model, next);
              } else {
                index.create(
                    model, next.delegateFailureAndWrap((each, created) -> missing(model, each)));
              }
            }));
  }

  private void missing(UploadedModel model, ActionListener<Upload> listener) {
    if (model.complete()) {
      listener.onResponse(new Upload(model, List.of()));
    } else {
      index.missing(model, listener.map(missing -> new Upload(model, missing)));
    }
  }

  /**
   * Keeps a piece of a file.
   *
   * @param offset where it begins, a multiple of {@link ModelIndex#PART_BYTES}
   * @param sha256 the digest that the sender computed, if it did
   */
  public void addPart(
      String id,
      String file,
      long offset,
      byte[] content,
      Optional<String> sha256,
      ActionListener<UploadedModel> listener) {
    if (sha256.isPresent()) {
      MessageDigest digest = ModelFiles.sha256();
      String found = HexFormat.of().formatHex(digest.digest(content));
      if (!found.equals(sha256.get())) {
        throw new IllegalArgumentException(
            "the part has SHA-256 ["
                + found
                + "] but [sha256] is ["
                + sha256.get()
                + "]; it was changed on its way, send it again");
      }
    }
    unfinished(
        id,
        listener.delegateFailureAndWrap(
            (next, model) -> {
              ModelFile announced = model.files().byName().get(file);
              if (announced == null) {
                throw new IllegalArgumentException(
                    "model ["
                        + id
                        + "] has no file ["
                        + file
                        + "]; its files are "
                        + model.files().byName().keySet());
              }
              Part part = new Part(file, offset, content.length);
              if (!ModelIndex.parts(model.files()).contains(part)) {
                throw new IllegalArgumentException(
                    "a part of ["
                        + content.length
                        + "] bytes at [offset] ["
                        + offset
                        + "] is none of file ["
                        + file
                        + "] of ["
                        + announced.bytes()
                        + "] bytes: parts begin at multiples of ["
                        + ModelIndex.PART_BYTES
                        + "] and have as many bytes, or what is left");
              }
              index.write(model, part, content, next.map(written -> model));
            }));
  }

  private void unfinished(String id, ActionListener<UploadedModel> listener) {
    index.find(
        id,
        listener.map(
            found -> {
              UploadedModel model = found.orElseThrow(() -> unknown(id));
              if (model.complete()) {
                throw new ElasticsearchStatusException(
                    "model [{}] is complete; a model never changes", RestStatus.CONFLICT, id);
              }
              return model;
            }));
  }

  private static ResourceNotFoundException unknown(String id) {
    return new ResourceNotFoundException(
        "Could not find an upload of model [{}]; begin one with PUT _lanewise/models/{}", id, id);
  }

  /**
   * Ends an upload: makes a copy of the model here, which compares all files with their digests,
   * reads what kind of model it is, and lets everybody use it.
   */
  public void complete(String id, ActionListener<UploadedModel> listener) {
    index.find(
        id,
        listener.delegateFailureAndWrap(
            (next, found) -> {
              UploadedModel model = found.orElseThrow(() -> unknown(id));
              if (model.complete()) {
                next.onResponse(model);
                return;
              }
              fetch(
                  model,
                  next.delegateFailureAndWrap(
                      (each, directory) -> {
                        ModelKind kind = kind(id, directory);
                        index.complete(
                            id,
                            kind,
                            each.map(
                                written ->
                                    new UploadedModel(id, model.files(), Optional.of(kind))));
                      }));
            }));
  }

  private ModelKind kind(String id, Path directory) {
    try {
      return opener.outline(directory).kind();
    } catch (ModelException e) {
      throw new ElasticsearchStatusException(
          "the files of model [{}] are no model: {}", RestStatus.CONFLICT, e, id, e.getMessage());
    }
  }

  /**
   * Deletes a model and has every node close it; what runs on it ends. Fails with a 409 where an
   * alias or a pipeline needs it, unless forced.
   */
  public void delete(String id, boolean force, ActionListener<UploadedModel> listener) {
    if (!force) {
      checkUnused(id);
    }
    index.find(
        id,
        listener.delegateFailureAndWrap(
            (next, found) -> {
              UploadedModel model = found.orElseThrow(() -> unknown(id));
              index.delete(
                  id,
                  next.delegateFailureAndWrap(
                      (each, deleted) ->
                          ask(
                              Operation.FORGET,
                              id,
                              new String[0],
                              each.delegateFailureAndWrap(
                                  (last, forgotten) ->
                                      index.deleteParts(model, last.map(done -> model))))));
            }));
  }

  private void checkUnused(String id) {
    Set<String> names = aliases(id);
    if (!names.isEmpty()) {
      throw new ElasticsearchStatusException(
          "model [{}] cannot be deleted because of its aliases {}; let the settings [{}*] name"
              + " another model first",
          RestStatus.CONFLICT,
          id,
          names,
          LanewiseSettings.ALIAS.getKey());
    }
    IngestMetadata ingest = project().custom(IngestMetadata.TYPE);
    Collection<PipelineConfiguration> pipelines =
        ingest == null ? List.of() : ingest.getPipelines().values();
    List<String> users =
        pipelines.stream()
            .filter(pipeline -> uses(pipeline.getConfig(), id))
            .map(PipelineConfiguration::getId)
            .sorted()
            .toList();
    if (!users.isEmpty()) {
      throw new ElasticsearchStatusException(
          "model [{}] cannot be deleted because of the pipelines {}; change them first, or add"
              + " [force=true]",
          RestStatus.CONFLICT,
          id,
          users);
    }
  }

  /** Returns whether a processor of ours in a pipeline, however deep, names the model. */
  private static boolean uses(Object config, String id) {
    return switch (config) {
      case Map<?, ?> map ->
          map.entrySet().stream()
              .anyMatch(
                  entry ->
                      String.valueOf(entry.getKey()).startsWith("lanewise_")
                              && entry.getValue() instanceof Map<?, ?> processor
                              && id.equals(processor.get("model_id"))
                          || uses(entry.getValue(), id));
      case List<?> list -> list.stream().anyMatch(each -> uses(each, id));
      case null, default -> false;
    };
  }
}
