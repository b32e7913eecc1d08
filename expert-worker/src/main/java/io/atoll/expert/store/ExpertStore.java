package io.atoll.expert.store;

import io.atoll.cluster.placement.ExpertShard;

/// The experts that a worker holds, packed as the kernels read them. Immutable until closed; safe for any thread.
public interface ExpertStore extends AutoCloseable {
    /// What is held.
    ExpertShard shard();

    /// Width of the rows that go in and of the sums that come out.
    int hidden();

    /// Inner width of an expert.
    int intermediate();

    /// Whether every gate and up projection meets int8 rows; if not, every one meets f32. A down projection's own format says
    /// what it meets.
    boolean takesQuantizedRows();

    /// An expert's weights.
    ///
    /// @throws IllegalArgumentException if it is not held
    PackedExpert expert(int layer, int expert);

    /// Frees the weights. No matrix may be in use.
    @Override
    void close();
}
