package org.lanewise.plugin.models;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.lanewise.encoder.DeviceReport;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.backend.Precision;

/**
 * The classifier of {@code encoder-core} over one model directory.
 *
 * @param classifier owned by this one
 * @param encoderIds the encoders that it reads
 */
record LibraryClassifier(TextClassifier classifier, Set<String> encoderIds) implements Tagger {
  @Override
  public ModelKind kind() {
    return ModelKind.CLASSIFIER;
  }

  @Override
  public Text read(String text) {
    return new Text(text, classifier.length(text), classifier.cuts(text));
  }

  @Override
  public List<Tags> forward(List<Text> texts) {
    return classifier.classify(texts.stream().map(Text::text).toList()).stream()
        .<Tags>map(Tags.Classes::of)
        .toList();
  }

  @Override
  public List<String> classes() {
    return classifier.labels();
  }

  @Override
  public List<String> encoders() {
    return encoderIds.stream().sorted().toList();
  }

  @Override
  public String backend() {
    return classifier.backend();
  }

  @Override
  public Precision precision() {
    return classifier.precision();
  }

  @Override
  public String kernels() {
    return classifier.kernels();
  }

  @Override
  public Optional<DeviceReport> device() {
    return classifier.deviceReport();
  }

  @Override
  public void close() {
    classifier.close();
  }
}
