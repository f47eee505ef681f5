package org.lanewise.cli;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.head.SpanCounts;
import org.lanewise.encoder.head.Spans;
import org.lanewise.encoder.train.Example;
import org.lanewise.encoder.train.Trainer;

/** Scores models as they will be used: opened from their directories. */
final class DevScores implements Trainer.Judge {
  private final List<Example> examples;
  private final EmbedderOptions options;
  private final Function<String, TextEmbedder> encoders;
  private final boolean tagger;

  DevScores(
      List<Example> examples,
      boolean tagger,
      EmbedderOptions options,
      Function<String, TextEmbedder> encoders) {
    this.examples = examples;
    this.tagger = tagger;
    this.options = options;
    this.encoders = encoders;
  }

  @Override
  public Trainer.Judgement judge(Path model) {
    ObjectNode details = JsonNodeFactory.instance.objectNode();
    if (!tagger) {
      try (TextClassifier classifier = TextClassifier.open(model, options, encoders)) {
        var scores = classifier.classify(examples.stream().map(e -> e.text().text()).toList());
        long right = 0;
        for (int i = 0; i < examples.size(); i++) {
          right +=
              examples.get(i).labels().getFirst().equals(scores.get(i).top(1).getFirst().name())
                  ? 1
                  : 0;
        }
        double accuracy = (double) right / examples.size();
        return new Trainer.Judgement(accuracy, details.put("accuracy", accuracy));
      }
    }
    try (TextTagger opened = TextTagger.open(model, options, encoders)) {
      List<List<String>> found = opened.labels(examples.stream().map(Example::text).toList());
      long right = 0;
      long words = 0;
      SpanCounts counts = new SpanCounts();
      for (int i = 0; i < examples.size(); i++) {
        List<String> expected = examples.get(i).labels();
        words += expected.size();
        for (int w = 0; w < expected.size(); w++) {
          right += expected.get(w).equals(found.get(i).get(w)) ? 1 : 0;
        }
        if (opened.spans()) {
          counts.add(Spans.decode(expected), Spans.decode(found.get(i)));
        }
      }
      double accuracy = (double) right / words;
      details.put("accuracy", accuracy);
      details.put("f1", counts.micro().f1());
      return new Trainer.Judgement(opened.spans() ? counts.micro().f1() : accuracy, details);
    }
  }
}
