package io.atoll.cli.conformance;

import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SortedSet;

/// The tensors of one golden safetensors file. Owns the mapping: `close()` ends it.
final class GoldenTensors implements AutoCloseable {
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path file;
    private final Checkpoint tensors;

    private GoldenTensors(Path file, Checkpoint tensors) {
        this.file = file;
        this.tensors = tensors;
    }

    static GoldenTensors open(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new FixtureException(file, "missing");
        }
        try {
            return new GoldenTensors(file, Checkpoint.open(file));
        } catch (CheckpointException e) {
            throw new FixtureException(file, "is torn: " + e.getMessage(), e);
        }
    }

    SortedSet<String> names() {
        return tensors.names();
    }

    float[] floats(String name) {
        return require(name, DType.F32).floats();
    }

    int[] ints(String name) {
        Tensor tensor = require(name, DType.I32);
        return tensor.data().toArray(INT);
    }

    /// The bytes of a U8 tensor, valid until this is closed.
    MemorySegment bytes(String name) {
        return require(name, DType.U8).data();
    }

    /// Size of the last dimension.
    int cols(String name) {
        Tensor tensor = require(name);
        if (tensor.rank() == 0) {
            throw new FixtureException(file, name + " is a scalar");
        }
        return Math.toIntExact(tensor.dim(tensor.rank() - 1));
    }

    private Tensor require(String name, DType type) {
        Tensor tensor = require(name);
        if (tensor.dtype() != type) {
            throw new FixtureException(
                    file,
                    name
                            + " must be "
                            + type
                            + ", is "
                            + tensor.dtype()
                            + Arrays.toString(tensor.shape()));
        }
        return tensor;
    }

    private Tensor require(String name) {
        return tensors.find(name)
                .orElseThrow(() -> new FixtureException(file, "has no tensor " + name));
    }

    @Override
    public void close() {
        tensors.close();
    }
}
