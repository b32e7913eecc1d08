package io.atoll.model.pack;

import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.quant.GgmlType;
import java.util.List;

/// One weight of a region: its name after the region's prefix, where it lies in the region, and what its bytes are.
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "as")
@JsonSubTypes({
    @JsonSubTypes.Type(value = StoredWeight.Packed.class, name = "packed"),
    @JsonSubTypes.Type(value = StoredWeight.Rows.class, name = "rows"),
    @JsonSubTypes.Type(value = StoredWeight.Vector.class, name = "tensor")
})
sealed interface StoredWeight {
    /// An order of magnitude above the largest matrix of the family.
    int MAX_SIZE = 1 << 24;

    String name();

    long offset();

    long bytes();

    /// A matrix as the kernels read it ([PackedMatrix]).
    ///
    /// @param columnUnit columns that move together, if the columns stand in another order than the model's; else 0
    /// @param columnOrder which run of stored columns each run of the model's is; empty if they stand in order
    record Packed(
            String name,
            long offset,
            long bytes,
            WeightFormat format,
            int rows,
            int cols,
            int columnUnit,
            List<Integer> columnOrder)
            implements StoredWeight {
        public Packed {
            check(name, offset, bytes);
            columnOrder = List.copyOf(columnOrder);
            if (isNoSize(rows) || isNoSize(cols) || cols % format.columnMultiple() != 0) {
                throw new IllegalArgumentException(
                        name + ": no " + format + " matrix: " + rows + " x " + cols);
            }
            if (bytes != PackedMatrix.bytes(format, rows, cols)) {
                throw new IllegalArgumentException(
                        "%s: %s %d x %d takes %d bytes, not %d"
                                .formatted(
                                        name,
                                        format,
                                        rows,
                                        cols,
                                        PackedMatrix.bytes(format, rows, cols),
                                        bytes));
            }
            if ((long) columnUnit * columnOrder.size() != (columnOrder.isEmpty() ? 0 : cols)) {
                throw new IllegalArgumentException(
                        name + ": runs of " + columnUnit + " do not make " + cols + " columns");
            }
        }
    }

    /// A matrix row by row in the encoding of its source: what is looked up by row, and what the kernels have no format for.
    record Rows(String name, long offset, long bytes, GgmlType type, int rows, int cols)
            implements StoredWeight {
        public Rows {
            check(name, offset, bytes);
            if (isNoSize(rows) || isNoSize(cols) || cols % type.blockElements() != 0) {
                throw new IllegalArgumentException(
                        name + ": no " + type + " matrix: " + rows + " x " + cols);
            }
            if (bytes != rows * type.bytes(cols)) {
                throw new IllegalArgumentException(
                        "%s: %s %d x %d takes %d bytes, not %d"
                                .formatted(name, type, rows, cols, rows * type.bytes(cols), bytes));
            }
        }
    }

    /// A small tensor of plain floats.
    record Vector(String name, long offset, long bytes, DType dtype, List<Long> shape)
            implements StoredWeight {
        public Vector {
            check(name, offset, bytes);
            shape = List.copyOf(shape);
            long expected = dtype.bytes();
            for (long size : shape) {
                if (size <= 0) {
                    throw new IllegalArgumentException(name + ": no shape: " + shape);
                }
                expected = Math.multiplyExact(expected, size);
            }
            if (bytes != expected) {
                throw new IllegalArgumentException(
                        "%s: %s %s takes %d bytes, not %d"
                                .formatted(name, dtype, shape, expected, bytes));
            }
        }
    }

    private static boolean isNoSize(int size) {
        return size <= 0 || size > MAX_SIZE;
    }

    private static void check(String name, long offset, long bytes) {
        if (name == null || name.isEmpty()) {
            throw new IllegalArgumentException("a weight has no name");
        }
        if (offset < 0 || offset % PackedMatrix.ALIGNMENT != 0 || bytes <= 0) {
            throw new IllegalArgumentException(
                    name + ": lies at no place: offset " + offset + ", bytes " + bytes);
        }
    }
}
