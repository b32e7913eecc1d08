package io.atoll.model.gguf;

import io.atoll.model.quant.GgmlType;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;

/// A tensor of a GGUF file, borrowed from its [GgufFile].
public final class GgufTensor {
    private final String name;
    private final GgmlType type;
    private final long[] shape;
    private final MemorySegment data;
    private final Path file;

    GgufTensor(String name, GgmlType type, long[] shape, MemorySegment data, Path file) {
        this.name = name;
        this.type = type;
        this.shape = shape;
        this.data = data;
        this.file = file;
    }

    public String name() {
        return name;
    }

    public GgmlType type() {
        return type;
    }

    /// Sizes, slowest first: the reverse of the order in the file. A copy.
    public long[] shape() {
        return shape.clone();
    }

    /// Number of dimensions.
    public int rank() {
        return shape.length;
    }

    /// Size of one dimension, 0 the slowest.
    public long dim(int index) {
        return shape[index];
    }

    /// Number of elements; may exceed an int.
    public long elements() {
        return data.byteSize() / type.blockBytes() * type.blockElements();
    }

    /// The blocks, read-only.
    public MemorySegment data() {
        return data;
    }

    /// The file it lies in, which is one part of a split model.
    public Path file() {
        return file;
    }

    /// All elements decoded, row-major.
    ///
    /// @throws IllegalArgumentException if there are more than an array can hold
    public float[] floats() {
        if (elements() > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException("too many elements for one array: " + this);
        }
        float[] values = new float[(int) elements()];
        type.dequantize(data, 0, values, 0, values.length);
        return values;
    }

    /// This tensor, if it has exactly this shape.
    ///
    /// @throws GgufException if not; it names the tensor, the file and both shapes
    public GgufTensor expectShape(long... expected) {
        if (!Arrays.equals(shape, expected)) {
            throw new GgufException(
                    file,
                    name,
                    "expected shape "
                            + Arrays.toString(expected)
                            + ", found "
                            + Arrays.toString(shape));
        }
        return this;
    }

    /// The blocks of element `index` of the first dimension.
    MemorySegment slice(long index) {
        Objects.checkIndex(index, shape[0]);
        long bytes = data.byteSize() / shape[0];
        return data.asSlice(index * bytes, bytes);
    }

    @Override
    public String toString() {
        return name + " " + type + Arrays.toString(shape) + " in " + file;
    }
}
