package org.lanewise.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.apache.lucene.util.Version;
import org.lanewise.benchmarks.retrieval.BiEncoder;
import org.lanewise.benchmarks.retrieval.DenseModel;
import org.lanewise.benchmarks.retrieval.Evaluation;
import org.lanewise.benchmarks.retrieval.Fusion;
import org.lanewise.benchmarks.retrieval.LateInteractionModel;
import org.lanewise.benchmarks.retrieval.LexicalSearch;
import org.lanewise.benchmarks.retrieval.Quality;
import org.lanewise.benchmarks.retrieval.Reranking;
import org.lanewise.benchmarks.retrieval.Run;
import org.lanewise.benchmarks.retrieval.SparseModel;
import org.lanewise.benchmarks.retrieval.TestCollection;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextReranker;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code benchmarks evaluate-retrieval}: what models find in test collections, beside BM25. */
@Command(
    name = "evaluate-retrieval",
    description =
        "Searches test collections in BEIR's format in every way that models are given for, and"
            + " writes how good each is.",
    mixinStandardHelpOptions = true)
final class EvaluateRetrievalCommand implements Callable<Integer> {
  private static final String LEXICAL = "bm25";

  @Spec private CommandSpec spec;

  @Option(
      names = "--data",
      split = ",",
      required = true,
      paramLabel = "DIR",
      description = "Directories with corpus.jsonl, queries.jsonl and qrels/test.tsv.")
  private List<Path> data;

  @Option(
      names = "--split",
      paramLabel = "NAME",
      description = "Which file of qrels judges; test unless given.")
  private String split = "test";

  @Option(
      names = "--dense",
      paramLabel = "DIR",
      description = "A model that embeds; models/lanewise-mini-en unless given.")
  private Path dense = RaceCommand.BUNDLED;

  @Option(names = "--sparse", paramLabel = "DIR", description = "A SPLADE model.")
  private Path sparse;

  @Option(names = "--late", paramLabel = "DIR", description = "A ColBERT model.")
  private Path late;

  @Option(names = "--rerank", paramLabel = "DIR", description = "A cross-encoder.")
  private Path rerank;

  @Option(
      names = "--first-stage",
      paramLabel = "SEARCH",
      description =
          "Whose hits the cross-encoder orders: bm25 unless given, or another row of the table,"
              + " such as rrf(bm25, dense).")
  private String firstStage = LEXICAL;

  @Option(
      names = "--rerank-depth",
      paramLabel = "N",
      description = "How many of them; 100 unless given.")
  private int rerankDepth = 100;

  @Option(
      names = "--depth",
      paramLabel = "N",
      description = "Hits that each search keeps and fusion sees; 1000 unless given.")
  private int depth = 1000;

  @Option(
      names = "--weights",
      split = ",",
      paramLabel = "SEARCH=W",
      description = "Weights of weighted sums, bm25=0.3,dense=0.7 for instance; 1 unless given.")
  private Map<String, Double> weights = Map.of();

  @Option(
      names = "--analyzer",
      paramLabel = "english|standard",
      description = "Lucene's analyzer for BM25; english unless given.")
  private String analyzer = "english";

  @Option(
      names = "--precision",
      paramLabel = "P",
      description = "Number format of the weights: auto, fp32, bf16 or int8.")
  private String precision;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads of the models; all processors unless given.")
  private Integer threads;

