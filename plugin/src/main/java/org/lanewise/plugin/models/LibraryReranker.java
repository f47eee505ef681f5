package org.lanewise.plugin.models;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.DeviceReport;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextReranker;
import org.lanewise.encoder.backend.Precision;

/**
 * The cross-encoder of {@code encoder-core} over one model directory.
 *
 * @param encoder owned by this one
 * @param reranker the head over it
 */
record LibraryReranker(TextEmbedder encoder, TextReranker reranker) implements Reranker {
  @Override
  public EncodedText read(String query, String text) {
    return reranker.encode(query, text);
  }

  @Override
  public List<Relevance> forward(List<EncodedText> pairs) {
    float[] scores = reranker.score(pairs);
    List<Relevance> answers = new ArrayList<>();
    for (int i = 0; i < scores.length; i++) {
      answers.add(new Relevance(scores[i], reranker.signed(), truncated(pairs.get(i))));
    }
    return answers;
  }

  @Override
  public int maxLength() {
    return encoder.maxLength();
  }

  @Override
  public String family() {
    return encoder.directory().config().family();
  }

  @Override
  public String backend() {
    return encoder.backend();
  }

  @Override
  public Precision precision() {
    return encoder.precision();
  }

  @Override
  public String kernels() {
    return encoder.kernels();
  }

  @Override
  public Optional<DeviceReport> device() {
    return encoder.deviceReport();
  }

  @Override
  public void close() {
    encoder.close();
  }
}
