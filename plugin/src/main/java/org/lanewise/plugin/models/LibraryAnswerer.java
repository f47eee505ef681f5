package org.lanewise.plugin.models;

import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.AnswerFinder;
import org.lanewise.encoder.AnswerFinder.Answer;
import org.lanewise.encoder.AnswerFinder.Reading;
import org.lanewise.encoder.DeviceReport;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.backend.Precision;

/**
 * The question answering model of {@code encoder-core} over one model directory.
 *
 * @param encoder owned by this one
 * @param finder the head over it
 */
record LibraryAnswerer(TextEmbedder encoder, AnswerFinder finder) implements Answerer {
  @Override
  public Reading read(String question, String text, int mostTokens) {
    return finder.read(question, text, mostTokens);
  }

  @Override
  public List<Optional<Answer>> forward(List<Reading> readings) {
    return finder.answers(readings);
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
