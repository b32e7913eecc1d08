package io.atoll.expert.store;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;

/// The experts that a worker holds, packed as the kernels read them. Immutable until closed; safe for any thread.
public interface ExpertStore extends AutoCloseable {
    /// What is held.
    ExpertShard shard();

    /// Width of the rows that go in and of the sums that come out.
    int hidden();

    /// Inner width of an expert.
    int intermediate();

    /// Format of every matrix.
    WeightFormat format();

    /// Gate over up projection, `[2 intermediate, hidden]`.
    ///
    /// @throws IllegalArgumentException if the expert is not held
    PackedMatrix gateUp(int layer, int expert);

    /// Down projection, `[hidden, intermediate]`.
    ///
    /// @throws IllegalArgumentException if the expert is not held
    PackedMatrix down(int layer, int expert);

    /// Frees the weights. No matrix may be in use.
    @Override
    void close();
}
