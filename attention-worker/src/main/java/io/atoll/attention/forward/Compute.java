package io.atoll.attention.forward;

import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;
import java.util.List;

/// The kernels of a forward pass and the threads they run on. How work is split never shows in a result.
///
/// @param pool borrowed; may be shared with an expert worker in the same process
/// @param times told at the end of each stage of a step
public record Compute(Kernels kernels, ComputePool pool, StageTimes times) {
    /// Enough for an even load when some tasks take longer, few enough that claiming them costs nothing.
    private static final int TASKS_PER_THREAD = 4;

    /// Multiply-adds that are worth waking a thread for: a few microseconds at vector speed.
    private static final long TASK_WORK = 64 * 1024;

    /// With times that nobody asks for.
    public Compute(Kernels kernels, ComputePool pool) {
        this(kernels, pool, new StageTimes());
    }

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
    ///
    /// @param work what all items cost together, in multiply-adds; a rough estimate does
    void split(int items, long work, Range range) {
        int tasks = tasks(items, work);
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

    /// How many tasks these items make.
    int tasks(int items, long work) {
        return (int) Math.min(Math.min(items, maxTasks()), Math.max(1, work / TASK_WORK));
    }

    /// Splits rows for an operation that does a little with each float.
    void splitRows(int rows, int width, Range range) {
        split(rows, 2L * rows * width, range);
    }

    /// Splits the heads of several sequences into runs that do not cross a sequence.
    ///
    /// @param workPerRow what one head of one row costs, in multiply-adds
    void splitHeads(List<StepBatch.Part> parts, int heads, int workPerRow, HeadRun run) {
        long rows = parts.stream().mapToLong(StepBatch.Part::rows).sum();
        split(
                parts.size() * heads,
                rows * heads * workPerRow,
                (begin, end) -> {
                    int item = begin;
                    while (item < end) {
                        int head = item % heads;
                        int count = Math.min(heads - head, end - item);
                        run.run(parts.get(item / heads), head, head + count);
                        item += count;
                    }
                });
    }
}
