package io.atoll.model.pack;

import io.atoll.kernels.PackedMatrix;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.StoredBlocks;
import io.atoll.model.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Optional;

/// The rows of a matrix in the bytes of their encoding, one after the other.
///
/// @param type of the blocks, or a plain float
/// @param matrix borrowed
record EncodedRows(GgmlType type, WeightMatrix matrix) {
    /// Those of a matrix, if it is stored in such rows.
    static Optional<EncodedRows> of(WeightMatrix matrix) {
        Optional<GgmlType> type =
                matrix.blocks()
                        .map(StoredBlocks::type)
                        .or(() -> matrix.plain().flatMap(plain -> type(plain.dtype())));
        return type.map(found -> new EncodedRows(found, matrix));
    }

    private static Optional<GgmlType> type(DType dtype) {
        return switch (dtype) {
            case F32 -> Optional.of(GgmlType.F32);
            case F16 -> Optional.of(GgmlType.F16);
            case BF16 -> Optional.of(GgmlType.BF16);
            default -> Optional.empty();
        };
    }

    long bytes() {
        return matrix.rows() * type.bytes(matrix.cols());
    }

    /// The bytes of some rows, copied.
    MemorySegment read(int first, int count, SegmentAllocator memory) {
        MemorySegment copy =
                memory.allocate(count * type.bytes(matrix.cols()), PackedMatrix.ALIGNMENT);
        WeightMatrix slice = matrix.slice(first, count);
        if (slice.plain().isPresent()) {
            copy.copyFrom(slice.plain().get().data());
        } else {
            long at = 0;
            for (MemorySegment run : slice.blocks().orElseThrow().rows()) {
                copy.asSlice(at).copyFrom(run);
                at += run.byteSize();
            }
        }
        return copy;
    }
}
