package org.lanewise.plugin.models;

import java.util.List;
import org.elasticsearch.core.AbstractRefCounted;
import org.elasticsearch.logging.LogManager;
import org.elasticsearch.logging.Logger;
import org.lanewise.encoder.ModelFiles;

/**
 * A model that is ready to work. Who gives it work holds a reference meanwhile; it is closed when
 * the registry has let go of it and the last work is done, so that what runs on a model that is
 * unloaded or replaced ends on it.
 */
public final class OpenModel extends AbstractRefCounted {
  private static final Logger logger = LogManager.getLogger(OpenModel.class);

  private final String id;
  private final Model<?, ?> model;
  private final String fingerprint;
  private final List<OpenModel> encoders;

  /**
   * Creates an open model with the reference of its owner.
   *
   * @param id the name users call it by
   * @param fingerprint of {@link ModelFiles}
   * @param encoders what the model reads; one reference to each becomes this model's
   */
  public OpenModel(String id, Model<?, ?> model, String fingerprint, List<OpenModel> encoders) {
    this.id = id;
    this.model = model;
    this.fingerprint = fingerprint;
    this.encoders = List.copyOf(encoders);
  }

  /** Returns the name users call it by. */
  public String id() {
    return id;
  }

  /** Returns the model, which nobody else closes. */
  public Model<?, ?> model() {
    return model;
  }

  /** Returns what the model's files have in common with equal ones on other nodes. */
  public String fingerprint() {
    return fingerprint;
  }

  @Override
  protected void closeInternal() {
    try {
      model.close();
    } catch (RuntimeException e) {
      logger.warn("could not close model [" + id + "]", e);
    } finally {
      encoders.forEach(OpenModel::decRef);
    }
  }
}
