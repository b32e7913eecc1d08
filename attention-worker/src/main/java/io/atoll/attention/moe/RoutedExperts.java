package io.atoll.attention.moe;

import io.atoll.proto.Failure;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// All routed experts of a model, wherever they live.
///
/// One thread at a time dispatches and combines; several dispatches may be under way. The result of a row depends on the row and
/// its routes alone: each expert's weighted output is rounded to a fixed-point grid and integers are added, so neither
/// placement nor the order of arrival shows.
public interface RoutedExperts extends AutoCloseable {
    /// Sends rows to their experts and returns without waiting for them.
    ///
    /// @param layer decoder layer
    /// @param rows how many rows, at least 1
    /// @param x f32 `[rows, hidden]`; must stay unchanged until the combine returns, since the rows may be sent again
    /// @param expertIds int32 `[rows, k]`, distinct in a row
    /// @param weights f32 `[rows, k]`
    /// @param deadlineNanos [System#nanoTime] at which the combine gives up
    Dispatch dispatch(
            int layer,
            int rows,
            MemorySegment x,
            MemorySegment expertIds,
            MemorySegment weights,
            long deadlineNanos);

    /// Why a dispatch would fail now, if it would: experts that no live worker holds.
    Optional<Failure> unavailable();

    /// What each worker has done so far; none if there are no workers. May be called from any thread.
    default List<WorkerStatistics> statistics() {
        return List.of();
    }

    @Override
    void close();

    /// One dispatch under way.
    interface Dispatch {
        /// Waits for every reply and adds them up.
        ///
        /// @param out f32 `[rows, hidden]`, overwritten; undefined after a failure
        /// @return empty when the sums are complete, else why they are not, at the deadline at the latest
        Optional<Failure> combine(MemorySegment out);
    }
}
