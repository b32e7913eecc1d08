package io.atoll.expert.batch;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.store.PackedExpert;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.function.IntConsumer;

/// Runs routed experts over rows: `sum[r] = sum over the row's routes of rint(weight * expert(x[r]) * 2^fractionBits)`.
///
/// The order of calls: [#begin], then any number of `add`s, then [#run]. All rows that chose the same expert go through it
/// together, so its weights are read once. A row's sum depends on the row and its routes alone: kernels treat rows apart, and
/// the sum is of integers.
///
/// One thread at a time. Segments handed to `add` are borrowed until [#run] returns. Memory grows to the largest batch
/// seen, up to a bound, and is then reused; `close()` frees it.
public final class ExpertEngine implements AutoCloseable {
    /// Memory for the inner results of one pass; a larger batch takes several passes over the weights.
    private static final long PASS_BYTES = 64L << 20;

    /// Multiply-adds below which handing work to other threads costs more than it saves.
    private static final long INLINE_WORK = 1 << 20;

    /// Routes that one task of an elementwise stage handles.
    private static final int CHUNK = 16;

    private final ExpertStore store;
    private final Kernels kernels;
    private final ComputePool pool;
    private final int fractionBits;
    private final int hidden;
    private final int intermediate;
    private final int experts;
    private final boolean quantized;
    private final int rowBytes; // of a gathered row
    private final int maxPassRoutes;

    // The batch, in the order of `add`.
    private int layer;
    private int jobs;
    private Job[] jobList = new Job[0];
    private int rows;
    private int[] rowJob = new int[64];
    private int[] rowInJob = new int[64];
    private int[] rowRoutes = new int[65]; // first route of each row, and the end
    private int routes;
    private int[] routeExpert = new int[256];
    private float[] routeWeight = new float[256];
    private int[] routeRow = new int[256];
    private int[] routePosition =
            new int[256]; // place among the routes sorted by expert, within the pass

    // One pass over the rows passBegin to passEnd - 1.
    private int passFirstRow;
    private int passFirstRoute;
    private int passRoutes;
    private final int[] segmentCount; // [experts], routes of each expert, then their next place
    private final int[] segmentExpert; // [experts], the experts that have routes, ascending
    private final int[] segmentBegin; // [experts + 1], their first position
    private int segments;
    private boolean quantizedInner; // whether a down projection of the pass takes int8 rows
    private int tiles;
    private int[] positionRoute = new int[256];
    private long weightBytes;

    private final Scratch scratch = new Scratch();
    private MemorySegment x = MemorySegment.NULL; // [routes, hidden] f32, or int8
    private MemorySegment xScales = MemorySegment.NULL; // [routes, hidden / 32]
    private MemorySegment gateUp = MemorySegment.NULL; // [routes, 2 intermediate]
    private MemorySegment inner = MemorySegment.NULL; // [routes, intermediate]
    private MemorySegment innerQ = MemorySegment.NULL; // [routes, intermediate] int8
    private MemorySegment innerScales = MemorySegment.NULL; // [routes, intermediate / 32]
    private MemorySegment y = MemorySegment.NULL; // [routes, hidden]

    // Made once, so that a dispatch allocates no lambda.
    private final IntConsumer gatherStage = this::gather;
    private final IntConsumer gateUpStage = this::multiplyGateUp;
    private final IntConsumer activationStage = this::activate;
    private final IntConsumer downStage = this::multiplyDown;
    private final IntConsumer combineStage = this::combine;

    /// Rows of one `add`. Reused from batch to batch.
    private static final class Job {
        private MemorySegment x = MemorySegment.NULL;
        private MemorySegment scales = MemorySegment.NULL;
        private boolean floats;
        private MemorySegment sums = MemorySegment.NULL;
        private volatile boolean failed;

        void release() {
            x = MemorySegment.NULL;
            scales = MemorySegment.NULL;
            sums = MemorySegment.NULL;
        }
    }

    /// @param fractionBits binary digits behind the point of the sums
    public ExpertEngine(ExpertStore store, Kernels kernels, ComputePool pool, int fractionBits) {
        this(store, kernels, pool, fractionBits, PASS_BYTES);
    }

    ExpertEngine(
            ExpertStore store,
            Kernels kernels,
            ComputePool pool,
            int fractionBits,
            long passBytes) {
        if (fractionBits < 0 || fractionBits > 40) {
            throw new IllegalArgumentException("fractionBits must be 0 to 40: " + fractionBits);
        }
        this.store = store;
        this.kernels = kernels;
        this.pool = pool;
        this.fractionBits = fractionBits;
        this.hidden = store.hidden();
        this.intermediate = store.intermediate();
        this.experts = store.shard().experts();
        this.quantized = store.takesQuantizedRows();
        this.rowBytes = quantized ? hidden : hidden * Float.BYTES;
        this.maxPassRoutes = (int) Math.max(experts, passBytes / routeBytes());
        this.segmentCount = new int[experts];
        this.segmentExpert = new int[experts];
        this.segmentBegin = new int[experts + 1];
    }

