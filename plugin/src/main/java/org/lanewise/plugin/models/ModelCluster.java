package org.lanewise.plugin.models;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.SortedSet;
import org.elasticsearch.ResourceNotFoundException;
import org.elasticsearch.action.ActionListener;

/**
 * What a node's {@link ModelRegistry} asks of the rest of the cluster. Listeners are called where
 * files may be read.
 */
public interface ModelCluster {
  /** Returns the id of the model that a name stands for: the name itself, unless it is an alias. */
  String resolve(String name);

  /** Returns the aliases of a model, sorted. */
  SortedSet<String> aliases(String id);

  /** Hands over the model that was uploaded completely under this id, if any. */
  void find(String id, ActionListener<Optional<UploadedModel>> listener);

  /** Hands over all models that were uploaded completely. */
  void list(ActionListener<List<UploadedModel>> listener);

  /**
   * Hands over a directory with the files of an uploaded model, all of which were found to have
   * their digests.
   */
  void fetch(UploadedModel model, ActionListener<Path> listener);

  /**
   * Answers where this node may use the model, and fails with the name of a node that goes before
   * it and has other files.
   *
   * @param settled whether this was answered before, and others can see that it was. Two nodes may
   *     ask at once, each before the other had anything to say; when both ask again, the one whose
   *     id is greater learns of the other. It is answered when the other one is settled or refused
   */
  void agree(String id, String fingerprint, boolean settled, ActionListener<Void> listener);

  /** A node that is alone and has its own directories only. */
  ModelCluster NONE =
      new ModelCluster() {
        @Override
        public String resolve(String name) {
          return name;
        }

        @Override
        public SortedSet<String> aliases(String id) {
          return Collections.emptySortedSet();
        }

        @Override
        public void find(String id, ActionListener<Optional<UploadedModel>> listener) {
          listener.onResponse(Optional.empty());
        }

        @Override
        public void list(ActionListener<List<UploadedModel>> listener) {
          listener.onResponse(List.of());
        }

        @Override
        public void fetch(UploadedModel model, ActionListener<Path> listener) {
          listener.onFailure(
              new ResourceNotFoundException("Could not find model [{}]", model.id()));
        }

        @Override
        public void agree(
            String id, String fingerprint, boolean settled, ActionListener<Void> listener) {
          listener.onResponse(null);
        }
      };
}
