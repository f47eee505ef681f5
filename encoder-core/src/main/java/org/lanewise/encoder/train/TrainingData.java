package org.lanewise.encoder.train;

import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.model.SequenceInputs;

/**
 * What a training reads.
 *
 * @param examples labelled texts
 * @param staticVectors vectors that were made elsewhere
 * @param encoder whose vectors are read
 * @param sources where all of it is from, the texts that models are judged on included
 */
public record TrainingData(
    List<Example> examples,
    Optional<StaticVectors> staticVectors,
    Optional<Encoder> encoder,
    List<Source> sources) {
  /**
   * A file, or an encoder.
   *
   * @param use what it is read for: train, dev and so on
   * @param name its name, without a path
   * @param sha256 digest of its bytes, or of an encoder's weights, in hexadecimal
   */
  public record Source(String use, String name, String sha256) {}

  /**
   * A frozen encoder.
   *
   * @param model its id
   * @param layers which of its layers are read
   * @param size numbers of a vector
   * @param fingerprint SHA-256 of its weights, in hexadecimal
   * @param words gives the vectors
   */
  public record Encoder(
      String model,
      List<Integer> layers,
      int size,
      String fingerprint,
      SequenceInputs.WordEncoder words) {
    /** Copies the list. */
    public Encoder {
      layers = List.copyOf(layers);
    }
  }

  /** Copies the lists. */
  public TrainingData {
    examples = List.copyOf(examples);
    sources = List.copyOf(sources);
  }
}