    private long routeBytes() {
        return aligned(rowBytes)
                + aligned(scaleBytes(hidden))
                + 4L * 3 * intermediate
                + aligned(intermediate)
                + aligned(scaleBytes(intermediate))
                + 4L * hidden;
    }

    private static long aligned(long bytes) {
        return (bytes + 63) & -64;
    }

    private static int scaleBytes(int cols) {
        return cols / WeightFormat.BLOCK * Float.BYTES;
    }

    /// Whether rows are best handed over as int8: see [#addQuantized].
    public boolean takesQuantizedRows() {
        return quantized;
    }

    /// Starts a batch.
    public void begin(int layer) {
        this.layer = layer;
        jobs = 0;
        rows = 0;
        routes = 0;
        weightBytes = 0;
    }

    /// Adds f32 rows with `k` routes each; they are quantised if the weights want that.
    ///
    /// @param x f32 `[rows, hidden]`
    /// @param ids int32 `[rows, k]`, all held
    /// @param weights f32 `[rows, k]`
    /// @param sums int64 `[rows, hidden]`, overwritten by [#run]
    /// @return the number of this job, for [#isFinite]
    public int addFloats(
            int rows,
            MemorySegment x,
            int k,
            MemorySegment ids,
            MemorySegment weights,
            MemorySegment sums) {
        int job = addJob(x, MemorySegment.NULL, true, sums);
        for (int row = 0; row < rows; row++) {
            addRow(job, row, row * k, row * k + k, ids, weights);
        }
        return job;
    }

    /// Adds f32 rows with their own number of routes each; they are quantised if the weights want that.
    ///
    /// @param x f32 `[rows, hidden]`
    /// @param routeOffsets int32 `[rows + 1]`: the routes of row `r` are `routeOffsets[r]` to `routeOffsets[r + 1] - 1`
    /// @param ids int32, all held
    /// @param weights f32
    /// @param sums int64 `[rows, hidden]`, overwritten by [#run]
    /// @return the number of this job, for [#isFinite]
    public int addFloats(
            int rows,
            MemorySegment x,
            MemorySegment routeOffsets,
            MemorySegment ids,
            MemorySegment weights,
            MemorySegment sums) {
        int job = addJob(x, MemorySegment.NULL, true, sums);
        addRows(job, rows, routeOffsets, ids, weights);
        return job;
    }

    /// Adds rows that are quantised already; for weights that take such rows.
    ///
    /// @param q int8 `[rows, hidden]`
    /// @param scales f32 `[rows, hidden / 32]`
    /// @param routeOffsets int32 `[rows + 1]`
    /// @param ids int32, all held
    /// @param weights f32
    /// @param sums int64 `[rows, hidden]`, overwritten by [#run]
    /// @return the number of this job, for [#isFinite]
    public int addQuantized(
            int rows,
            MemorySegment q,
            MemorySegment scales,
            MemorySegment routeOffsets,
            MemorySegment ids,
            MemorySegment weights,
            MemorySegment sums) {
        if (!quantized) {
            throw new IllegalStateException("the weights take f32 rows");
        }
        int job = addJob(q, scales, false, sums);
        addRows(job, rows, routeOffsets, ids, weights);
        return job;
    }

    private int addJob(MemorySegment x, MemorySegment scales, boolean floats, MemorySegment sums) {
        if (jobs == jobList.length) {
            jobList = Arrays.copyOf(jobList, 2 * jobs + 4);
            for (int i = jobs; i < jobList.length; i++) {
                jobList[i] = new Job();
            }
        }
        Job job = jobList[jobs];
        job.x = x;
        job.scales = scales;
        job.floats = floats;
        job.sums = sums;
        job.failed = false;
        return jobs++;
    }

    private void addRows(
            int job,
            int count,
            MemorySegment routeOffsets,
            MemorySegment ids,
            MemorySegment weights) {
        for (int row = 0; row < count; row++) {
            int begin = routeOffsets.getAtIndex(JAVA_INT, row);
            addRow(job, row, begin, routeOffsets.getAtIndex(JAVA_INT, row + 1), ids, weights);
        }
    }

