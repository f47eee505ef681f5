package org.lanewise.plugin.encode;

import java.io.Closeable;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.ContextPreservingActionListener;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.threadpool.ThreadPool;
import org.lanewise.encoder.AnswerFinder;
import org.lanewise.encoder.AnswerFinder.Answer;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.EncoderOutputs.Reading;
import org.lanewise.plugin.LanewiseSettings;
import org.lanewise.plugin.encode.EncodeRequest.Chunking;
import org.lanewise.plugin.encode.SlowLog.Work;
import org.lanewise.plugin.models.Answerer;
import org.lanewise.plugin.models.Encoded;
import org.lanewise.plugin.models.Encoder;
import org.lanewise.plugin.models.Model;
import org.lanewise.plugin.models.ModelRegistry;
import org.lanewise.plugin.models.Relevance;
import org.lanewise.plugin.models.Reranker;
import org.lanewise.plugin.models.Tagger;
import org.lanewise.plugin.models.Tags;

/** Does the models' work for the whole node, in batches, on the plugin's own threads. */
public final class EncodeService implements Closeable {
  /** Computes the batches of the bulk lane. */
  public static final String BULK_POOL = "lanewise_bulk";

  /** Computes the batches of the search lane. */
  public static final String SEARCH_POOL = "lanewise_search";

  /** Answers the callers of the bulk lane: the rest of their pipelines runs here. */
  public static final String REPLY_POOL = "lanewise_reply";

  private final ModelRegistry registry;
  private final LanewiseSettings settings;
  private final SlowLog slowLog;
  private final Lane bulk;
  private final Lane search;
  private final ThreadContext threadContext;
  private final QueryCache queries;
  private final WorkQueues<Encoder, Reading, Encoded> embedding;
  private final WorkQueues<Tagger, Tagger.Text, Tags> tagging;
  private final WorkQueues<Reranker, EncodedText, Relevance> reranking;
  private final WorkQueues<Answerer, AnswerFinder.Reading, Optional<Answer>> answering;

  /** Creates a service that owns the registry and closes it with itself. */
  public EncodeService(
      ModelRegistry registry, LanewiseSettings settings, ThreadPool threadPool, SlowLog slowLog) {
    this.slowLog = slowLog;
    this.registry = registry;
    this.settings = settings;
    threadContext = threadPool.getThreadContext();
    queries = new QueryCache(settings.queryCacheBytes());
    bulk =
        new Lane(
            "bulk",
            settings.queueCapacity(),
            settings.threads(),
            threadPool.executor(BULK_POOL),
            threadPool.executor(REPLY_POOL));
    search =
        new Lane(
            "search",
            settings.queueCapacity(),
            threadPool.info(SEARCH_POOL).getMax(),
            threadPool.executor(SEARCH_POOL),
            threadPool.executor(ThreadPool.Names.SEARCH_COORDINATION));
    embedding = queues(Encoder.class, "an encoder");
    tagging = queues(Tagger.class, "a tagger or a classifier");
    reranking = queues(Reranker.class, "a reranker");
    answering = queues(Answerer.class, "a model that answers questions");
  }

  private <M extends Model<T, R>, T, R> WorkQueues<M, T, R> queues(Class<M> type, String expected) {
    return new WorkQueues<>(type, expected, registry, bulk, search, settings, threadContext);
  }

  /**
   * Hands over what was made of each text, in order. Never blocks; the listener is called exactly
   * once, in the caller's thread context, with the answers or with the first error of any text: 404
   * for an unknown model, 429 where the queue is full or memory runs out, 400 for a text that is
   * refused, a model that is no encoder, or one that has not got what is wanted.
   */
  public void embed(EncodeRequest request, ActionListener<List<Encoded>> listener) {
    embed(request, () -> false, listener);
  }

  /**
   * Like {@link #embed(EncodeRequest, ActionListener)}.
   *
   * @param abandoned whether nobody waits any more; texts that are not computed then never are
   */
  public void embed(
      EncodeRequest request, BooleanSupplier abandoned, ActionListener<List<Encoded>> listener) {
    if (refused(request.texts().stream().map(EncodeRequest.Text::text).toList(), listener)) {
      return;
    }
    ActionListener<List<Encoded>> timed =
        slowLog.timed(
            request.isQuery() ? Work.SEARCH : Work.BULK,
            request.modelId(),
            request.texts(),
            text -> text.text().length(),
            listener);
    if (!request.isQuery()) {
      compute(request, bulk, abandoned, timed);
      return;
    }
    ActionListener<List<Encoded>> answer =
        ContextPreservingActionListener.wrapPreservingContext(timed, threadContext);
    registry.open(
        request.modelId(),
        answer.delegateFailureAndWrap(
            (asker, open) -> {
              if (!(open.model() instanceof Encoder encoder)) {
                compute(request, search, abandoned, asker);
                return;
              }
              Optional<Encoded> known = queries.get(encoder, request);
              if (known.isPresent()) {
                asker.onResponse(List.of(known.get()));
                return;
              }
              compute(
                  request,
                  search,
                  abandoned,
                  asker.map(
                      made -> {
                        queries.put(encoder, request, made);
                        return made;
                      }));
            }));
  }

  /** Throws an {@code IllegalArgumentException} where these are too many for one request. */
  public void checkCount(int texts) {
    if (texts > settings.maxTexts()) {
      throw new IllegalArgumentException(
          "[input] has ["
              + texts
              + "] texts but one request takes ["
              + settings.maxTexts()
              + "]; send fewer, or raise [lanewise.max_texts]");
    }
  }

