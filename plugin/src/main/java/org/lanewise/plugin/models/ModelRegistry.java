package org.lanewise.plugin.models;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.ResourceNotFoundException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRunnable;
import org.elasticsearch.action.support.RefCountingListener;
import org.elasticsearch.action.support.SubscribableListener;
import org.elasticsearch.common.breaker.CircuitBreakingException;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;
import org.elasticsearch.logging.LogManager;
import org.elasticsearch.logging.Logger;
import org.elasticsearch.rest.RestStatus;
import org.lanewise.encoder.DeviceReport;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.ModelFiles;

/**
 * The models of this node: directories by id, those of the administrator before the bundled ones,
 * opened on first use and shared until {@link #close()}.
 */
public final class ModelRegistry implements Closeable {
  /** The model that the plugin brings along and uses where none is named. */
  public static final String BUNDLED_MODEL = "lanewise-mini-en";

  private static final Logger logger = LogManager.getLogger(ModelRegistry.class);

  private static final Pattern ID = Pattern.compile("[a-z0-9][a-z0-9_.-]{0,127}");

  /** Long enough to spare a bulk of thousands the same vain try, short enough for a repairer. */
  private static final long FAILURE_REMEMBERED_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final Path configured;
  private final Path bundled;
  private final ModelOpener opener;
  private final Executor executor;
  private final ModelCluster cluster;
  private final Map<String, Opening> openings = new ConcurrentHashMap<>();
  private volatile boolean closed;

  /**
   * Creates a registry that has opened nothing yet.
   *
   * @param configured the administrator's models, one directory each; need not exist
   * @param bundled the plugin's models, one directory each; need not exist
   * @param opener opens a directory
   * @param executor where directories are read and opened, which may take seconds
   * @param cluster where further models come from, and what else decides which one is used
   */
  public ModelRegistry(
      Path configured, Path bundled, ModelOpener opener, Executor executor, ModelCluster cluster) {
    this.configured = configured;
    this.bundled = bundled;
    this.opener = opener;
    this.executor = executor;
    this.cluster = cluster;
  }

  /**
   * Throws an {@code IllegalArgumentException} unless the id can name a model: such ids cannot lead
   * out of the model directories.
   */
  public static void checkId(String id) {
    if (!ID.matcher(id).matches() || id.contains("..")) {
      throw new IllegalArgumentException(
          "model id ["
              + id
              + "] must have at most 128 characters out of a-z, 0-9, [_], [-] and [.], begin with a"
              + " letter or digit and not contain [..]; name the model's directory accordingly");
    }
  }

  /** Returns whether a node has a model of this id without asking the cluster. */
  public boolean isOnDisk(String id) {
    return directory(id).isPresent();
  }

  /**
   * Hands over the model, opened if need be: at once on the calling thread where it is open,
   * otherwise later from another thread. Fails with a 404 for an unknown id, a 409 for a directory
   * that cannot be opened, a 429 where its weights do not fit, a 503 or 507 where it could not be
   * fetched; such a failure is forgotten after a second, so that a repaired directory works.
   *
   * @param name an id or an alias of one
   */
  public void open(String name, ActionListener<OpenModel> listener) {
    String id;
    try {
      checkId(name);
      id = cluster.resolve(name);
    } catch (IllegalArgumentException e) {
      listener.onFailure(e);
      return;
    }
    if (closed) {
      listener.onFailure(closing());
      return;
    }
    Opening opening =
        openings.compute(
            id, (key, known) -> known == null || known.isOutdated() ? new Opening() : known);
    begin(id, opening);
    opening.result.addListener(listener);
  }

  /** Like {@link #open}, but tries again at once where it failed before. */
  public void load(String id, ActionListener<OpenModel> listener) {
    openings.computeIfPresent(id, (key, known) -> known.reason != null ? null : known);
    open(id, listener);
  }

  /**
   * Reads the model's files again and replaces the open model by what they are now; work that was
   * begun ends on the old one. A failure leaves the old one as it is. Other nodes are not asked
   * whether they agree.
   */
  public void reload(String id, ActionListener<OpenModel> listener) {
    Opening fresh = new Opening();
    fresh.replaces = true;
    begin(id, fresh);
    fresh.result.addListener(listener);
  }

  /** Closes the model when its work is done, and answers whether it was open. */
  public void unload(String id, ActionListener<Boolean> listener) {
    Opening opening = openings.get(id);
    if (opening == null) {
      listener.onResponse(false);
      return;
    }
    opening.result.addListener(
        ActionListener.wrap(
            open -> {
              boolean mine = openings.remove(id, opening);
              if (mine) {
                logger.info("unloaded model [{}]", id);
                open.decRef();
              }
              listener.onResponse(mine);
            },
            e -> {
              openings.remove(id, opening);
              listener.onResponse(false);
            }));
  }

