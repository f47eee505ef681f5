package org.lanewise.encoder.model;

import java.util.Optional;
import java.util.OptionalInt;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.EmbeddingTables;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.batch.PackedBatch;

/** The lookups, their norm and their projection to the hidden size. */
final class Embedding {
  private final EmbeddingTables tables;
  private final int size;
  private final OptionalInt paddingId;
  private final Optional<NormWeight> norm;
  private final Optional<NormWeight> projectedNorm;
  private final Optional<LinearWeight> projection;

  Embedding(Preparation preparation, EmbeddingPlan plan) {
    tables =
        preparation.embeddings(
            new EmbeddingTables(
                preparation.tensor(plan.words()),
                plan.scale(),
                plan.positions().map(preparation::tensor),
                plan.types().map(preparation::tensor)));
    size = plan.size();
    paddingId = plan.paddingId();
    Optional<NormWeight> prepared = preparation.norm(plan.norm());
    boolean last = plan.projection().isPresent() && plan.projectionFirst();
    norm = last ? Optional.empty() : prepared;
    projectedNorm = last ? prepared : Optional.empty();
    projection = plan.projection().map(preparation::linear);
  }

  /** Writes the input of the first layer to {@code state.hidden()}. */
  void forward(Backend backend, PackedBatch batch, Activations state) {
    PackedBatch counted =
        paddingId.isPresent() ? batch.withPositionsAfter(paddingId.getAsInt()) : batch;
    if (projection.isEmpty()) {
      backend.embed(counted, tables, norm, state.hidden());
      return;
    }
    Matrix embedded = state.side().firstColumns(size);
    backend.embed(counted, tables, norm, embedded);
    backend.linear(embedded, projection.get(), Activation.IDENTITY, state.hidden());
    projectedNorm.ifPresent(weight -> backend.norm(state.hidden(), weight, state.hidden()));
  }
}