  @Option(
      names = "--runs",
      paramLabel = "DIR",
      description = "Also writes every run there, as trec_eval reads it.")
  private Path runs;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "Where retrieval.md goes; benchmarks/results unless given.")
  private Path out = Path.of("benchmarks", "results");

  @Override
  public Integer call() throws IOException {
    LexicalSearch.Analysis analysis = LexicalSearch.Analysis.named(analyzer);
    check();
    List<TestCollection> collections = new ArrayList<>();
    for (Path directory : data) {
      collections.add(TestCollection.read(directory, split));
    }
    try (Models models = new Models(options())) {
      models.add("dense", dense, DenseModel::new);
      models.add("sparse", sparse, SparseModel::new);
      models.add("late", late, LateInteractionModel::new);
      models.addReranker(rerank);
      List<Evaluation> evaluations = new ArrayList<>();
      for (TestCollection collection : collections) {
        Map<String, Quality> qualities = new LinkedHashMap<>();
        for (Run run : search(collection, analysis, models)) {
          qualities.put(run.name(), Quality.of(run, collection));
          if (runs != null) {
            Files.createDirectories(runs);
            String name = (collection.name() + "-" + run.name()).replaceAll("\\W+$", "");
            run.write(runs.resolve(name.replaceAll("\\W+", "-") + ".trec"), collection);
          }
        }
        evaluations.add(new Evaluation(collection, qualities));
        // Whoever ends a long evaluation early keeps what it found.
        write(evaluations, models);
      }
      System.out.print(Evaluation.table(evaluations));
    }
    return 0;
  }

  private void check() {
    if (depth < 1 || rerankDepth < 1) {
      throw new IllegalArgumentException(
          "--depth is ["
              + depth
              + "] and --rerank-depth is ["
              + rerankDepth
              + "], expected 1 or more");
    }
    List<String> found = new ArrayList<>(searches());
    weights.forEach(
        (search, weight) -> {
          if (!found.contains(search) || !(weight >= 0) || weight.isInfinite()) {
            throw new IllegalArgumentException(
                "--weights has ["
                    + search
                    + "="
                    + weight
                    + "], expected numbers of at least 0 for some of "
                    + found);
          }
        });
    for (List<String> fused : fusions()) {
      for (Fusion fusion : fusionMethods()) {
        found.add(fusion.name(fused));
      }
    }
    if (!found.contains(firstStage)) {
      throw new IllegalArgumentException(
          "--first-stage is [" + firstStage + "], expected one of " + found);
    }
  }

  private EmbedderOptions options() {
    EmbedderOptions options = EmbedderOptions.defaults();
    if (precision != null) {
      options = options.withPrecision(EmbedderOptions.precision(precision));
    }
    return threads == null ? options : options.withThreads(threads);
  }

  /** What searches the whole corpus. */
  private List<String> searches() {
    List<String> names = new ArrayList<>(List.of(LEXICAL, "dense"));
    if (sparse != null) {
      names.add("sparse");
    }
    if (late != null) {
      names.add("late");
    }
    return names;
  }

  /** BM25 with each of the models and, if there are several, with all of them. */
  private List<List<String>> fusions() {
    List<String> names = searches();
    List<List<String>> fusions = new ArrayList<>();
    for (String model : names.subList(1, names.size())) {
      fusions.add(List.of(LEXICAL, model));
    }
    if (names.size() > 2) {
      fusions.add(names);
    }
    return fusions;
  }

  private List<Fusion> fusionMethods() {
    return List.of(new Fusion.ReciprocalRank(), new Fusion.WeightedSum(weights));
  }

  private List<Run> search(
      TestCollection collection, LexicalSearch.Analysis analysis, Models models)
      throws IOException {
    Map<String, Run> found = new LinkedHashMap<>();
    progress(collection, LEXICAL);
    found.put(LEXICAL, new Run(LEXICAL, LexicalSearch.search(collection, analysis, depth)));
    models.encoders.forEach(
        (name, model) -> {
          progress(collection, name);
          found.put(name, new Run(name, model.search(collection, depth)));
        });
    for (List<String> fused : fusions()) {
      List<Run> fusing = fused.stream().map(found::get).toList();
      for (Fusion fusion : fusionMethods()) {
        Run run = fusion.fuse(fusing, depth);
        found.put(run.name(), run);
      }
    }
    List<Run> all = new ArrayList<>(found.values());
    if (models.reranker.isPresent()) {
      progress(collection, "rerank");
      all.add(Reranking.of(found.get(firstStage), rerankDepth, models.reranker.get(), collection));
    }
    return all;
  }

  private void progress(TestCollection collection, String search) {
    spec.commandLine().getErr().println(collection.name() + ": " + search);
  }

  private void write(List<Evaluation> evaluations, Models models) throws IOException {
    Map<String, String> facts = Machine.description();
    facts.put("Lucene", Version.LATEST.toString());
    String command =
        "java -jar benchmarks/target/benchmarks.jar "
            + String.join(" ", spec.commandLine().getParent().getParseResult().originalArgs());
    String how =
        String.format(
            Locale.ROOT,
            "BM25 reads words as Lucene's %s analyzer cuts them. Every search keeps %d hits."
                + " Weighted sums weigh %s.",
            analyzer,
            depth,
            weights.isEmpty() ? "all searches alike" : "searches by " + weights + ", others by 1");
    if (rerank != null) {
      how += " The cross-encoder orders the first " + rerankDepth + " of " + firstStage + ".";
    }
    Files.createDirectories(out);
    Files.writeString(
        out.resolve("retrieval.md"),
        Evaluation.markdown(command, facts, models.descriptions, how, evaluations));
  }

  /** The models, open. */
  private static final class Models implements AutoCloseable {
    private final EmbedderOptions options;
    private final List<TextEmbedder> open = new ArrayList<>();
    private final Map<String, BiEncoder<?>> encoders = new LinkedHashMap<>();
    private final Map<String, String> descriptions = new LinkedHashMap<>();
    private Optional<TextReranker> reranker = Optional.empty();

    Models(EmbedderOptions options) {
      this.options = options;
    }

    /** Opens a model; a directory that is null was not given. */
    void add(String name, Path directory, Function<TextEmbedder, BiEncoder<?>> role) {
      if (directory != null) {
        encoders.put(name, role.apply(open(name, directory)));
      }
    }

    /** Opens the cross-encoder; a directory that is null was not given. */
    void addReranker(Path directory) {
      if (directory != null) {
        reranker = Optional.of(TextReranker.over(open("rerank", directory)));
      }
    }

    private TextEmbedder open(String name, Path directory) {
      TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(directory), options);
      open.add(embedder);
      descriptions.put(
          name,
          String.format(
              Locale.ROOT,
              "%s, %s, %s, at most %d tokens",
              directory.toAbsolutePath().normalize().getFileName(),
              embedder.precision().label(),
              embedder.kernels(),
              embedder.maxLength()));
      return embedder;
    }

    @Override
    public void close() {
      open.forEach(TextEmbedder::close);
    }
  }
}
