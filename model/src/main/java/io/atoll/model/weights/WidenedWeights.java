package io.atoll.model.weights;

import io.atoll.kernels.WeightFormat;
import io.atoll.model.quant.WeightMatrix;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/// Quantised matrices that became f32 while packing, so that whoever loads a model can say once why it takes much memory. Safe for
/// use by several threads.
public final class WidenedWeights {
    private final Map<String, List<String>> namesByReason = new TreeMap<>();

    /// Takes note of matrices that were packed below each other.
    public synchronized void note(WeightFormat packed, List<WeightMatrix> matrices) {
        if (packed != WeightFormat.F32) {
            return;
        }
        for (WeightMatrix matrix : matrices) {
            if (matrix.plainType().isEmpty()) {
                namesByReason
                        .computeIfAbsent(reason(matrix, matrices), _ -> new ArrayList<>())
                        .add(matrix.name());
            }
        }
    }

    private static String reason(WeightMatrix matrix, List<WeightMatrix> matrices) {
        if (WeightPacking.format(PackingMode.PACKED, List.of(matrix)) == WeightFormat.F32) {
            return matrix.encoding() + " of " + matrix.cols() + " columns has no packed format";
        }
        return matrix.encoding()
                + (matrices.size() > 1
                        ? " lies in one matrix with another encoding"
                        : " meets int8 rows, but not all experts do");
    }

    /// What became f32 and why; empty if nothing did.
    public synchronized Optional<String> summary() {
        List<String> parts = new ArrayList<>();
        namesByReason.forEach(
                (reason, names) ->
                        parts.add(reason + " (" + names.size() + ": " + names.getFirst() + ", ..)"));
        return parts.isEmpty() ? Optional.empty() : Optional.of(String.join("; ", parts));
    }
}
