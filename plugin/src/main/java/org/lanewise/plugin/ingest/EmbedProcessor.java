package org.lanewise.plugin.ingest;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.ingest.IngestDocument;
import org.elasticsearch.ingest.Processor;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.head.ElementType;
import org.lanewise.plugin.encode.DenseForm;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.encode.EncodeRequest.Chunking;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.encode.EncodeRequest.Truncate;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.models.Encoded;
import org.lanewise.plugin.models.Encoded.Piece;
import org.lanewise.plugin.models.ModelRegistry;

/**
 * The {@code lanewise_embed} processor: reads text fields, writes vector fields. Options:
 *
 * <ul>
 *   <li>{@code model_id}: the model; the bundled one by default;
 *   <li>{@code input_output}: one object or a list of objects with {@code input_field} and {@code
 *       output_field}; or instead
 *   <li>{@code field} and {@code target_field}, by default the field's name with {@code _vector},
 *       {@code _sparse} or {@code _tokens}, of tags as for {@link TagProcessor};
 *   <li>{@code output}, beside each field, like what follows from it: {@code dense}, {@code
 *       sparse}, {@code multi_vector} or {@code tags}; a text that is read for several is encoded
 *       once:
 *       <ul>
 *         <li>{@code dimensions} and {@code element_type} ({@code float}, {@code byte}, {@code
 *             bit}) of a dense vector: {@link DenseForm};
 *         <li>{@code pruning} of a sparse one, with {@code top_k}, {@code max_ratio} and {@code
 *             abs_value}, and {@code replace_dots}, which a {@code rank_features} field needs;
 *         <li>{@code encoding} of the vectors of all tokens: {@code bf16}, {@code int8} or {@code
 *             bit};
 *         <li>{@code threshold}, {@code labels}, {@code results_field}, {@code keywords}, {@code
 *             annotated_text} and {@code num_top_classes} of tags, which are written as {@link
 *             TagProcessor} writes them;
 *       </ul>
 *   <li>{@code chunking}, beside each field too: an object; long texts are cut into chunks, nothing
 *       of them is left out, and the field gets an array of objects with {@code vector} (or {@code
 *       sparse}), {@code text}, {@code start_pos}, {@code end_pos} and, for an array of texts,
 *       {@code element}:
 *       <ul>
 *         <li>{@code strategy}: {@code sentence} or {@code token};
 *         <li>{@code max_chunk_size}: most tokens of a chunk, special tokens and prompt included
 *             (as many as the model takes);
 *         <li>{@code sentence_overlap} (1) or, with {@code token}, {@code overlap} (0): sentences
 *             or tokens that a chunk repeats;
 *         <li>{@code late}: vectors from one pass over the whole text (false);
 *         <li>{@code include_text}: whether chunks have their {@code text} (true);
 *       </ul>
 *   <li>{@code ignore_missing}: leave documents without the text, or with null, alone (false);
 *   <li>{@code truncate}: {@code first} cuts a text to the model's length, {@code none} refuses it;
 *   <li>{@code truncated_field}: where to write how many texts of the document were cut (nowhere);
 *   <li>{@code prompt_name}: the model's prompt to use instead of that for documents.
 * </ul>
 *
 * <p>What fields may hold is said at {@link DocumentTexts}.
 */
public final class EmbedProcessor extends TextProcessor<Encoded> {
  /** The name of the processor in a pipeline. */
  public static final String TYPE = "lanewise_embed";

  private final Supplier<EncodeService> service;
  private final FieldCheck check;
  private final String modelId;
  private final Map<FieldPair, OutputForm> forms;
  private final Set<String> labels;
  private final Truncate truncate;
  private final Optional<String> truncatedField;
  private final Optional<String> promptName;

  private EmbedProcessor(
      String tag,
      String description,
      Supplier<EncodeService> service,
      FieldCheck check,
      String modelId,
      Map<FieldPair, OutputForm> forms,
      boolean ignoreMissing,
      Truncate truncate,
      Optional<String> truncatedField,
      Optional<String> promptName) {
    super(tag, description, List.copyOf(forms.keySet()), ignoreMissing);
    this.service = service;
    this.check = check;
    this.modelId = modelId;
    this.forms = forms;
    labels =
        forms.values().stream()
            .flatMap(
                form ->
                    form instanceof TagForm tags
                        ? tags.selection().classes().stream()
                        : Stream.empty())
            .collect(Collectors.toUnmodifiableSet());
    this.truncate = truncate;
    this.truncatedField = truncatedField;
    this.promptName = promptName;
  }

  @Override
  public String getType() {
    return TYPE;
  }

  @Override
  void ask(DocumentTexts texts, ActionListener<List<Encoded>> listener) {
    // A text that is read for several fields is encoded once, for all that these want of it.
    Map<Wanted, Set<Output>> wanted = new LinkedHashMap<>();
    for (int i = 0; i < texts.texts().size(); i++) {
      wanted
          .computeIfAbsent(wanted(texts, i), _ -> EnumSet.noneOf(Output.class))
          .add(forms.get(texts.origins().get(i)).output());
    }
    List<EncodeRequest.Text> distinct = new ArrayList<>();
    Map<Wanted, Integer> places = new HashMap<>();
    wanted.forEach(
        (each, outputs) -> {
          places.put(each, distinct.size());
          distinct.add(new EncodeRequest.Text(each.text, outputs, each.chunking));
        });
    service
        .get()
        .embed(
            new EncodeRequest(modelId, distinct, Side.INGEST, promptName, truncate, labels),
            listener.map(
                answers ->
                    IntStream.range(0, texts.texts().size())
                        .mapToObj(i -> answers.get(places.get(wanted(texts, i))))
                        .toList()));
  }

