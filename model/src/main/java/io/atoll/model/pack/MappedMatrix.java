package io.atoll.model.pack;

import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.model.quant.WeightMatrix;
import java.util.Objects;
import java.util.Optional;

/// A matrix in the kernels' layout in a mapped file.
final class MappedMatrix implements WeightMatrix {
    private final String name;
    private final PackedMatrix packed;

    MappedMatrix(String name, PackedMatrix packed) {
        this.name = name;
        this.packed = packed;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int rows() {
        return packed.rows();
    }

    @Override
    public int cols() {
        return packed.cols();
    }

    @Override
    public String encoding() {
        return packed.format().name();
    }

    @Override
    public Optional<PackedMatrix> packed() {
        return Optional.of(packed);
    }

    @Override
    public void decodeRows(int first, int count, float[] out, int outOffset) {
        Objects.checkFromIndexSize(first, count, rows());
        long elements = (long) count * cols();
        Objects.checkFromIndexSize((long) outOffset, elements, (long) out.length);
        int to = outOffset;
        for (int row = first; row < first + count; row++) {
            for (int column = 0; column < cols(); column++) {
                out[to++] = Packing.weight(packed, row, column);
            }
        }
    }

    @Override
    public String toString() {
        return name + " " + encoding() + " [" + rows() + ", " + cols() + "]";
    }
}