  /** Returns what the model is that is open or being opened here. */
  public Optional<HeldModel> held(String id) {
    Opening opening = openings.get(id);
    return opening == null || opening.fingerprint == null || opening.reason != null
        ? Optional.empty()
        : Optional.of(new HeldModel(opening.fingerprint, opening.settled));
  }

  /**
   * A model that a node uses, or is about to use.
   *
   * @param open whether it does already, or the other nodes agreed
   */
  public record HeldModel(String fingerprint, boolean open) {}

  /** Hands over the fingerprint of the model's files as they are now, whatever is open. */
  public void fingerprint(String id, ActionListener<String> listener) {
    executor.execute(
        ActionRunnable.wrap(
            listener,
            each ->
                locate(
                    id,
                    each.map(
                        place ->
                            place
                                .uploaded()
                                .map(UploadedModel::files)
                                .orElseGet(() -> ModelFiles.of(place.directory().orElseThrow()))
                                .fingerprint()))));
  }

  private void begin(String id, Opening opening) {
    if (opening.begun.compareAndSet(false, true)) {
      try {
        executor.execute(() -> open(id, opening));
      } catch (RejectedExecutionException e) {
        opening.fail(e);
      }
    }
    if (closed) {
      opening.fail(closing());
    }
  }

  private void open(String id, Opening opening) {
    ActionListener<Place> located =
        ActionListener.wrap(
            place -> {
              if (place.uploaded().isPresent()) {
                UploadedModel uploaded = place.uploaded().get();
                cluster.fetch(
                    uploaded,
                    ActionListener.wrap(
                        directory -> open(id, opening, directory, uploaded.files().fingerprint()),
                        e -> fail(id, opening, e)));
              } else {
                Path directory = place.directory().orElseThrow();
                open(id, opening, directory, ModelFiles.of(directory).fingerprint());
              }
            },
            e -> fail(id, opening, e));
    guarded(id, opening, () -> locate(id, located));
  }

  private void open(String id, Opening opening, Path directory, String fingerprint) {
    opening.fingerprint = fingerprint;
    if (opening.replaces) {
      opening.settled = true;
      openWithEncoders(id, opening, directory);
      return;
    }
    Runnable settle =
        () -> {
          opening.settled = true;
          cluster.agree(
              id,
              fingerprint,
              true,
              then(id, opening, () -> openWithEncoders(id, opening, directory)));
        };
    cluster.agree(id, fingerprint, false, then(id, opening, settle));
  }

  private ActionListener<Void> then(String id, Opening opening, Runnable step) {
    return ActionListener.wrap(answered -> guarded(id, opening, step), e -> fail(id, opening, e));
  }

  private void openWithEncoders(String id, Opening opening, Path directory) {
    Set<String> needed = opener.outline(directory).encoders();
    Map<String, OpenModel> encoders = new ConcurrentHashMap<>();
    // Whoever opens the last of them goes on here: on the executor, as all openings are.
    try (RefCountingListener found =
        new RefCountingListener(
            ActionListener.wrap(
                all -> open(id, opening, directory, encoders),
                e -> {
                  encoders.values().forEach(OpenModel::decRef);
                  fail(id, opening, e);
                }))) {
      for (String encoder : needed) {
        openEncoder(encoder, found.acquire(open -> encoders.put(encoder, open)));
      }
    }
  }

