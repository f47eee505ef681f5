package org.lanewise.encoder.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What a training is made from and how it went so far: the learning curve, and what its checkpoint
 * says of it. Not thread-safe.
 */
final class Course {
  private final TrainingOptions options;
  private final TrainingData data;
  private final List<Progress.Epoch> epochs = new ArrayList<>();
  private int best;
  private int step;
  private Trainer.Judgement judgement =
      new Trainer.Judgement(Double.NEGATIVE_INFINITY, JsonNodeFactory.instance.objectNode());

  Course(TrainingOptions options, TrainingData data) {
    this.options = options;
    this.data = data;
  }

  /** Adds an epoch and returns whether its model is the best so far. */
  boolean add(Progress.Epoch epoch, int steps, Trainer.Judgement judged) {
    epochs.add(epoch);
    step += steps;
    if (best > 0 && judged.score() <= judgement.score()) {
      return false;
    }
    best = epoch.number();
    judgement = judged;
    return true;
  }

  /** Returns whether all epochs are done, or none of the last was better than one before. */
  boolean ended() {
    return epochs.size() >= options.schedule().epochs()
        || epochs.size() - best >= options.schedule().patience();
  }

  /** Returns the epochs that are done. */
  List<Progress.Epoch> epochs() {
    return List.copyOf(epochs);
  }

  /** Returns the epoch with the best model, 0 before there is one. */
  int best() {
    return best;
  }

  /** Returns the steps that are done. */
  int step() {
    return step;
  }

  /** Returns how good the best model is. */
  Trainer.Judgement judgement() {
    return judgement;
  }

  /** Returns all of it. */
  ObjectNode json() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.set("options", options.json());
    ArrayNode sources = json.putArray("data");
    for (TrainingData.Source source : data.sources()) {
      sources
          .addObject()
          .put("use", source.use())
          .put("name", source.name())
          .put("sha256", source.sha256());
    }
    json.put("steps", step);
    json.put("best_epoch", best);
    json.put("dev_score", judgement.score());
    json.set("dev", judgement.details());
    ArrayNode curve = json.putArray("epochs");
    for (Progress.Epoch epoch : epochs) {
      curve
          .addObject()
          .put("epoch", epoch.number())
          .put("loss", epoch.loss())
          .put("dev_score", epoch.score())
          .put("words", epoch.words())
          .put("seconds", epoch.seconds());
    }
    return json;
  }

  /**
   * Goes on where the JSON of another run ended.
   *
   * @param where what messages call the JSON
   * @throws IllegalArgumentException if its options or data are others, naming these
   */
  void resume(JsonNode json, String where) {
    List<String> differences = differences(json);
    if (!differences.isEmpty()) {
      throw new IllegalArgumentException(
          where
              + " is from another training: "
              + String.join(", ", differences)
              + "; give the same options and data, or delete it to begin anew");
    }
    for (JsonNode epoch : json.path("epochs")) {
      epochs.add(
          new Progress.Epoch(
              epoch.path("epoch").intValue(),
              epoch.path("loss").doubleValue(),
              epoch.path("dev_score").doubleValue(),
              epoch.path("words").longValue(),
              epoch.path("seconds").doubleValue()));
    }
    best = json.path("best_epoch").intValue();
    step = json.path("steps").intValue();
    if (epochs.isEmpty() || best < 1 || best > epochs.size() || !json.path("dev").isObject()) {
      throw new IllegalArgumentException(where + " is damaged; delete it to begin anew");
    }
    judgement =
        new Trainer.Judgement(json.path("dev_score").doubleValue(), (ObjectNode) json.path("dev"));
  }

  private List<String> differences(JsonNode other) {
    Map<String, String> before = facts(other);
    Map<String, String> now = facts(json());
    Set<String> names = new LinkedHashSet<>(now.keySet());
    names.addAll(before.keySet());
    return names.stream()
        .filter(name -> !before.getOrDefault(name, "").equals(now.getOrDefault(name, "")))
        .map(
            name ->
                "["
                    + name
                    + "] was "
                    + before.getOrDefault(name, "not there")
                    + " and is "
                    + now.getOrDefault(name, "not there"))
        .toList();
  }

  /** Options by their paths, and digests of the data, whose names may change. */
  private static Map<String, String> facts(JsonNode json) {
    Map<String, String> facts = new LinkedHashMap<>();
    flatten("", json.path("options"), facts);
    int number = 0;
    for (JsonNode source : json.path("data")) {
      number++;
      String name = "data file " + number + ", " + source.path("use").asText();
      facts.put(name, source.path("sha256").asText());
    }
    return facts;
  }

  private static void flatten(String name, JsonNode node, Map<String, String> facts) {
    if (!node.isObject()) {
      facts.put(name, node.asText());
      return;
    }
    for (Map.Entry<String, JsonNode> field : node.properties()) {
      flatten(
          name.isEmpty() ? field.getKey() : name + "." + field.getKey(), field.getValue(), facts);
    }
  }
}
