package io.atoll.model.quant;

import io.atoll.model.checkpoint.Tensor;
import java.util.Optional;

/// A matrix that a checkpoint stores as plain floats.
final class PlainMatrix extends AbstractMatrix {
    private final Tensor tensor;

    PlainMatrix(String name, Tensor tensor, int rows, int cols) {
        super(name, rows, cols);
        this.tensor = tensor;
    }

    @Override
    public String encoding() {
        return tensor.dtype().name();
    }

    @Override
    void decode(int first, int count, float[] out, int to) {
        tensor.floats((long) first * cols(), out, to, count * cols());
    }

    @Override
    public Optional<Tensor> plain() {
        return Optional.of(tensor);
    }
}
