package io.atoll.model.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;

/// A named array in a checkpoint, borrowed from its [Checkpoint]: reading it after the checkpoint is closed throws
/// [IllegalStateException].
///
/// Elements are little-endian, row-major, read-only, and need not be aligned.
public final class Tensor {
    private final String name;
    private final DType dtype;
    private final long[] shape;
    private final MemorySegment data;
    private final Path file;

    /// @param name the name in the file, or a description for a part of a tensor
    /// @param data exactly the bytes of `shape` elements
    /// @param file where it comes from, for messages
    public Tensor(String name, DType dtype, long[] shape, MemorySegment data, Path file) {
        this.name = Objects.requireNonNull(name, "name");
        this.dtype = Objects.requireNonNull(dtype, "dtype");
        this.shape = shape.clone();
        this.data = data;
        this.file = Objects.requireNonNull(file, "file");
        long bytes = dtype.bytes();
        for (long dimension : shape) {
            if (dimension < 0) {
                throw new IllegalArgumentException(
                        "negative dimension: " + name + " " + Arrays.toString(shape));
            }
            bytes = Math.multiplyExact(bytes, dimension);
        }
        if (bytes != data.byteSize()) {
            throw new IllegalArgumentException(
                    name
                            + " "
                            + dtype
                            + Arrays.toString(shape)
                            + " takes "
                            + bytes
                            + " bytes, not "
                            + data.byteSize());
        }
    }

    public String name() {
        return name;
    }

    public DType dtype() {
        return dtype;
    }

    /// Sizes, slowest first. A copy.
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
        return data.byteSize() / dtype.bytes();
    }

    /// The elements' bytes, read-only.
    public MemorySegment data() {
        return data;
    }

    /// The file it lies in.
    public Path file() {
        return file;
    }

    /// All elements widened to f32, row-major.
    ///
    /// @throws IllegalArgumentException if there are more than an array can hold
    /// @throws CheckpointException if the type is not a plain float
    public float[] floats() {
        if (elements() > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException("too many elements for one array: " + this);
        }
        float[] result = new float[(int) elements()];
        floats(0, result, 0, result.length);
        return result;
    }

    /// Widens `count` elements, from element `first` on in row-major order, into `target` from `offset` on.
    public void floats(long first, float[] target, int offset, int count) {
        if (!dtype.widensToFloat()) {
            throw new CheckpointException(
                    file, name, "must be a plain float tensor to be widened, found " + dtype);
        }
        Objects.checkFromIndexSize(first, count, elements());
        Objects.checkFromIndexSize(offset, count, target.length);
        dtype.widen(data, first, target, offset, count);
    }

    /// Element `index` of the first dimension, without copying: `[A, B, C]` gives `[B, C]`.
    public Tensor slice(long index) {
        Tensor one = slices(index, 1);
        return new Tensor(
                name + "[" + index + "]",
                dtype,
                Arrays.copyOfRange(shape, 1, shape.length),
                one.data,
                file);
    }

    /// A run of the first dimension, without copying: `[A, B, C]` gives `[count, B, C]`.
    public Tensor slices(long first, long count) {
        if (shape.length == 0) {
            throw new IllegalArgumentException("a scalar has no slices: " + this);
        }
        Objects.checkFromIndexSize(first, count, shape[0]);
        long sliceBytes = shape[0] == 0 ? 0 : data.byteSize() / shape[0];
        long[] newShape = shape.clone();
        newShape[0] = count;
        return new Tensor(
                name + "[" + first + ":" + (first + count) + "]",
                dtype,
                newShape,
                data.asSlice(first * sliceBytes, count * sliceBytes),
                file);
    }

    /// This tensor, if it has exactly this shape.
    ///
    /// @throws CheckpointException if not; it names the tensor, the file and both shapes
    public Tensor expectShape(long... expected) {
        if (!Arrays.equals(shape, expected)) {
            throw new CheckpointException(
                    file,
                    name,
                    "expected shape "
                            + Arrays.toString(expected)
                            + ", found "
                            + Arrays.toString(shape));
        }
        return this;
    }

    /// This tensor, if its elements are plain floats.
    ///
    /// @throws CheckpointException if not, for example for a quantised weight
    public Tensor expectFloats() {
        if (!dtype.widensToFloat()) {
            throw new CheckpointException(
                    file, name, "expected F32, BF16, F16 or F64, found " + dtype);
        }
        return this;
    }

    @Override
    public String toString() {
        return name + " " + dtype + Arrays.toString(shape) + " in " + file;
    }
}
