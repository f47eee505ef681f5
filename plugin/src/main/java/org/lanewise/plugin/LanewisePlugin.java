package org.lanewise.plugin;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.elasticsearch.action.support.MappedActionFilter;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.breaker.CircuitBreaker;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.concurrent.EsExecutors;
import org.elasticsearch.common.util.concurrent.EsExecutors.TaskTrackingConfig;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.health.HealthIndicatorService;
import org.elasticsearch.indices.SystemIndexDescriptor;
import org.elasticsearch.indices.breaker.BreakerSettings;
import org.elasticsearch.ingest.Processor;
import org.elasticsearch.logging.LogManager;
import org.elasticsearch.logging.Logger;
import org.elasticsearch.plugins.CircuitBreakerPlugin;
import org.elasticsearch.plugins.HealthPlugin;
import org.elasticsearch.plugins.IngestPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.SearchPlugin;
import org.elasticsearch.plugins.SystemIndexPlugin;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.search.fetch.subphase.highlight.Highlighter;
import org.elasticsearch.search.rank.RankDoc;
import org.elasticsearch.threadpool.ExecutorBuilder;
import org.elasticsearch.threadpool.FixedExecutorBuilder;
import org.lanewise.encoder.MemoryBudget;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.plugin.action.AnswerAction;
import org.lanewise.plugin.action.EmbedAction;
import org.lanewise.plugin.action.LanewiseHealth;
import org.lanewise.plugin.action.ManageModelAction;
import org.lanewise.plugin.action.ModelsAction;
import org.lanewise.plugin.action.RerankAction;
import org.lanewise.plugin.action.StatsAction;
import org.lanewise.plugin.action.TagAction;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.encode.ServiceMetrics;
import org.lanewise.plugin.encode.SlowLog;
import org.lanewise.plugin.ingest.ClusterMappings;
import org.lanewise.plugin.ingest.EmbedProcessor;
import org.lanewise.plugin.ingest.MappedDimensions;
import org.lanewise.plugin.ingest.TagProcessor;
import org.lanewise.plugin.models.LibraryOpener;
import org.lanewise.plugin.models.ModelOpener;
import org.lanewise.plugin.models.ModelRegistry;
import org.lanewise.plugin.rest.RestAnswer;
import org.lanewise.plugin.rest.RestCatLanewise;
import org.lanewise.plugin.rest.RestEmbed;
import org.lanewise.plugin.rest.RestManageModel;
import org.lanewise.plugin.rest.RestModels;
import org.lanewise.plugin.rest.RestRerank;
import org.lanewise.plugin.rest.RestSparse;
import org.lanewise.plugin.rest.RestStats;
import org.lanewise.plugin.rest.RestTag;
import org.lanewise.plugin.search.AnswerHighlighter;
import org.lanewise.plugin.search.HybridRankDoc;
import org.lanewise.plugin.search.HybridRetrieverBuilder;
import org.lanewise.plugin.search.LanewiseQueryVectorBuilder;
import org.lanewise.plugin.search.MaxSimRescorerBuilder;
import org.lanewise.plugin.search.RerankRankDoc;
import org.lanewise.plugin.search.RerankRescorerBuilder;
import org.lanewise.plugin.search.RerankRetrieverBuilder;
import org.lanewise.plugin.search.SearchTasks;
import org.lanewise.plugin.search.SparseQueryBuilder;
import org.lanewise.plugin.store.ClusterModels;
import org.lanewise.plugin.store.ModelCopies;
import org.lanewise.plugin.store.ModelNodesAction;

