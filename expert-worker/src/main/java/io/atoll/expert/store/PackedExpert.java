package io.atoll.expert.store;

import io.atoll.kernels.PackedMatrix;

/// One expert as the kernels read it: `down(silu(gate x) * (up x))`. Each matrix has a format of its own.
///
/// @param gate `[intermediate, hidden]`
/// @param up `[intermediate, hidden]`, meets the same rows as the gate: both take int8, or both f32
/// @param down `[hidden, intermediate]`
public record PackedExpert(PackedMatrix gate, PackedMatrix up, PackedMatrix down) {
    public PackedExpert {
        require("up", up, gate.rows(), gate.cols());
        require("down", down, gate.cols(), gate.rows());
        if (gate.format().takesQuantizedRows() != up.format().takesQuantizedRows()) {
            throw new IllegalArgumentException(
                    "gate is %s and up is %s: they meet the same rows"
                            .formatted(gate.format(), up.format()));
        }
    }

    private static void require(String name, PackedMatrix matrix, int rows, int cols) {
        if (matrix.rows() != rows || matrix.cols() != cols) {
            throw new IllegalArgumentException(
                    "%s is %d x %d, expected %d x %d"
                            .formatted(name, matrix.rows(), matrix.cols(), rows, cols));
        }
    }

    /// Inner width.
    public int intermediate() {
        return gate.rows();
    }

    /// Width of the rows that go in.
    public int hidden() {
        return gate.cols();
    }

    /// Bytes of the three matrices.
    public long bytes() {
        return gate.data().byteSize() + up.data().byteSize() + down.data().byteSize();
    }
}
