package io.atoll.attention.forward;

import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;

/// The kernels of a forward pass and the threads they run on. How work is split never shows in a result.
///
/// @param pool borrowed; may be shared with an expert worker in the same process
public record Compute(Kernels kernels, ComputePool pool) {
    /// Enough for an even load when some tasks take longer, few enough that claiming them costs nothing.
    private static final int TASKS_PER_THREAD = 4;

    /// Below this many floats, waking a thread takes longer than the work.
    private static final int SMALL = 32 * 1024;

    /// Items `begin` to `end - 1`.
    interface Range {
        void run(int begin, int end);
    }

    /// Heads `headBegin` to `headEnd - 1` of one sequence of the batch.
    interface HeadRun {
        void run(StepBatch.Part part, int headBegin, int headEnd);
    }

    /// Most tasks that a call of this class makes.
    int maxTasks() {
        return pool.threads() == 1 ? 1 : pool.threads() * TASKS_PER_THREAD;
    }

    /// Splits items into runs of about equal length.
    void split(int items, Range range) {
        int tasks = Math.min(items, maxTasks());
        if (tasks <= 1) {
            range.run(0, items);
            return;
        }
        pool.run(
                tasks,
                task ->
                        range.run(
                                (int) ((long) items * task / tasks),
                                (int) ((long) items * (task + 1) / tasks)));
    }

    /// Splits rows for an operation that touches each float about once.
    void splitRows(int rows, int width, Range range) {
        if ((long) rows * width < SMALL) {
            range.run(0, rows);
        } else {
            split(rows, range);
        }
    }

    /// Splits the heads of all sequences of a batch into runs that do not cross a sequence.
    void splitHeads(StepBatch batch, int heads, HeadRun run) {
        split(
                batch.parts().size() * heads,
                (begin, end) -> {
                    int item = begin;
                    while (item < end) {
                        int head = item % heads;
                        int count = Math.min(heads - head, end - item);
                        run.run(batch.parts().get(item / heads), head, head + count);
                        item += count;
                    }
                });
    }
}
