package io.atoll.expert.batch;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.atoll.expert.batch.Routes.Job;
import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.store.PackedExpert;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.MemorySegment;
import java.util.function.IntConsumer;

/// Runs routed experts on the CPU.
///
/// All rows that chose the same expert go through it
/// together, so its weights are read once. A row's sum depends on the row and its routes alone: kernels treat rows apart, and
/// the sum is of integers.
///
/// A pass has three stages with a barrier of the pool between them: rows are quantised and brought next to those of the same
/// expert (on the calling thread if they are few); inner outputs of each expert, gate, up, SiLU and rounding in one task;
/// outputs of the sums, in one task the down projections of all experts and the combine.
///
/// One thread at a time. Segments handed to `add` are borrowed until [#run] returns. Memory grows to the largest batch
/// seen, up to a bound, and is then reused; `close()` frees it.
public final class ExpertEngine implements ExpertCompute {
    /// Memory for the inner results of one pass; a larger batch takes several passes over the weights.
    private static final long PASS_BYTES = 64L << 20;

    /// Multiply-adds below which handing work to other threads costs more than it saves.
    private static final long INLINE_WORK = 1 << 20;

    /// Rows below which the calling thread prepares them itself, and rows that one task prepares.
    private static final int INLINE_ROWS = 8;

    private static final int CHUNK = 4;

    /// Tasks of a stage for each thread: one that comes late costs a part of a task.
    private static final int TASKS_PER_THREAD = 8;

    /// The same for few rows, which wait for the memory: a task begins before the memory's prefetchers have noticed, so many small
    /// ones are slower (docs/benchmarks.md).
    private static final int TASKS_PER_THREAD_OF_FEW = 2;

    /// Rows of an expert that a task takes at a time, so that what it makes stays in the cache.
    private static final int TASK_ROWS = 128;

    private final ExpertStore store;
    private final Kernels kernels;
    private final ComputePool pool;
    private final int fractionBits;
    private final Share share;
    private final int hidden;
    private final int intermediate;
    private final boolean quantized;
    private final int rowBytes; // of a gathered row
    private final int maxPassRoutes;
    private final Routes routes;
    private final Scratch scratch = new Scratch();
    private int layer;
    private long weightBytes;

    // One pass over some rows.
    private int firstRow;
    private int endRow;
    private int innerTiles; // cuts of an expert's inner outputs
    private int outputTiles; // cuts of the sums
    private MemorySegment x = MemorySegment.NULL; // [routes, hidden] f32, or int8
    private MemorySegment xScales = MemorySegment.NULL; // [routes, hidden / 32]
    private MemorySegment inner = MemorySegment.NULL; // [routes, intermediate]
    private MemorySegment innerQ = MemorySegment.NULL; // [routes, intermediate] int8
    private MemorySegment innerScales = MemorySegment.NULL; // [routes, intermediate / 32]
    private MemorySegment slots = MemorySegment.NULL; // [threads, slotBytes], for each its own
    private long slotBytes;

    // Made once, so that a dispatch allocates no lambda.
    private final IntConsumer prepareStage = this::prepareChunk;
    private final IntConsumer innerStage = this::computeInner;
    private final IntConsumer outputStage = this::computeOutputs;

    /// @param fractionBits binary digits behind the point of the sums
    public ExpertEngine(ExpertStore store, Kernels kernels, ComputePool pool, int fractionBits) {
        this(store, kernels, pool, fractionBits, Share.ALL);
    }

    /// @param share the experts to compute here; routes to others are left out
    ExpertEngine(
            ExpertStore store, Kernels kernels, ComputePool pool, int fractionBits, Share share) {
        this(store, kernels, pool, fractionBits, share, PASS_BYTES);
    }

    ExpertEngine(
            ExpertStore store,
            Kernels kernels,
            ComputePool pool,
            int fractionBits,
            long passBytes) {
        this(store, kernels, pool, fractionBits, Share.ALL, passBytes);
    }

    private ExpertEngine(
            ExpertStore store,
            Kernels kernels,
            ComputePool pool,
            int fractionBits,
            Share share,
            long passBytes) {
        if (fractionBits < 0 || fractionBits > 40) {
            throw new IllegalArgumentException("fractionBits must be 0 to 40: " + fractionBits);
        }
        this.store = store;
        this.kernels = kernels;
        this.pool = pool;
        this.fractionBits = fractionBits;
        this.share = share;
        this.hidden = store.hidden();
        this.intermediate = store.intermediate();
        this.quantized = store.takesQuantizedRows();
        this.rowBytes = quantized ? hidden : hidden * Float.BYTES;
        int experts = store.shard().experts();
        this.maxPassRoutes = (int) Math.max(experts, passBytes / routeBytes());
        this.routes = new Routes(experts);
    }

