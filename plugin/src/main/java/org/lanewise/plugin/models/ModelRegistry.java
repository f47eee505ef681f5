package org.lanewise.plugin.models;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Pattern;
import org.elasticsearch.ElasticsearchStatusException;
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
import org.lanewise.encoder.ModelException;

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
  private final Map<String, Opening> openings = new ConcurrentHashMap<>();
  private volatile boolean closed;

  /**
   * Creates a registry that has opened nothing yet.
   *
   * @param configured the administrator's models, one directory each; need not exist
   * @param bundled the plugin's models, one directory each; need not exist
   * @param opener opens a directory
   * @param executor where directories are read and opened, which may take seconds
   */
  public ModelRegistry(Path configured, Path bundled, ModelOpener opener, Executor executor) {
    this.configured = configured;
    this.bundled = bundled;
    this.opener = opener;
    this.executor = executor;
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

  /**
   * Hands over the model, opened if need be: at once on the calling thread where it is open,
   * otherwise later from another thread. Fails with a 404 for an unknown id, a 409 for a directory
   * that cannot be opened, a 429 where its weights do not fit; such a failure is forgotten after a
   * second, so that a repaired directory works.
   */
  public void open(String id, ActionListener<OpenModel> listener) {
    try {
      checkId(id);
    } catch (IllegalArgumentException e) {
      listener.onFailure(e);
      return;
    }
    Opening opening =
        openings.compute(
            id, (key, known) -> known == null || known.isOutdated() ? new Opening() : known);
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
    opening.result.addListener(listener);
  }

  private void open(String id, Opening opening) {
    try {
      Path directory = directory(locate(id), id);
      Set<String> needed = opener.outline(directory).encoders();
      Map<String, Encoder> encoders = new ConcurrentHashMap<>();
      // Whoever opens the last of them goes on here: on the executor, as all openings are.
      try (RefCountingListener found =
          new RefCountingListener(
              ActionListener.wrap(
                  all -> open(id, opening, directory, encoders), e -> fail(id, opening, e)))) {
        for (String encoder : needed) {
          openEncoder(encoder, found.acquire(open -> encoders.put(encoder, open)));
        }
      }
    } catch (Throwable e) {
      fail(id, opening, e);
    }
  }

  private void open(String id, Opening opening, Path directory, Map<String, Encoder> encoders) {
    try {
      long start = System.nanoTime();
      OpenModel open = new OpenModel(id, opener.open(directory, encoders));
      logger.info(
          "opened model [{}] from [{}] in [{}ms], backend [{}], precision [{}], kernels [{}]",
          id,
          directory,
          TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start),
          open.model().backend(),
          open.model().precision().label(),
          open.model().kernels());
      if (keep(opening, open)) {
        opening.result.onResponse(open);
      } else {
        open.model().close();
        opening.fail(closing());
      }
    } catch (Throwable e) {
      fail(id, opening, e);
    }
  }

  /** Opens an encoder for a model that reads it, so that all who use it share one copy. */
  private void openEncoder(String id, ActionListener<Encoder> listener) {
    ActionListener<Encoder> named =
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
          // An encoder needs no other model, so that nobody ever waits in a circle.
          ModelKind kind = opener.outline(directory(locate(id), id)).kind();
          if (kind != ModelKind.ENCODER) {
            throw new ModelException(kind.misnamed(id, "an encoder"));
          }
          open(id, each.map(open -> (Encoder) open.model()));
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
                "Could not open model [{}]: {}", RestStatus.CONFLICT, e, id, message(e)));
      }
    }
    if (e instanceof VirtualMachineError fatal) {
      throw fatal;
    }
  }

  private static EsRejectedExecutionException closing() {
    return new EsRejectedExecutionException("the node is closing", true);
  }

  private static String message(Throwable e) {
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }

  private synchronized boolean keep(Opening opening, OpenModel model) {
    if (!closed) {
      opening.model = model;
    }
    return !closed;
  }

  /** Hands over what is known of every model, in the order of their ids; opens nothing. */
  public void list(ActionListener<List<ModelInfo>> listener) {
    executor.execute(
        ActionRunnable.supply(
            listener, () -> ids().stream().map(id -> describe(id, locate(id))).toList()));
  }

  /**
   * Hands over what is known of one model, which is opened for it, as its dimensions are only known
   * then. A model that cannot be opened is described with the reason; an unknown id is a 404.
   */
  public void info(String id, ActionListener<ModelInfo> listener) {
    SubscribableListener<OpenModel> opened = new SubscribableListener<>();
    open(id, opened);
    opened.addListener(
        new ActionListener<>() {
          @Override
          public void onResponse(OpenModel model) {
            describeLater();
          }

          @Override
          public void onFailure(Exception e) {
            if (e instanceof ElasticsearchStatusException status
                && status.status() == RestStatus.CONFLICT) {
              describeLater();
            } else {
              listener.onFailure(e);
            }
          }

          private void describeLater() {
            executor.execute(ActionRunnable.supply(listener, () -> describe(id, locate(id))));
          }
        });
  }

  private ModelInfo describe(String id, ModelInfo.Source source) {
    Opening opening = openings.get(id);
    if (opening == null) {
      return new ModelInfo(
          id,
          source,
          ModelInfo.State.NOT_OPENED,
          kind(source, id),
          Optional.empty(),
          Optional.empty());
    }
    OpenModel open = opening.model;
    String reason = opening.reason;
    ModelInfo.State state =
        open != null
            ? ModelInfo.State.OPEN
            : reason != null ? ModelInfo.State.FAILED : ModelInfo.State.OPENING;
    return new ModelInfo(
        id,
        source,
        state,
        open != null ? Optional.of(open.model().kind()) : kind(source, id),
        Optional.ofNullable(reason),
        Optional.ofNullable(open).map(OpenModel::model));
  }

  private Optional<ModelKind> kind(ModelInfo.Source source, String id) {
    try {
      return Optional.of(opener.outline(directory(source, id)).kind());
    } catch (RuntimeException e) {
      logger.debug("could not read what model [" + id + "] is", e);
      return Optional.empty();
    }
  }

  private ModelInfo.Source locate(String id) throws ResourceNotFoundException {
    for (ModelInfo.Source source : ModelInfo.Source.values()) {
      if (Files.isDirectory(directory(source, id))) {
        return source;
      }
    }
    throw new ResourceNotFoundException(
        "Could not find model [{}] in [{}] or [{}]; the models of this node are {}",
        id,
        configured,
        bundled,
        ids());
  }

  private Path directory(ModelInfo.Source source, String id) {
    return switch (source) {
      case CONFIG -> configured.resolve(id);
      case BUNDLED -> bundled.resolve(id);
    };
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

  /** Closes every open model; whoever waits for one or asks for one afterwards is rejected. */
  @Override
  public void close() {
    List<OpenModel> models;
    synchronized (this) {
      closed = true;
      models =
          openings.values().stream()
              .map(opening -> opening.model)
              .filter(Objects::nonNull)
              // What reads an encoder is closed before it.
              .sorted(Comparator.comparing(each -> each.model() instanceof Encoder))
              .toList();
    }
    // A pool that is closed before it opened a model would leave those who wait for it forever.
    openings.values().forEach(opening -> opening.result.onFailure(closing()));
    for (OpenModel open : models) {
      try {
        open.model().close();
      } catch (RuntimeException e) {
        logger.warn("could not close model [" + open.id() + "]", e);
      }
    }
  }

  /** One try to open a model, shared by everybody who asks meanwhile. */
  private static final class Opening {
    final AtomicBoolean begun = new AtomicBoolean();
    final SubscribableListener<OpenModel> result = new SubscribableListener<>();
    volatile OpenModel model;
    volatile String reason;
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
