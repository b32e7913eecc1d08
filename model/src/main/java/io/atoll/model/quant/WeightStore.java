package io.atoll.model.quant;

import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.checkpoint.TensorNames;
import java.nio.file.Path;
import java.util.Optional;

/// The weights of a model under the names and in the order of a release, however its files store them: plain or quantised
/// safetensors ([CheckpointWeights]), or GGUF ([io.atoll.model.gguf.GgufWeights]).
///
/// Names are those of [TensorNames]. Routed experts are always asked for one by one ([TensorNames.Layer#expert]), also where
/// the file fuses a layer's experts into one tensor. Every failure is a [io.atoll.model.config.ModelFileException] that
/// names the file and the tensor. Safe for use by several threads; what it gives is borrowed from the open files.
public interface WeightStore {
    /// The directory or file the weights come from.
    Path source();

    /// The names under which weights are found here.
    TensorNames names();

    /// Whether there is a weight of this name, in any encoding.
    boolean contains(String name);

    /// A matrix `[rows, cols]`, which must be there and have these sizes. Nothing is decoded yet.
    WeightMatrix matrix(String name, int rows, int cols);

    /// A small weight as plain floats: a norm, a bias, the taps of a convolution. It must be there and have this shape.
    ///
    /// Values may have been computed on loading, so this is not for large tensors.
    Tensor tensor(String name, long... shape);

    /// Whether gate and up projections of the routed experts meet int8 rows, where the store says so of the whole model: a pack does,
    /// which may hold some of the experts only. Else the weights tell.
    default Optional<Boolean> expertsTakeQuantizedRows() {
        return Optional.empty();
    }

    /// Gives the memory back that reading mapped files has taken. They can still be read, from the system's cache or from disk.
    default void releasePages() {
        // Nothing is mapped, or the mapped pages are the weights that are in use.
    }
}
