package io.atoll.attention.moe;

import io.atoll.proto.wire.RowFormat;

/// What both sides of the wire have to agree on about the model's routed experts.
///
/// @param digest identifies the model
/// @param layers layers that have routed experts, those of the multi-token prediction module included if it is used
/// @param experts of each layer
/// @param hidden width of a row
/// @param rowFormat what the experts' weights take
/// @param fractionBits binary digits behind the point of the combine's grid
public record RoutedModel(
        String digest, int layers, int experts, int hidden, RowFormat rowFormat, int fractionBits) {
    public RoutedModel {
        if (layers <= 0 || experts <= 0 || hidden <= 0) {
            throw new IllegalArgumentException(
                    "layers, experts and hidden must be positive: %d, %d, %d"
                            .formatted(layers, experts, hidden));
        }
        if (rowFormat == RowFormat.Q8 && hidden % RowFormat.BLOCK != 0) {
            throw new IllegalArgumentException("hidden must be a multiple of 32: " + hidden);
        }
    }
}
