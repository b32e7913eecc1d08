package io.atoll.model.quant;

import java.util.Objects;

/// What all matrices of this package share: a name, sizes, and checks before [#decode].
abstract class AbstractMatrix implements WeightMatrix {
    private final String name;
    private final int rows;
    private final int cols;

    AbstractMatrix(String name, int rows, int cols) {
        if (rows <= 0 || cols <= 0) {
            throw new IllegalArgumentException("empty matrix: " + name + " " + rows + " x " + cols);
        }
        this.name = name;
        this.rows = rows;
        this.cols = cols;
    }

    @Override
    public final String name() {
        return name;
    }

    @Override
    public final int rows() {
        return rows;
    }

    @Override
    public final int cols() {
        return cols;
    }

    @Override
    public final void decodeRows(int first, int count, float[] out, int outOffset) {
        Objects.checkFromIndexSize(first, count, rows);
        long elements = (long) count * cols;
        Objects.checkFromIndexSize((long) outOffset, elements, (long) out.length);
        decode(first, count, out, outOffset);
    }

    /// Decodes rows whose range, and whose place in `out`, have been checked.
    abstract void decode(int first, int count, float[] out, int to);

    @Override
    public final String toString() {
        return name + " " + encoding() + " [" + rows + ", " + cols + "]";
    }
}