    private void addRow(
            int job, int row, int begin, int end, MemorySegment ids, MemorySegment weights) {
        if (rows + 1 == rowRoutes.length) {
            rowJob = Arrays.copyOf(rowJob, 2 * rows + 2);
            rowInJob = Arrays.copyOf(rowInJob, 2 * rows + 2);
            rowRoutes = Arrays.copyOf(rowRoutes, 2 * rows + 3);
        }
        if (routes + end - begin > routeExpert.length) {
            int size = 2 * (routes + end - begin);
            routeExpert = Arrays.copyOf(routeExpert, size);
            routeWeight = Arrays.copyOf(routeWeight, size);
            routeRow = Arrays.copyOf(routeRow, size);
            routePosition = Arrays.copyOf(routePosition, size);
        }
        for (int i = begin; i < end; i++) {
            int expert = ids.getAtIndex(JAVA_INT, i);
            if (!store.shard().holds(layer, expert)) {
                throw new IllegalArgumentException(
                        "layer=" + layer + " expert=" + expert + " is not held");
            }
            routeExpert[routes] = expert;
            routeWeight[routes] = weights.getAtIndex(JAVA_FLOAT, i);
            routeRow[routes] = rows;
            routes++;
        }
        rowJob[rows] = job;
        rowInJob[rows] = row;
        rows++;
        rowRoutes[rows] = routes;
    }

    /// Computes the sums of everything added.
    public void run() {
        int row = 0;
        while (row < rows) {
            int first = row;
            row++;
            while (row < rows && rowRoutes[row + 1] - rowRoutes[first] <= maxPassRoutes) {
                row++;
            }
            pass(first, row);
        }
        for (int i = 0; i < jobs; i++) {
            jobList[i].release();
        }
    }

    /// Whether every product of a job fitted the grid. If not, its sums are undefined.
    public boolean isFinite(int job) {
        return !jobList[job].failed;
    }

    /// Bytes of weights that the last batch read, each pass counted.
    public long weightBytes() {
        return weightBytes;
    }

    private void pass(int firstRow, int endRow) {
        passFirstRow = firstRow;
        passFirstRoute = rowRoutes[firstRow];
        passRoutes = rowRoutes[endRow] - passFirstRoute;
        sortByExpert();
        carve();
        long work = 3L * passRoutes * intermediate * hidden;
        boolean inline = work < INLINE_WORK;
        // Few experts are cut into runs of outputs, so that no thread is without work.
        tiles = inline || segments == 0 ? 1 : Math.ceilDiv(4 * pool.threads(), segments);
        int chunks = Math.ceilDiv(passRoutes, CHUNK);
        stage(inline, chunks, gatherStage);
        stage(inline, segments * tiles, gateUpStage);
        stage(inline, chunks, activationStage);
        stage(inline, segments * tiles, downStage);
        stage(inline, endRow - firstRow, combineStage);
    }

    private void stage(boolean inline, int tasks, IntConsumer work) {
        if (inline) {
            for (int i = 0; i < tasks; i++) {
                work.accept(i);
            }
        } else {
            pool.run(tasks, work);
        }
    }

    /// A counting sort of the pass's routes by expert.
    private void sortByExpert() {
        Arrays.fill(segmentCount, 0);
        for (int i = 0; i < passRoutes; i++) {
            segmentCount[routeExpert[passFirstRoute + i]]++;
        }
        segments = 0;
        quantizedInner = false;
        int position = 0;
        for (int expert = 0; expert < experts; expert++) {
            int count = segmentCount[expert];
            if (count > 0) {
                segmentExpert[segments] = expert;
                segmentBegin[segments] = position;
                segments++;
                segmentCount[expert] = position;
                position += count;
                PackedExpert weights = store.expert(layer, expert);
                quantizedInner |= weights.down().format().takesQuantizedRows();
                weightBytes += weights.bytes();
            }
        }
        segmentBegin[segments] = position;
        if (positionRoute.length < passRoutes) {
            positionRoute = new int[2 * passRoutes];
        }
        for (int i = passFirstRoute; i < passFirstRoute + passRoutes; i++) {
            int at = segmentCount[routeExpert[i]]++;
            routePosition[i] = at;
            positionRoute[at] = i;
        }
    }

    private void carve() {
        long n = passRoutes;
        long xBytes = aligned(n * rowBytes);
        long xScaleBytes = quantized ? aligned(n * scaleBytes(hidden)) : 0;
        long gateUpBytes = aligned(n * 2 * intermediate * Float.BYTES);
        long innerBytes = aligned(n * intermediate * Float.BYTES);
        long innerQBytes = quantizedInner ? aligned(n * intermediate) : 0;
        long innerScaleBytes = quantizedInner ? aligned(n * scaleBytes(intermediate)) : 0;
        long yBytes = aligned(n * hidden * Float.BYTES);
        MemorySegment memory =
                scratch.atLeast(
                        xBytes
                                + xScaleBytes
                                + gateUpBytes
                                + innerBytes
                                + innerQBytes
                                + innerScaleBytes
                                + yBytes);
        long at = 0;
        x = memory.asSlice(at, xBytes);
        at += xBytes;
        xScales = memory.asSlice(at, xScaleBytes);
        at += xScaleBytes;
        gateUp = memory.asSlice(at, gateUpBytes);
        at += gateUpBytes;
        inner = memory.asSlice(at, innerBytes);
        at += innerBytes;
        innerQ = memory.asSlice(at, innerQBytes);
        at += innerQBytes;
        innerScales = memory.asSlice(at, innerScaleBytes);
        at += innerScaleBytes;
        y = memory.asSlice(at, yBytes);
    }