/** What Elasticsearch loads: registers everything that the plugin adds and owns its service. */
public class LanewisePlugin extends Plugin
    implements IngestPlugin, SearchPlugin, SystemIndexPlugin, HealthPlugin, CircuitBreakerPlugin {
  private static final Logger logger = LogManager.getLogger(LanewisePlugin.class);

  private static final String NAME = "lanewise";
  private static final String VECTOR_MODULE = "jdk.incubator.vector";

  private volatile EncodeService service;
  private volatile MappedDimensions mappings;
  private volatile Backend exact;
  private volatile LanewiseHealth health;
  private volatile SearchTasks searchTasks;
  private volatile MemoryBudget memory = MemoryBudget.UNLIMITED;

  /** Called by Elasticsearch. */
  public LanewisePlugin() {}

  @Override
  public List<Setting<?>> getSettings() {
    List<Setting<?>> settings = new ArrayList<>(LanewiseSettings.all());
    settings.addAll(SlowLog.settings());
    return settings;
  }

  /** Returns the name under which snapshots keep the index of models. */
  @Override
  public String getFeatureName() {
    return NAME;
  }

  @Override
  public String getFeatureDescription() {
    return "Models that were uploaded for Lanewise";
  }

  @Override
  public Collection<SystemIndexDescriptor> getSystemIndexDescriptors(Settings settings) {
    return List.of(ClusterModels.indexDescriptor());
  }

  @Override
  public BreakerSettings getCircuitBreaker(Settings settings) {
    return MemoryBreaker.settings(settings);
  }

  /** Called before {@link #createComponents}. */
  @Override
  public void setCircuitBreaker(CircuitBreaker breaker) {
    memory = new MemoryBreaker(breaker);
  }

  @Override
  public List<ExecutorBuilder<?>> getExecutorBuilders(Settings settings) {
    int processors = EsExecutors.allocatedProcessors(settings);
    return List.of(
        pool(settings, EncodeService.BULK_POOL, LanewiseSettings.of(settings).threads()),
        pool(settings, EncodeService.SEARCH_POOL, Math.min(2, processors)),
        pool(settings, EncodeService.REPLY_POOL, processors));
  }

  /** Unbounded: what waits is bounded by {@code lanewise.queue_capacity}, and answers must run. */
  private static ExecutorBuilder<?> pool(Settings settings, String name, int threads) {
    return new FixedExecutorBuilder(
        settings, name, threads, -1, "thread_pool." + name, TaskTrackingConfig.DO_NOT_TRACK);
  }

  @Override
  public Collection<?> createComponents(PluginServices services) {
    LanewiseSettings settings = LanewiseSettings.of(services.environment().settings());
    checkVectorModule(Backends.vectorApiPresent(), settings.backend());
    checkBackend(settings);
    exact = exact(settings);
    ModelOpener opener = opener(settings, memory);
    ClusterModels models =
        new ClusterModels(
            services.client(),
            services.clusterService(),
            services.projectResolver(),
            services.threadPool().generic(),
            new ModelCopies(
                services.nodeEnvironment().nodeDataPaths()[0].resolve(NAME),
                settings.modelCopiesBytes()),
            opener);
    ModelRegistry registry =
        new ModelRegistry(
            services.environment().configDir().resolve(NAME).resolve("models"),
            services.environment().pluginsDir().resolve(NAME).resolve("models"),
            opener,
            services.threadPool().generic(),
            models);
    mappings = new ClusterMappings(services.clusterService());
    ClusterService clusterService = services.clusterService();
    SlowLog slowLog =
        new SlowLog(
            services.environment().settings(),
            clusterService.getClusterSettings(),
            services.threadPool().getThreadContext());
    service = new EncodeService(registry, settings, services.threadPool(), slowLog);
    ServiceMetrics.register(services.telemetryProvider().getMeterRegistry(), service::stats);
    health = new LanewiseHealth(services.client());
    searchTasks =
        new SearchTasks(
            services.threadPool().getThreadContext(), () -> clusterService.localNode().getId());
    return List.of(registry, models, service);
  }

  /**
   * Returns what opens model directories: the library, unless a test brings its own.
   *
   * @param memory what the models' memory is taken from
   */
  protected ModelOpener opener(LanewiseSettings settings, MemoryBudget memory) {
    return new LibraryOpener(settings, memory);
  }

  /** Warns, or stops the node where the vector backend was asked for by name. */
  static void checkVectorModule(boolean present, String backend) {
    if (present || backend.equals("scalar")) {
      return;
    }
    String cure =
        "Add --add-modules=" + VECTOR_MODULE + " to config/jvm.options.d/lanewise.options";
    if (backend.equals("vector")) {
      throw new IllegalArgumentException(
          "[lanewise.backend] is [vector] but the JVM runs without the Vector API. " + cure);
    }
    logger.warn(
        "the JVM runs without the Vector API, so Lanewise encodes with its scalar backend, which"
            + " is many times slower. {}",
        cure);
  }

  /**
   * Stops the node where the library cannot run what the settings ask for by name; found out at the
   * first text, it would be a surprise to users who cannot change the settings.
   */
  static void checkBackend(LanewiseSettings settings) {
    try (Workers workers = new Workers(1)) {
      Backend backend = Backends.create(settings.backend(), settings.precision(), workers);
      logger.info(
          "backend [{}] multiplies matrices in [{}] by [{}], because {}",
          backend.name(),
          backend.precision().label(),
          backend.kernels(),
          backend.kernelsReason());
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "[lanewise.backend] is [" + settings.backend() + "]: " + e.getMessage(), e);
    }
  }

  /** Returns what compares vectors in fp32 on the calling thread. */
  private static Backend exact(LanewiseSettings settings) {
    boolean scalar = settings.backend().equals("scalar") || !Backends.vectorApiPresent();
    return Backends.create(
        scalar ? "scalar" : "vector", Optional.of(Precision.FP32), new Workers(1));
  }

  @Override
  public Map<String, Processor.Factory> getProcessors(Processor.Parameters parameters) {
    return Map.of(
        EmbedProcessor.TYPE,
        new EmbedProcessor.Factory(
            () -> service, (project, index, path) -> mappings.of(project, index, path)),
        TagProcessor.TYPE,
        new TagProcessor.Factory(() -> service));
  }

  @Override
  public List<QueryVectorBuilderSpec<?>> getQueryVectorBuilders() {
    return List.of(
        new QueryVectorBuilderSpec<>(
            LanewiseQueryVectorBuilder.NAME,
            LanewiseQueryVectorBuilder::new,
            (parser, ignored) -> LanewiseQueryVectorBuilder.parse(parser)));
  }

  @Override
  public List<QuerySpec<?>> getQueries() {
    return List.of(
        new QuerySpec<>(
            SparseQueryBuilder.NAME, SparseQueryBuilder::new, SparseQueryBuilder::parse));
  }

  @Override
  public List<RescorerSpec<?>> getRescorers() {
    return List.of(
        new RescorerSpec<>(
            MaxSimRescorerBuilder.NAME,
            in -> new MaxSimRescorerBuilder(in, () -> exact),
            parser -> MaxSimRescorerBuilder.parse(parser, () -> exact)),
        new RescorerSpec<>(
            RerankRescorerBuilder.NAME,
            in -> new RerankRescorerBuilder(in, () -> service),
            parser -> RerankRescorerBuilder.parse(parser, () -> service)));
  }

  @Override
  public List<RetrieverSpec<?>> getRetrievers() {
    return List.of(
        new RetrieverSpec<>(HybridRetrieverBuilder.NAME, HybridRetrieverBuilder::parse),
        new RetrieverSpec<>(RerankRetrieverBuilder.NAME, RerankRetrieverBuilder::parse));
  }

  @Override
  public Map<String, Highlighter> getHighlighters() {
    return Map.of(AnswerHighlighter.TYPE, new AnswerHighlighter(() -> service));
  }

  @Override
  public List<NamedWriteableRegistry.Entry> getNamedWriteables() {
    return List.of(
        new NamedWriteableRegistry.Entry(RankDoc.class, HybridRankDoc.NAME, HybridRankDoc::new),
        new NamedWriteableRegistry.Entry(RankDoc.class, RerankRankDoc.NAME, RerankRankDoc::new));
  }

  @Override
  public Collection<ActionHandler> getActions() {
    return List.of(
        new ActionHandler(AnswerAction.TYPE, AnswerAction.class),
        new ActionHandler(EmbedAction.TYPE, EmbedAction.class),
        new ActionHandler(ManageModelAction.Delete.TYPE, ManageModelAction.Delete.class),
        new ActionHandler(ManageModelAction.Load.TYPE, ManageModelAction.Load.class),
        new ActionHandler(ManageModelAction.Put.TYPE, ManageModelAction.Put.class),
        new ActionHandler(ModelNodesAction.TYPE, ModelNodesAction.class),
        new ActionHandler(ModelsAction.TYPE, ModelsAction.class),
        new ActionHandler(RerankAction.TYPE, RerankAction.class),
        new ActionHandler(StatsAction.TYPE, StatsAction.class),
        new ActionHandler(TagAction.TYPE, TagAction.class));
  }

  @Override
  public Collection<MappedActionFilter> getMappedActionFilters() {
    return List.of(searchTasks);
  }

  @Override
  public Collection<RestHandler> getRestHandlers(
      RestHandlersServices services,
      Supplier<DiscoveryNodes> nodesInCluster,
      Predicate<NodeFeature> clusterSupportsFeature) {
    return List.of(
        new RestAnswer(),
        new RestCatLanewise(),
        new RestEmbed(),
        new RestManageModel(),
        new RestModels(),
        new RestRerank(),
        new RestSparse(),
        new RestStats(),
        new RestTag());
  }

  /** Called once the components are there. */
  @Override
  public Collection<HealthIndicatorService> getHealthIndicatorServices() {
    return List.of(health);
  }

  /** Rejects what waits and closes the models. */
  @Override
  public void close() {
    EncodeService created = service;
    if (created != null) {
      created.close();
    }
  }
}