  /** Answers with a 400 where a text is longer than any model shall read. */
  private boolean refused(List<String> texts, ActionListener<?> listener) {
    for (int i = 0; i < texts.size(); i++) {
      if (texts.get(i).length() > settings.maxTextLength()) {
        listener.onFailure(
            new IllegalArgumentException(
                "text ["
                    + i
                    + "] has ["
                    + texts.get(i).length()
                    + "] characters but [lanewise.max_text_length] is ["
                    + settings.maxTextLength()
                    + "]; shorten it, or raise the setting"));
        return true;
      }
    }
    return false;
  }

  private void compute(
      EncodeRequest request,
      Lane lane,
      BooleanSupplier abandoned,
      ActionListener<List<Encoded>> listener) {
    embedding.submit(
        request.modelId(),
        request.texts(),
        lane,
        encoder -> {
          if (encoder.outputs().contains(Output.TAGS)) {
            TagSelection.check(request.modelId(), request.labels(), encoder.classes());
          }
          String prompt = request.prompt(encoder.prompts());
          return text -> read(encoder, text, prompt, request);
        },
        abandoned,
        listener);
  }

  private static List<Reading> read(
      Encoder encoder, EncodeRequest.Text text, String prompt, EncodeRequest request) {
    if (text.chunking().isPresent()) {
      Chunking chunking = text.chunking().get();
      return encoder.readChunks(
          text.text(), prompt, text.outputs(), chunking.options(), chunking.late());
    }
    Reading reading = encoder.read(text.text(), prompt, request.side().role(), text.outputs());
    if (reading.truncated() && request.truncate() == EncodeRequest.Truncate.NONE) {
      throw new IllegalArgumentException(
          "Input too large. The tokenized input length ["
              + encoder.countTokens(text.text(), prompt)
              + "] exceeds the maximum sequence length ["
              + encoder.maxLength()
              + "]");
    }
    return List.of(reading);
  }

  /**
   * Hands over the tags of each text, in order, as far as they are wanted; everything else is as
   * for {@link #embed}. The bulk lane does it, as nobody waits for tags at a search.
   */
  public void tag(
      String modelId,
      List<String> texts,
      TagSelection selection,
      ActionListener<List<Tags>> listener) {
    tag(modelId, texts, selection, () -> false, listener);
  }

  /**
   * Like {@link #tag(String, List, TagSelection, ActionListener)}.
   *
   * @param abandoned whether nobody waits any more
   */
  public void tag(
      String modelId,
      List<String> texts,
      TagSelection selection,
      BooleanSupplier abandoned,
      ActionListener<List<Tags>> listener) {
    if (refused(texts, listener)) {
      return;
    }
    tagging.submit(
        modelId,
        texts,
        bulk,
        tagger -> {
          TagSelection.check(modelId, selection.classes(), tagger.classes());
          return text -> List.of(tagger.read(text));
        },
        abandoned,
        slowLog
            .timed(Work.BULK, modelId, texts, String::length, listener)
            .map(answers -> answers.stream().map(selection::of).toList()));
  }

  /**
   * Hands over how well each text answers the query, in order; everything else is as for {@link
   * #embed}. The search lane does it: each text takes a place there, and after each batch the next
   * model has its turn, so that a window of many hits does not keep questions waiting.
   *
   * @param abandoned whether nobody waits any more; texts that are not computed then never are
   */
  public void rerank(
      String modelId,
      String query,
      List<String> texts,
      BooleanSupplier abandoned,
      ActionListener<List<Relevance>> listener) {
    if (refused(List.of(query), listener) || refused(texts, listener)) {
      return;
    }
    reranking.submit(
        modelId,
        texts,
        search,
        reranker -> text -> List.of(reranker.read(query, text)),
        abandoned,
        slowLog.timed(Work.SEARCH, modelId, texts, String::length, listener));
  }

  /**
   * Hands over the best answer in each text, in order, empty where a text has no tokens; everything
   * else is as for {@link #rerank}.
   *
   * @param mostTokens most tokens of an answer
   * @param abandoned whether nobody waits any more
   */
  public void answer(
      String modelId,
      String question,
      int mostTokens,
      List<String> texts,
      BooleanSupplier abandoned,
      ActionListener<List<Optional<Answer>>> listener) {
    if (refused(List.of(question), listener) || refused(texts, listener)) {
      return;
    }
    answering.submit(
        modelId,
        texts,
        search,
        answerer -> text -> List.of(answerer.read(question, text, mostTokens)),
        abandoned,
        slowLog.timed(Work.SEARCH, modelId, texts, String::length, listener));
  }

  /** Returns what was done so far. */
  public ServiceStats stats() {
    Map<String, ModelStats> models = new TreeMap<>();
    embedding.stats(models);
    tagging.stats(models);
    reranking.stats(models);
    answering.stats(models);
    return new ServiceStats(
        settings.threads(),
        settings.batchTokens(),
        settings.queueCapacity(),
        bulk.stats(),
        search.stats(),
        queries.stats(),
        models);
  }

  /** Rejects what waits, lets running batches finish and closes the models. */
  @Override
  public void close() {
    embedding.close();
    tagging.close();
    reranking.close();
    answering.close();
    registry.close();
  }
}