  /** A text and how it is cut. */
  private record Wanted(String text, Optional<Chunking> chunking) {}

  private Wanted wanted(DocumentTexts texts, int index) {
    Optional<Chunking> chunking = forms.get(texts.origins().get(index)).chunking();
    return new Wanted(texts.texts().get(index), chunking);
  }

  @Override
  void write(IngestDocument document, DocumentTexts texts, List<Encoded> answers) {
    texts.write(
        answers,
        (field, each) -> {
          OutputForm form = forms.get(field.pair());
          String output = field.pair().output();
          switch (form) {
            case OutputForm.Dense dense ->
                check(document, output, dense.form(), dense.value(modelId, each.getFirst()));
            case OutputForm.Passages passages -> checkPassages(document, output, passages, each);
            case OutputForm.Sparse _, OutputForm.MultiVector _, TagForm _ -> {}
          }
          return form.render(modelId, field, each);
        });
    truncatedField.ifPresent(
        field ->
            document.setFieldValue(
                field, (int) answers.stream().filter(Encoded::truncated).count()));
  }

  private void checkPassages(
      IngestDocument document, String field, OutputForm.Passages passages, List<Encoded> answers) {
    String index = document.getMetadata().getIndex();
    String vector = field + "." + passages.name();
    List<Piece> pieces = answers.stream().flatMap(answer -> answer.pieces().stream()).toList();
    boolean flat = check.field(index, vector).filter(mapped -> !mapped.nested()).isPresent();
    if (check.field(index, field).isPresent() || (flat && pieces.size() > 1)) {
      throw new IllegalArgumentException(
          "field ["
              + field
              + "] of index ["
              + index
              + "] must hold ["
              + pieces.size()
              + "] passages, each with a vector; map it as [nested], with ["
              + passages.name()
              + "] in it");
    }
    if (passages.of() instanceof OutputForm.Dense dense && !pieces.isEmpty()) {
      List<?> first = dense.value(modelId, pieces.getFirst().encoded());
      check(document, vector, dense.form(), first);
    }
  }

  /** Refuses what the field would refuse, or worse take, in words that name the cure. */
  private void check(IngestDocument document, String field, DenseForm form, List<?> vector) {
    String index = document.getMetadata().getIndex();
    Optional<MappedDimensions.Field> mapped = check.field(index, field);
    if (mapped.isEmpty()) {
      return;
    }
    String place = "field [" + field + "] of index [" + index + "]";
    ElementType type = mapped.get().type();
    if (type != form.type() && (type != ElementType.FLOAT || form.type() == ElementType.BIT)) {
      throw new IllegalArgumentException(
          place
              + " has [element_type] of ["
              + type.label()
              + "] but the processor writes ["
              + form.type().label()
              + "]; set its [element_type] to the field's");
    }
    int dimensions = form.type() == ElementType.BIT ? Byte.SIZE * vector.size() : vector.size();
    OptionalInt expected = mapped.get().dimensions();
    if (expected.isPresent() && expected.getAsInt() != dimensions) {
      throw new IllegalArgumentException(
          "vectors of model ["
              + modelId
              + "] have ["
              + dimensions
              + "] dimensions but "
              + place
              + " has [dims] of ["
              + expected.getAsInt()
              + "]");
    }
    if (form.type() == ElementType.BYTE && !mapped.get().angle()) {
      throw new IllegalArgumentException(
          place
              + " compares vectors by more than their angle, which is all that is left of them in"
              + " [element_type] of [byte]; set its [similarity] to [cosine]");
    }
  }

  /** The vectors that the pipeline's project maps for a field of an index. */
  private interface FieldCheck {
    Optional<MappedDimensions.Field> field(String index, String path);
  }

  String modelId() {
    return modelId;
  }

  /** Reads the options of a pipeline. */
  public static final class Factory implements Processor.Factory {
    private final Supplier<EncodeService> service;
    private final MappedDimensions mappings;

    /** Creates a factory; both are first asked when a document comes. */
    public Factory(Supplier<EncodeService> service, MappedDimensions mappings) {
      this.service = service;
      this.mappings = mappings;
    }

    @Override
    public EmbedProcessor create(
        Map<String, Processor.Factory> factories,
        String tag,
        String description,
        Map<String, Object> config,
        ProjectId projectId) {
      ProcessorOptions options = new ProcessorOptions(TYPE, tag, config);
      String modelId = options.modelId(Optional.of(ModelRegistry.BUNDLED_MODEL));
      Map<FieldPair, OutputForm> forms =
          options.fields((field, form) -> field + form.suffix(modelId), OutputForm::read);
      boolean ignoreMissing = options.flag("ignore_missing", false);
      Truncate truncate = options.choice("truncate", Truncate.FIRST);
      Optional<String> truncatedField = options.text("truncated_field");
      return new EmbedProcessor(
          tag,
          description,
          service,
          (index, path) -> mappings.of(projectId, index, path),
          modelId,
          forms,
          ignoreMissing,
          truncate,
          truncatedField,
          options.text("prompt_name"));
    }
  }
}
