package io.atoll.cli.roles;

import io.atoll.model.ModelDirectory;
import io.atoll.model.weights.WeightPacking;
import io.atoll.proto.wire.RowFormat;

/// What rows the experts of a model take on the wire. An attention worker has to know before it says hello.
public final class ExpertRows {
    private ExpertRows() {}

    /// The rows of expert workers that keep the checkpoint's values: they ask the same question about the same checkpoint.
    public static RowFormat format(ModelDirectory model) {
        return switch (WeightPacking.expertMode(model.textWeights())) {
            case PACKED -> RowFormat.Q8;
            case EXACT -> RowFormat.F32;
        };
    }
}