  private void open(String id, Opening opening, Path directory, Map<String, OpenModel> encoders) {
    try {
      long start = System.nanoTime();
      Model<?, ?> model;
      try {
        model =
            opener.open(
                directory,
                encoders.entrySet().stream()
                    .collect(
                        Collectors.toMap(
                            Map.Entry::getKey, each -> (Encoder) each.getValue().model())));
      } catch (Throwable e) {
        encoders.values().forEach(OpenModel::decRef);
        throw e;
      }
      OpenModel open =
          new OpenModel(id, model, opening.fingerprint, List.copyOf(encoders.values()));
      logger.info(
          "opened model [{}] from [{}] in [{}ms], backend [{}], precision [{}], kernels [{}],"
              + " fingerprint [{}]",
          id,
          directory,
          TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start),
          model.backend(),
          model.precision().label(),
          model.kernels(),
          open.fingerprint());
      model
          .device()
          .flatMap(DeviceReport::choice)
          .ifPresent(choice -> logger.info("model [{}]: {}", id, choice));
      if (keep(id, opening, open)) {
        opening.result.onResponse(open);
      } else {
        open.decRef();
        opening.fail(closing());
      }
    } catch (Throwable e) {
      fail(id, opening, e);
    }
  }

  /** What is done to open a model must end in its opening, whatever goes wrong. */
  private void guarded(String id, Opening opening, Runnable step) {
    try {
      step.run();
    } catch (Throwable e) {
      fail(id, opening, e);
    }
  }

  /**
   * Opens an encoder for a model that reads it, so that all who use it share one copy, and takes a
   * reference to it.
   */
  private void openEncoder(String id, ActionListener<OpenModel> listener) {
    ActionListener<OpenModel> named =
        listener.delegateResponse(
            (each, e) ->
                each.onFailure(
                    e instanceof EsRejectedExecutionException
                            || e instanceof CircuitBreakingException
                        ? e
                        : new ModelException(
                            "its encoder [" + id + "] cannot be used: " + message(e), e)));
    ActionListener.run(
        named,
        each -> {
          checkId(id);
          locate(
              cluster.resolve(id),
              each.delegateFailureAndWrap(
                  (next, place) -> {
                    // An encoder needs no other model, so that nobody ever waits in a circle.
                    Optional<ModelKind> kind = kind(place);
                    if (kind.isPresent() && kind.get() != ModelKind.ENCODER) {
                      throw new ModelException(kind.get().misnamed(id, "an encoder"));
                    }
                    open(
                        id,
                        next.map(
                            open -> {
                              if (!open.tryIncRef()) {
                                throw new ModelException(
                                    "encoder [" + id + "] was unloaded meanwhile; try again");
                              }
                              return open;
                            }));
                  }));
        });
  }

  private void fail(String id, Opening opening, Throwable e) {
    switch (e) {
      case ResourceNotFoundException unknown -> {
        // Not remembered: else a client that makes up ids would fill the memory.
        openings.remove(id, opening);
        opening.fail(unknown);
      }
      case EsRejectedExecutionException rejected -> opening.fail(rejected);
      case CircuitBreakingException tooLarge -> {
        logger.warn("could not open model [{}]: {}", id, tooLarge.getMessage());
        opening.fail(tooLarge);
      }
      default -> {
        if (e instanceof ModelException) {
          logger.warn("could not open model [{}]: {}", id, e.getMessage());
        } else {
          logger.warn("could not open model [" + id + "]", e);
        }
        opening.fail(
            new ElasticsearchStatusException(
                "Could not open model [{}]: {}", status(e), e, id, message(e)));
      }
    }
    if (e instanceof VirtualMachineError fatal) {
      throw fatal;
    }
  }

  /** What is wrong with a model lasts until somebody mends it; other troubles pass. */
  private static RestStatus status(Throwable e) {
    RestStatus status = ExceptionsHelper.status(ExceptionsHelper.unwrapCause(e));
    return switch (status) {
      case SERVICE_UNAVAILABLE, INSUFFICIENT_STORAGE, TOO_MANY_REQUESTS -> status;
      default -> RestStatus.CONFLICT;
    };
  }

  private static EsRejectedExecutionException closing() {
    return new EsRejectedExecutionException("the node is closing", true);
  }

  private static String message(Throwable e) {
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }

  private boolean keep(String id, Opening opening, OpenModel model) {
    Opening replaced = null;
    synchronized (this) {
      if (closed) {
        return false;
      }
      opening.model = model;
      if (opening.replaces) {
        replaced = openings.put(id, opening);
      }
    }
    if (replaced != null) {
      replaced.result.addListener(ActionListener.wrap(OpenModel::decRef, e -> {}));
    }
    return true;
  }

  /** Hands over what is known of every model, in the order of their ids; opens nothing. */
  public void list(ActionListener<List<ModelInfo>> listener) {
    ActionListener<List<UploadedModel>> listed =
        listener.map(
            uploaded -> {
              SortedMap<String, Place> places = new TreeMap<>();
              uploaded.forEach(each -> places.put(each.id(), Place.of(each)));
              ids().forEach(id -> directory(id).ifPresent(place -> places.put(id, place)));
              return places.entrySet().stream()
                  .map(each -> describe(each.getKey(), each.getValue()))
                  .toList();
            });
    executor.execute(
        ActionRunnable.wrap(
            listed,
            each ->
                cluster.list(
                    each.delegateResponse(
                        (next, e) -> {
                          logger.warn("could not list the models of the cluster", e);
                          next.onResponse(List.of());
                        }))));
  }

  /**
   * Hands over what is known of one model, which is opened for it, as its dimensions are only known
   * then. A model that cannot be opened is described with the reason; an unknown id is a 404.
   */
  public void info(String name, ActionListener<ModelInfo> listener) {
    SubscribableListener<OpenModel> opened = new SubscribableListener<>();
    open(name, opened);
    opened.addListener(
        new ActionListener<>() {
          @Override
          public void onResponse(OpenModel model) {
            describeLater();
          }

          @Override
          public void onFailure(Exception e) {
            if (e instanceof ElasticsearchStatusException) {
              describeLater();
            } else {
              listener.onFailure(e);
            }
          }

          private void describeLater() {
            String id = cluster.resolve(name);
            executor.execute(
                ActionRunnable.wrap(
                    listener, each -> locate(id, each.map(place -> describe(id, place)))));
          }
        });
  }

  private ModelInfo describe(String id, Place place) {
    Opening opening = openings.get(id);
    OpenModel open = opening == null ? null : opening.model;
    String reason = opening == null ? null : opening.reason;
    ModelInfo.State state;
    if (opening == null) {
      state = ModelInfo.State.NOT_OPENED;
    } else if (open != null) {
      state = ModelInfo.State.OPEN;
    } else {
      state = reason != null ? ModelInfo.State.FAILED : ModelInfo.State.OPENING;
    }
    return new ModelInfo(
        id,
        place.source(),
        state,
        open != null ? Optional.of(open.model().kind()) : kind(place),
        Optional.ofNullable(reason),
        Optional.ofNullable(open).map(OpenModel::model),
        open != null
            ? Optional.of(open.fingerprint())
            : place.uploaded().map(uploaded -> uploaded.files().fingerprint()),
        cluster.aliases(id));
  }

  private Optional<ModelKind> kind(Place place) {
    if (place.uploaded().isPresent()) {
      return place.uploaded().get().kind();
    }
    try {
      return Optional.of(opener.outline(place.directory().orElseThrow()).kind());
    } catch (RuntimeException e) {
      logger.debug("could not read what [" + place.directory() + "] is", e);
      return Optional.empty();
    }
  }

  /** Where a model's files are: in a directory of this node, or still in the cluster. */
  private record Place(
      ModelInfo.Source source, Optional<Path> directory, Optional<UploadedModel> uploaded) {
    static Place of(UploadedModel uploaded) {
      return new Place(ModelInfo.Source.INDEX, Optional.empty(), Optional.of(uploaded));
    }
  }

  private void locate(String id, ActionListener<Place> listener) {
    Optional<Place> here = directory(id);
    if (here.isPresent()) {
      listener.onResponse(here.get());
      return;
    }
    cluster.find(
        id,
        listener.map(
            uploaded ->
                Place.of(
                    uploaded.orElseThrow(
                        () ->
                            new ResourceNotFoundException(
                                "Could not find model [{}] in [{}] or [{}], nor was it uploaded;"
                                    + " the models on the disk of this node are {}",
                                id,
                                configured,
                                bundled,
                                ids())))));
  }

  private Optional<Place> directory(String id) {
    Path own = configured.resolve(id);
    if (Files.isDirectory(own)) {
      return Optional.of(new Place(ModelInfo.Source.CONFIG, Optional.of(own), Optional.empty()));
    }
    Path brought = bundled.resolve(id);
    return Files.isDirectory(brought)
        ? Optional.of(new Place(ModelInfo.Source.BUNDLED, Optional.of(brought), Optional.empty()))
        : Optional.empty();
  }

  private SortedSet<String> ids() {
    SortedSet<String> ids = new TreeSet<>();
    for (Path parent : List.of(configured, bundled)) {
      if (Files.isDirectory(parent)) {
        try (DirectoryStream<Path> children = Files.newDirectoryStream(parent)) {
          for (Path child : children) {
            String name = child.getFileName().toString();
            if (ID.matcher(name).matches() && !name.contains("..") && Files.isDirectory(child)) {
              ids.add(name);
            }
          }
        } catch (IOException e) {
          logger.warn("could not list the models in [" + parent + "]", e);
        }
      }
    }
    return ids;
  }

  /**
   * Lets go of every open model; whoever waits for one or asks for one afterwards is rejected. What
   * is still at work is closed when it is done.
   */
  @Override
  public void close() {
    List<OpenModel> models;
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      models =
          openings.values().stream()
              .map(opening -> opening.model)
              .filter(Objects::nonNull)
              .toList();
    }
    // A pool that is closed before it opened a model would leave those who wait for it forever.
    openings.values().forEach(opening -> opening.result.onFailure(closing()));
    models.forEach(OpenModel::decRef);
  }

  /** One try to open a model, shared by everybody who asks meanwhile. */
  private static final class Opening {
    final AtomicBoolean begun = new AtomicBoolean();
    final SubscribableListener<OpenModel> result = new SubscribableListener<>();
    volatile OpenModel model;
    volatile String fingerprint;

    /** Whether the other nodes agreed to the fingerprint. */
    volatile boolean settled;

    volatile String reason;

    /** Whether it takes the place of what is open, which stays where it is until then. */
    boolean replaces;

    private volatile long failedAt;

    boolean isOutdated() {
      return reason != null && System.nanoTime() - failedAt > FAILURE_REMEMBERED_NANOS;
    }

    void fail(Exception e) {
      failedAt = System.nanoTime();
      reason = message(e);
      result.onFailure(e);
    }
  }
}
