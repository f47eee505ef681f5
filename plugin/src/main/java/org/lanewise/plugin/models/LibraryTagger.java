package org.lanewise.plugin.models;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.lanewise.encoder.DeviceReport;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.backend.Precision;

/**
 * The tagger of {@code encoder-core} over one model directory.
 *
 * @param tagger owned by this one
 * @param encoderIds the encoders that it reads
 */
record LibraryTagger(TextTagger tagger, Set<String> encoderIds) implements Tagger {
  @Override
  public ModelKind kind() {
    return ModelKind.TAGGER;
  }

  @Override
  public Text read(String text) {
    // Long texts are read in windows, to their end.
    return new Text(text, tagger.length(text), false);
  }

  @Override
  public List<Tags> forward(List<Text> texts) {
    return tagger.tag(texts.stream().map(Text::text).toList()).stream()
        .<Tags>map(Tags.Entities::new)
        .toList();
  }

  @Override
  public List<String> classes() {
    return tagger.classes();
  }

  @Override
  public List<String> encoders() {
    return encoderIds.stream().sorted().toList();
  }

  @Override
  public String backend() {
    return tagger.backend();
  }

  @Override
  public Precision precision() {
    return tagger.precision();
  }

  @Override
  public String kernels() {
    return tagger.kernels();
  }

  @Override
  public Optional<DeviceReport> device() {
    return tagger.deviceReport();
  }

  @Override
  public void close() {
    tagger.close();
  }
}
