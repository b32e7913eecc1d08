package io.atoll.expert.batch;

import java.lang.foreign.MemorySegment;

/// Runs routed experts over rows: `sum[r] = sum over the row's routes of rint(weight * expert(x[r]) * 2^fractionBits)`.
///
/// The order of calls: [#begin], then any number of `add`s, then [#run]. A row's sum depends on the row and its routes alone, whoever
/// computes it. One thread at a time. Segments handed to an `add` are borrowed until [#run] returns.
public interface ExpertCompute extends AutoCloseable {
    /// Whether rows are best handed over as int8: see [#addQuantized].
    boolean takesQuantizedRows();

    /// Starts a batch.
    void begin(int layer);

    /// Adds f32 rows with their own number of routes each; they are quantised if the weights want that.
    ///
    /// @param x f32 `[rows, hidden]`
    /// @param routeOffsets int32 `[rows + 1]`: the routes of row `r` are `routeOffsets[r]` to `routeOffsets[r + 1] - 1`
    /// @param ids int32, all held
    /// @param weights f32
    /// @param sums int64 `[rows, hidden]`, overwritten by [#run]
    /// @return the number of this job, for [#isFinite]
    int addFloats(
            int rows,
            MemorySegment x,
            MemorySegment routeOffsets,
            MemorySegment ids,
            MemorySegment weights,
            MemorySegment sums);

    /// Adds rows that are quantised already; for weights that take such rows.
    ///
    /// @param q int8 `[rows, hidden]`
    /// @param scales f32 `[rows, hidden / 32]`
    /// @param routeOffsets int32 `[rows + 1]`
    /// @param ids int32, all held
    /// @param weights f32
    /// @param sums int64 `[rows, hidden]`, overwritten by [#run]
    /// @return the number of this job, for [#isFinite]
    int addQuantized(
            int rows,
            MemorySegment q,
            MemorySegment scales,
            MemorySegment routeOffsets,
            MemorySegment ids,
            MemorySegment weights,
            MemorySegment sums);

    /// Computes the sums of everything added.
    void run();

    /// Whether every product of a job fitted the grid. If not, its sums are undefined.
    boolean isFinite(int job);

    /// Bytes of weights that the last batch read.
    long weightBytes();

    @Override
    void close();
}