    /// Some of the experts.
    interface Share {
        Share ALL = (_, _) -> true;

        boolean has(int layer, int expert);
    }

    private long routeBytes() {
        return aligned(rowBytes)
                + aligned(scaleBytes(hidden))
                + 4L * intermediate
                + aligned(intermediate)
                + aligned(scaleBytes(intermediate));
    }

    private static long aligned(long bytes) {
        return (bytes + 63) & -64;
    }

    private static int scaleBytes(int cols) {
        return cols / WeightFormat.BLOCK * Float.BYTES;
    }

    @Override
    public boolean takesQuantizedRows() {
        return quantized;
    }

    @Override
    public void begin(int newLayer) {
        layer = newLayer;
        routes.clear();
        weightBytes = 0;
    }

    /// Adds f32 rows with `k` routes each; they are quantised if the weights want that.
    ///
    /// @param rowsOfX f32 `[rows, hidden]`
    /// @param ids int32 `[rows, k]`, all held
    /// @param weights f32 `[rows, k]`
    /// @param sums int64 `[rows, hidden]`, overwritten by [#run]
    /// @return the number of this job, for [#isFinite]
    public int addFloats(
            int rows,
            MemorySegment rowsOfX,
            int k,
            MemorySegment ids,
            MemorySegment weights,
            MemorySegment sums) {
        int job = routes.addJob(rowsOfX, MemorySegment.NULL, true, sums);
        for (int row = 0; row < rows; row++) {
            addRow(job, row, row * k, row * k + k, ids, weights);
        }
        return job;
    }

    @Override
    public int addFloats(
            int rows,
            MemorySegment rowsOfX,
            MemorySegment routeOffsets,
            MemorySegment ids,
            MemorySegment weights,
            MemorySegment sums) {
        int job = routes.addJob(rowsOfX, MemorySegment.NULL, true, sums);
        addRows(job, rows, routeOffsets, ids, weights);
        return job;
    }

