package io.atoll.expert.transfer;

import io.atoll.proto.v1.WorkerCatalogue;

/// What a worker has to know of a model to hold experts of it.
///
/// @param digest of the model, equal on every worker
/// @param layers with routed experts, the prediction module's included
/// @param experts of each layer
/// @param hidden width of the rows that go in
/// @param intermediate inner width of an expert
/// @param quantizedRows whether gate and up projections meet int8 rows
public record ModelShape(
        String digest,
        int layers,
        int experts,
        int hidden,
        int intermediate,
        boolean quantizedRows) {
    private static final int MOST = 1 << 20;

    public ModelShape {
        for (int size : new int[] {layers, experts, hidden, intermediate}) {
            if (size <= 0 || size > MOST) {
                throw new IllegalArgumentException(
                        "sizes must be from 1 to %d: %d layers of %d experts, %d x %d"
                                .formatted(MOST, layers, experts, intermediate, hidden));
            }
        }
    }

    static ModelShape of(WorkerCatalogue catalogue) {
        return new ModelShape(
                catalogue.getModelDigest(),
                catalogue.getLayers(),
                catalogue.getExperts(),
                catalogue.getHiddenSize(),
                catalogue.getIntermediateSize(),
                catalogue.getQuantizedRows());
    }
}
