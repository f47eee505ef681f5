package org.lanewise.plugin.ingest;

import java.util.List;
import java.util.function.BiConsumer;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.ingest.AbstractProcessor;
import org.elasticsearch.ingest.IngestDocument;

/**
 * A processor that reads text fields and writes, beside each, what a model makes of it. Never
 * blocks; the handler is called exactly once.
 *
 * @param <R> the answer for a text
 */
abstract class TextProcessor<R> extends AbstractProcessor {
  private final List<FieldPair> fields;
  private final boolean ignoreMissing;

  TextProcessor(String tag, String description, List<FieldPair> fields, boolean ignoreMissing) {
    super(tag, description);
    this.fields = fields;
    this.ignoreMissing = ignoreMissing;
  }

  /** Asks for one answer for each text. */
  abstract void ask(DocumentTexts texts, ActionListener<List<R>> listener);

  /** Writes the answers into the document. */
  abstract void write(IngestDocument document, DocumentTexts texts, List<R> answers);

  final List<FieldPair> fields() {
    return fields;
  }

  @Override
  public final boolean isAsync() {
    return true;
  }

  @Override
  public final void execute(
      IngestDocument document, BiConsumer<IngestDocument, Exception> handler) {
    DocumentTexts texts;
    try {
      texts = DocumentTexts.read(document, fields, ignoreMissing);
    } catch (RuntimeException e) {
      handler.accept(null, e);
      return;
    }
    ask(
        texts,
        new ActionListener<>() {
          @Override
          public void onResponse(List<R> answers) {
            try {
              write(document, texts, answers);
            } catch (RuntimeException e) {
              handler.accept(null, e);
              return;
            }
            handler.accept(document, null);
          }

          @Override
          public void onFailure(Exception e) {
            handler.accept(null, e);
          }
        });
  }
}
