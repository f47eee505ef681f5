package org.lanewise.plugin.models;

import java.util.Optional;
import org.lanewise.encoder.ModelFiles;

/**
 * A model that was uploaded to the cluster.
 *
 * @param id the name users call it by
 * @param files what it is made of
 * @param kind what it is; empty until the upload is complete
 */
public record UploadedModel(String id, ModelFiles files, Optional<ModelKind> kind) {
  /** Returns whether all of its files are there. */
  public boolean complete() {
    return kind.isPresent();
  }
}