    /// Brings the rows of each expert next to each other.
    private void gather(int chunk) {
        int end = Math.min(passRoutes, (chunk + 1) * CHUNK);
        for (int position = chunk * CHUNK; position < end; position++) {
            int row = routeRow[positionRoute[position]];
            Job job = jobList[rowJob[row]];
            long source = rowInJob[row];
            if (quantized && job.floats) {
                kernels.quantizeRows(
                        job.x.asSlice(source * hidden * Float.BYTES),
                        1,
                        hidden,
                        x.asSlice((long) position * hidden),
                        xScales.asSlice((long) position * scaleBytes(hidden)));
            } else {
                MemorySegment.copy(
                        job.x, source * rowBytes, x, (long) position * rowBytes, rowBytes);
                if (quantized) {
                    int bytes = scaleBytes(hidden);
                    MemorySegment.copy(
                            job.scales, source * bytes, xScales, (long) position * bytes, bytes);
                }
            }
        }
    }

    private void multiplyGateUp(int task) {
        int segment = task / tiles;
        PackedExpert expert = store.expert(layer, segmentExpert[segment]);
        multiply(expert.gate(), segment, task % tiles, x, x, xScales, gateUp, 2 * intermediate);
        multiply(
                expert.up(),
                segment,
                task % tiles,
                x,
                x,
                xScales,
                gateUp.asSlice((long) intermediate * Float.BYTES),
                2 * intermediate);
    }

    private void activate(int chunk) {
        int begin = chunk * CHUNK;
        int count = Math.min(passRoutes - begin, CHUNK);
        MemorySegment activated = inner.asSlice((long) begin * intermediate * Float.BYTES);
        kernels.swiGlu(
                gateUp.asSlice((long) begin * 2 * intermediate * Float.BYTES),
                activated,
                count,
                intermediate);
        if (quantizedInner) {
            kernels.quantizeRows(
                    activated,
                    count,
                    intermediate,
                    innerQ.asSlice((long) begin * intermediate),
                    innerScales.asSlice((long) begin * scaleBytes(intermediate)));
        }
    }

    private void multiplyDown(int task) {
        int segment = task / tiles;
        PackedMatrix down = store.expert(layer, segmentExpert[segment]).down();
        multiply(down, segment, task % tiles, inner, innerQ, innerScales, y, hidden);
    }

    /// One tile of outputs of one expert, for all rows that chose it.
    ///
    /// @param floats the rows, for weights that take f32
    /// @param q the rows, for weights that take int8
    /// @param stride floats from one row of `out` to the next
    private void multiply(
            PackedMatrix w,
            int segment,
            int tile,
            MemorySegment floats,
            MemorySegment q,
            MemorySegment scales,
            MemorySegment out,
            int stride) {
        int groupBegin = (int) ((long) w.groups() * tile / tiles);
        int groupEnd = (int) ((long) w.groups() * (tile + 1) / tiles);
        if (groupBegin == groupEnd) {
            return;
        }
        long begin = segmentBegin[segment];
        int count = segmentBegin[segment + 1] - segmentBegin[segment];
        MemorySegment to = out.asSlice(begin * stride * Float.BYTES);
        if (w.format().takesQuantizedRows()) {
            kernels.matMulQuantized(
                    w,
                    q.asSlice(begin * w.cols()),
                    scales.asSlice(begin * scaleBytes(w.cols())),
                    count,
                    to,
                    stride,
                    groupBegin,
                    groupEnd);
        } else {
            MemorySegment from = floats.asSlice(begin * w.cols() * Float.BYTES);
            kernels.matMul(w, from, count, to, stride, groupBegin, groupEnd);
        }
    }

    private void combine(int index) {
        int row = passFirstRow + index;
        Job job = jobList[rowJob[row]];
        long bytes = (long) hidden * Long.BYTES;
        MemorySegment sum = job.sums.asSlice(rowInJob[row] * bytes, bytes);
        sum.fill((byte) 0);
        for (int route = rowRoutes[row]; route < rowRoutes[row + 1]; route++) {
            MemorySegment output = y.asSlice((long) routePosition[route] * hidden * Float.BYTES);
            if (!kernels.combineAdd(output, routeWeight[route], sum, hidden, fractionBits)) {
                job.failed = true;
                return;
            }
        }
    }

    @Override
    public void close() {
        scratch.close();
    }
}