    @Override
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
        int job = routes.addJob(q, scales, false, sums);
        addRows(job, rows, routeOffsets, ids, weights);
        return job;
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
        for (int i = begin; i < end; i++) {
            int expert = ids.getAtIndex(JAVA_INT, i);
            if (!store.shard().holds(layer, expert)) {
                throw new IllegalArgumentException(
                        "layer=" + layer + " expert=" + expert + " is not held");
            }
        }
        routes.addRow(job, row, begin, end, ids, weights, expert -> share.has(layer, expert));
    }

    @Override
    public void run() {
        int row = 0;
        while (row < routes.rows()) {
            firstRow = row;
            row++;
            while (row < routes.rows()
                    && routes.firstRoute(row + 1) - routes.firstRoute(firstRow) <= maxPassRoutes) {
                row++;
            }
            endRow = row;
            pass();
        }
        routes.release();
    }

    @Override
    public boolean isFinite(int job) {
        return !routes.job(job).failed;
    }

    /// Each pass is counted.
    @Override
    public long weightBytes() {
        return weightBytes;
    }

    private void pass() {
        routes.sort(firstRow, endRow);
        int passRoutes = routes.firstRoute(endRow) - routes.firstRoute(firstRow);
        boolean inline = 3L * passRoutes * intermediate * hidden < INLINE_WORK;
        int rows = endRow - firstRow;
        int perThread = rows < INLINE_ROWS ? TASKS_PER_THREAD_OF_FEW : TASKS_PER_THREAD;
        int wanted = inline ? 1 : perThread * pool.threads();
        innerTiles =
                Math.clamp(
                        Math.ceilDiv(wanted, Math.max(1, routes.segments())),
                        1,
                        Math.ceilDiv(intermediate, WeightFormat.BLOCK));
        outputTiles = Math.min(wanted, Math.ceilDiv(hidden, WeightFormat.GROUP));
        carve(passRoutes);
        stage(inline || rows < INLINE_ROWS, Math.ceilDiv(rows, CHUNK), prepareStage);
        stage(inline, routes.segments() * innerTiles, innerStage);
        stage(inline, outputTiles, outputStage);
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

    private void carve(int passRoutes) {
        boolean floatInner = false;
        boolean quantizedInner = false;
        int mostRows = 0;
        for (int segment = 0; segment < routes.segments(); segment++) {
            PackedExpert expert = store.expert(layer, routes.expert(segment));
            boolean bytes = expert.down().format().takesQuantizedRows();
            quantizedInner |= bytes;
            floatInner |= !bytes;
            weightBytes += expert.bytes();
            mostRows = Math.max(mostRows, routes.begin(segment + 1) - routes.begin(segment));
        }
        long n = passRoutes;
        long xBytes = aligned(n * rowBytes);
        long xScaleBytes = quantized ? aligned(n * scaleBytes(hidden)) : 0;
        long innerBytes = floatInner ? aligned(n * intermediate * Float.BYTES) : 0;
        long innerQBytes = quantizedInner ? aligned(n * intermediate) : 0;
        long innerScaleBytes = quantizedInner ? aligned(n * scaleBytes(intermediate)) : 0;
        slotBytes = slotBytes(Math.min(mostRows, TASK_ROWS));
        MemorySegment memory =
                scratch.atLeast(
                        xBytes
                                + xScaleBytes
                                + innerBytes
                                + innerQBytes
                                + innerScaleBytes
                                + slotBytes * pool.threads());
        long at = 0;
        x = memory.asSlice(at, xBytes);
        at += xBytes;
        xScales = memory.asSlice(at, xScaleBytes);
        at += xScaleBytes;
        inner = memory.asSlice(at, innerBytes);
        at += innerBytes;
        innerQ = memory.asSlice(at, innerQBytes);
        at += innerQBytes;
        innerScales = memory.asSlice(at, innerScaleBytes);
        at += innerScaleBytes;
        slots = memory.asSlice(at, slotBytes * pool.threads());
    }

    /// What a task makes of `rows` rows and passes on at once: gate and up, and then the activated row; or its part of the outputs.
    /// A product writes output `o` at float `o`, so before a tile there is room for the outputs that are not its own.
    private long slotBytes(int rows) {
        long innerCols = tileEnd(0, innerTiles, intermediate, WeightFormat.BLOCK);
        long outputCols = tileEnd(0, outputTiles, hidden, WeightFormat.GROUP);
        long innerFloats = intermediate + 2L * rows * innerCols + innerCols;
        long outputFloats = hidden + rows * outputCols;
        return aligned(Math.max(innerFloats, outputFloats) * Float.BYTES);
    }

    /// First column of a tile; tiles are whole units, and the first is the widest.
    private static int tileBegin(int tile, int tiles, int cols, int unit) {
        int units = Math.ceilDiv(cols, unit);
        return Math.min(cols, unit * Math.ceilDiv(units * tile, tiles));
    }

    private static int tileEnd(int tile, int tiles, int cols, int unit) {
        return tileBegin(tile + 1, tiles, cols, unit);
    }

    /// Offset in `slots` of the memory that is the current thread's own.
    private long slot() {
        return pool.slot() * slotBytes;
    }

    private void prepareChunk(int chunk) {
        int end = Math.min(endRow, firstRow + (chunk + 1) * CHUNK);
        for (int row = firstRow + chunk * CHUNK; row < end; row++) {
            prepare(row);
        }
    }

    /// Brings a row to its place among those of each of its experts.
    private void prepare(int row) {
        int route = routes.firstRoute(row);
        int end = routes.firstRoute(row + 1);
        if (route == end) {
            return;
        }
        Job job = routes.jobOf(row);
        long source = routes.inJob(row);
        int bytes = scaleBytes(hidden);
        long first = routes.position(route);
        if (quantized && job.floats) {
            kernels.quantizeRows(
                    job.x.asSlice(source * hidden * Float.BYTES),
                    1,
                    hidden,
                    x.asSlice(first * hidden),
                    xScales.asSlice(first * bytes));
        } else {
            MemorySegment.copy(job.x, source * rowBytes, x, first * rowBytes, rowBytes);
            if (quantized) {
                MemorySegment.copy(job.scales, source * bytes, xScales, first * bytes, bytes);
            }
        }
        for (int other = route + 1; other < end; other++) {
            long to = routes.position(other);
            MemorySegment.copy(x, first * rowBytes, x, to * rowBytes, rowBytes);
            if (quantized) {
                MemorySegment.copy(xScales, first * bytes, xScales, to * bytes, bytes);
            }
        }
    }

    /// One tile of an expert's inner outputs, for all rows that chose it.
    private void computeInner(int task) {
        int segment = task / innerTiles;
        int begin = tileBegin(task % innerTiles, innerTiles, intermediate, WeightFormat.BLOCK);
        int end = tileEnd(task % innerTiles, innerTiles, intermediate, WeightFormat.BLOCK);
        PackedExpert expert = store.expert(layer, routes.expert(segment));
        int last = routes.begin(segment + 1);
        for (int position = routes.begin(segment); position < last; position += TASK_ROWS) {
            int count = Math.min(TASK_ROWS, last - position);
            computeInner(expert, position, count, begin, end);
        }
    }

    private void computeInner(PackedExpert expert, long position, int count, int begin, int end) {
        int cols = end - begin;
        long gateUp = slot() + (long) intermediate * Float.BYTES; // [count, 2 cols]: gate, then up
        long activated = gateUp + 2L * count * cols * Float.BYTES; // [cols]
        long gate = gateUp - (long) begin * Float.BYTES;
        multiply(expert.gate(), position, x, xScales, count, gate, begin, end, 2 * cols);
        long up = gate + (long) cols * Float.BYTES;
        multiply(expert.up(), position, x, xScales, count, up, begin, end, 2 * cols);
        boolean bytes = expert.down().format().takesQuantizedRows();
        for (int row = 0; row < count; row++) {
            MemorySegment from = slots.asSlice(gateUp + 2L * row * cols * Float.BYTES);
            long to = (position + row) * intermediate + begin;
            if (bytes) {
                MemorySegment floats = slots.asSlice(activated);
                kernels.swiGlu(from, floats, 1, cols);
                kernels.quantizeRows(
                        floats,
                        1,
                        cols,
                        innerQ.asSlice(to),
                        innerScales.asSlice(to / WeightFormat.BLOCK * Float.BYTES));
            } else {
                kernels.swiGlu(from, inner.asSlice(to * Float.BYTES), 1, cols);
            }
        }
    }

    /// One tile of the sums, of all rows of the pass.
    private void computeOutputs(int tile) {
        int begin = tileBegin(tile, outputTiles, hidden, WeightFormat.GROUP);
        int end = tileEnd(tile, outputTiles, hidden, WeightFormat.GROUP);
        for (int row = firstRow; row < endRow; row++) {
            sum(row, begin, end).fill((byte) 0);
        }
        for (int segment = 0; segment < routes.segments(); segment++) {
            PackedMatrix down = store.expert(layer, routes.expert(segment)).down();
            int last = routes.begin(segment + 1);
            for (int position = routes.begin(segment); position < last; position += TASK_ROWS) {
                int count = Math.min(TASK_ROWS, last - position);
                computeOutputs(down, position, count, begin, end);
            }
        }
    }

    private void computeOutputs(PackedMatrix down, int position, int count, int begin, int end) {
        int cols = end - begin;
        long y = slot() + (long) hidden * Float.BYTES; // [count, cols]
        long shifted = y - (long) begin * Float.BYTES;
        MemorySegment from = down.format().takesQuantizedRows() ? innerQ : inner;
        multiply(down, position, from, innerScales, count, shifted, begin, end, cols);
        for (int i = 0; i < count; i++) {
            int row = routes.rowAt(position + i);
            MemorySegment outputs = slots.asSlice(y + (long) i * cols * Float.BYTES);
            float weight = routes.weightAt(position + i);
            if (!kernels.combineAdd(outputs, weight, sum(row, begin, end), cols, fractionBits)) {
                routes.jobOf(row).failed = true;
            }
        }
    }

    /// The outputs `begin` to `end - 1` of a row's sum.
    private MemorySegment sum(int row, int begin, int end) {
        long at = (long) routes.inJob(row) * hidden + begin;
        return routes.jobOf(row).sums.asSlice(at * Long.BYTES, (long) (end - begin) * Long.BYTES);
    }

    /// Products of the rows from `position` on with the outputs `begin` to `end - 1`.
    ///
    /// @param rows the pass's rows, f32 or int8 as the weights take them
    /// @param to offset in `slots` of output 0 of the first row, whether or not it is among those computed
    /// @param stride floats from the outputs of one row to those of the next
    private void multiply(
            PackedMatrix w,
            long position,
            MemorySegment rows,
            MemorySegment scales,
            int count,
            long to,
            int begin,
            int end,
            int stride) {
        int groupBegin = begin / WeightFormat.GROUP;
        int groupEnd = Math.ceilDiv(end, WeightFormat.GROUP);
        MemorySegment out = slots.asSlice(to);
        if (w.format().takesQuantizedRows()) {
            MemorySegment q = rows.asSlice(position * w.cols());
            MemorySegment rowScales = scales.asSlice(position * scaleBytes(w.cols()));
            kernels.matMulQuantized(w, q, rowScales, count, out, stride, groupBegin, groupEnd);
        } else {
            MemorySegment from = rows.asSlice(position * w.cols() * Float.BYTES);
            kernels.matMul(w, from, count, out, stride, groupBegin, groupEnd);
        }
    }

    @Override
    public void close() {
        scratch.close();
    }
}
