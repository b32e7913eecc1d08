package io.atoll.expert.batch;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.atoll.expert.batch.Routes.Job;
import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.store.PackedExpert;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.kernels.cuda.CudaDevice;
import io.atoll.kernels.cuda.DeviceMemory;
import io.atoll.kernels.cuda.ExpertKernels;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntPredicate;

/// The experts that lie in the memory of one GPU, and a batch of rows for them.
///
/// Rows go in with one copy and sums come out with one. In between there are two launches for each pair of formats: gate, up, SiLU and
/// rounding of all experts that have routes, then down and the combine.
///
/// Owns the device, and so all that lies on it. Memory for a batch grows to the largest one seen.
final class DeviceExperts implements AutoCloseable {
    private static final long ALIGNMENT = 256;

    private final CudaDevice device;
    private final ExpertKernels compute;
    private final ExpertStore store;
    private final Kernels kernels;
    private final int fractionBits;
    private final int hidden;
    private final int intermediate;
    private final boolean quantized;
    private final long[] gates; // [layers * experts], addresses, 0 where not held
    private final long[] ups;
    private final long[] downs;
    private final Routes routes;
    private final List<Launch> launches = new ArrayList<>();
    private int held;
    private long heldBytes;

    // Buffers of a batch.
    private CudaDevice.Pinned inPinned;
    private DeviceMemory in;
    private DeviceMemory inner;
    private CudaDevice.Pinned outPinned;
    private DeviceMemory out;

    private int layer;
    private ExpertKernels.Job job; // of the last batch
    private long weightBytes;
    private long failedAt; // in `out`

    /// Items of one launch.
    private record Launch(
            WeightFormat gate, WeightFormat down, boolean many, int firstItem, int items) {}

    /// @param device is closed with this
    DeviceExperts(CudaDevice device, ExpertStore store, Kernels kernels, int fractionBits) {
        this.device = device;
        this.compute = new ExpertKernels(device);
        this.store = store;
        this.kernels = kernels;
        this.fractionBits = fractionBits;
        hidden = store.hidden();
        intermediate = store.intermediate();
        quantized = store.takesQuantizedRows();
        int all = store.shard().layers() * store.shard().experts();
        gates = new long[all];
        ups = new long[all];
        downs = new long[all];
        routes = new Routes(store.shard().experts());
        inPinned = device.pin(ALIGNMENT);
        in = device.allocate(ALIGNMENT);
        inner = device.allocate(ALIGNMENT);
        outPinned = device.pin(ALIGNMENT);
        out = device.allocate(ALIGNMENT);
    }

    CudaDevice device() {
        return device;
    }

    /// Experts on the device.
    int held() {
        return held;
    }

    /// Bytes of their weights.
    long heldBytes() {
        return heldBytes;
    }

    boolean holds(int inLayer, int expert) {
        return gates[index(inLayer, expert)] != 0;
    }

    private int index(int inLayer, int expert) {
        return inLayer * store.shard().experts() + expert;
    }

    /// Copies an expert's weights to the device.
    void load(int inLayer, int expert) {
        PackedExpert weights = store.expert(inLayer, expert);
        DeviceMemory memory = device.allocate(bytes(weights));
        long at = 0;
        long[][] addresses = {gates, ups, downs};
        PackedMatrix[] matrices = {weights.gate(), weights.up(), weights.down()};
        for (int i = 0; i < matrices.length; i++) {
            device.copyIn(matrices[i].data(), memory, at);
            addresses[i][index(inLayer, expert)] = memory.address() + at;
            at += aligned(matrices[i].data().byteSize());
        }
        held++;
        heldBytes += weights.bytes();
    }

    /// Bytes that an expert takes on a device.
    static long bytes(PackedExpert expert) {
        return aligned(expert.gate().data().byteSize())
                + aligned(expert.up().data().byteSize())
                + aligned(expert.down().data().byteSize());
    }

    private static long aligned(long bytes) {
        return Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT;
    }

    /// Starts a batch.
    void begin(int newLayer) {
        layer = newLayer;
        routes.clear();
        weightBytes = 0;
    }

    /// Adds rows with those of their routes that go to this device.
    ///
    /// @param x f32 or int8 `[rows, hidden]`
    /// @param scales f32 `[rows, hidden / 32]` of int8 rows
    void add(
            int rows,
            MemorySegment x,
            MemorySegment scales,
            boolean floats,
            MemorySegment routeOffsets,
            MemorySegment ids,
            MemorySegment weights,
            MemorySegment sums) {
        IntPredicate mine = expert -> holds(layer, expert);
        int added = routes.addJob(x, scales, floats, sums);
        for (int row = 0; row < rows; row++) {
            int begin = routeOffsets.getAtIndex(JAVA_INT, row);
            int end = routeOffsets.getAtIndex(JAVA_INT, row + 1);
            routes.addRow(added, row, begin, end, ids, weights, mine);
        }
    }

    /// Begins to compute the batch.
    void launch() {
        int rows = routes.rows();
        routes.sort(0, rows);
        int count = routes.firstRoute(rows);
        launches.clear();
        if (count == 0) {
            return;
        }
        device.enter();
        int items = plan();
        long rowOfAt = aligned((long) items * ExpertKernels.ITEM_BYTES);
        long weightOfAt = rowOfAt + aligned(4L * count);
        long xAt = weightOfAt + aligned(4L * count);
        long xBytes = aligned((long) rows * hidden * (quantized ? 1 : Float.BYTES));
        long scalesAt = xAt + xBytes;
        long inBytes = scalesAt + (quantized ? aligned(rowScaleBytes(hidden) * rows) : 0);
        long innerScalesAt = aligned((long) count * intermediate);
        long innerFloatsAt = innerScalesAt + aligned(rowScaleBytes(intermediate) * count);
        long innerBytes = innerFloatsAt + (long) count * intermediate * Float.BYTES;
        failedAt = aligned((long) rows * hidden * Long.BYTES);
        long outBytes = failedAt + 4L * rows;
        grow(inBytes, innerBytes, outBytes);

        MemorySegment staged = inPinned.segment();
        putItems(staged.asSlice(0, rowOfAt).asByteBuffer().order(ByteOrder.LITTLE_ENDIAN));
        for (int position = 0; position < count; position++) {
            staged.set(JAVA_INT, rowOfAt + 4L * position, routes.rowAt(position));
            staged.set(JAVA_FLOAT, weightOfAt + 4L * position, routes.weightAt(position));
        }
        for (int row = 0; row < rows; row++) {
            stage(row, staged, xAt, scalesAt);
        }
        device.copyIn(inPinned, in, inBytes);
        device.zero(out, outBytes);
        job =
                new ExpertKernels.Job(
                        in.address(),
                        in.address() + rowOfAt,
                        in.address() + weightOfAt,
                        in.address() + xAt,
                        in.address() + scalesAt,
                        in.address() + xAt,
                        inner.address(),
                        inner.address() + innerScalesAt,
                        inner.address() + innerFloatsAt,
                        out.address(),
                        out.address() + failedAt,
                        hidden,
                        intermediate,
                        fractionBits);
        launchInner();
        launchOuter();
        device.copyOut(out, outPinned, outBytes);
    }

    /// Single rows beside many: neither fills the device alone.
    private void launchInner() {
        device.together(() -> launchInner(true), () -> launchInner(false));
    }

    private void launchInner(boolean many) {
        for (Launch each : launches) {
            if (each.many() == many) {
                boolean rounds = each.down().takesQuantizedRows();
                compute.inner(each.gate(), rounds, many, job, each.firstItem(), each.items());
            }
        }
    }

    private void launchOuter() {
        device.together(() -> launchOuter(true), () -> launchOuter(false));
    }

    private void launchOuter(boolean many) {
        for (Launch each : launches) {
            if (each.many() == many) {
                compute.outer(each.down(), many, job, each.firstItem(), each.items());
            }
        }
    }

    /// Milliseconds that the device takes for the kernels of the last batch, gate and up, then down; the medians of several runs.
    float[] time(int runs) {
        device.enter();
        return new float[] {median(runs, this::launchInner), median(runs, this::launchOuter)};
    }

    private float median(int runs, Runnable work) {
        float[] millis = new float[runs];
        for (int i = 0; i < runs; i++) {
            millis[i] = device.time(work);
        }
        Arrays.sort(millis);
        return millis[runs / 2];
    }

    private static long rowScaleBytes(int cols) {
        return (long) cols / WeightFormat.BLOCK * Float.BYTES;
    }

    /// Brings a row into the memory that is copied.
    private void stage(int row, MemorySegment staged, long xAt, long scalesAt) {
        if (routes.firstRoute(row) == routes.firstRoute(row + 1)) {
            return;
        }
        Job from = routes.jobOf(row);
        long source = routes.inJob(row);
        long bytes = quantized ? hidden : (long) hidden * Float.BYTES;
        long scaleBytes = rowScaleBytes(hidden);
        if (quantized && from.floats) {
            kernels.quantizeRows(
                    from.x.asSlice(source * hidden * Float.BYTES),
                    1,
                    hidden,
                    staged.asSlice(xAt + row * bytes),
                    staged.asSlice(scalesAt + row * scaleBytes));
            return;
        }
        MemorySegment.copy(from.x, source * bytes, staged, xAt + row * bytes, bytes);
        if (quantized) {
            long to = scalesAt + row * scaleBytes;
            MemorySegment.copy(from.scales, source * scaleBytes, staged, to, scaleBytes);
        }
    }

    /// Cuts the routes of each expert into items, and says which items are launched together: those of the same formats, and of those
    /// the ones of single rows apart.
    ///
    /// @return how many items there are
    private int plan() {
        int items = 0;
        for (int segment = 0; segment < routes.segments(); segment++) {
            PackedExpert expert = store.expert(layer, routes.expert(segment));
            weightBytes += expert.bytes();
            WeightFormat gate = expert.gate().format();
            WeightFormat down = expert.down().format();
            if (launches.stream().noneMatch(l -> l.gate() == gate && l.down() == down)) {
                launches.add(new Launch(gate, down, true, 0, 0));
                launches.add(new Launch(gate, down, false, 0, 0));
            }
        }
        for (int i = 0; i < launches.size(); i++) {
            Launch launch = launches.get(i);
            int count = 0;
            for (int segment = 0; segment < routes.segments(); segment++) {
                count += isOf(launch, segment) ? itemsOf(launch, segment) : 0;
            }
            launches.set(i, new Launch(launch.gate(), launch.down(), launch.many(), items, count));
            items += count;
        }
        launches.removeIf(launch -> launch.items() == 0);
        return items;
    }

    private boolean isOf(Launch launch, int segment) {
        PackedExpert expert = store.expert(layer, routes.expert(segment));
        return expert.gate().format() == launch.gate() && expert.down().format() == launch.down();
    }

    private int itemsOf(Launch launch, int segment) {
        int rows = routes.begin(segment + 1) - routes.begin(segment);
        int rest = rows % ExpertKernels.MANY;
        int single = rest == 1 ? 1 : 0;
        return launch.many() ? Math.ceilDiv(rows - single, ExpertKernels.MANY) : single;
    }

    private void putItems(ByteBuffer to) {
        for (Launch launch : launches) {
            for (int segment = 0; segment < routes.segments(); segment++) {
                if (!isOf(launch, segment)) {
                    continue;
                }
                int index = index(layer, routes.expert(segment));
                int end = routes.begin(segment + 1);
                int many = itemsOf(launch, segment);
                for (int i = 0; i < many; i++) {
                    int first =
                            launch.many()
                                    ? routes.begin(segment) + i * ExpertKernels.MANY
                                    : end - 1;
                    int count = launch.many() ? Math.min(ExpertKernels.MANY, end - first) : 1;
                    ExpertKernels.putItem(to, gates[index], ups[index], downs[index], first, count);
                }
            }
        }
    }

    private void grow(long inBytes, long innerBytes, long outBytes) {
        if (in.bytes() < inBytes) {
            device.free(in);
            device.unpin(inPinned);
            in = device.allocate(2 * inBytes);
            inPinned = device.pin(2 * inBytes);
        }
        if (inner.bytes() < innerBytes) {
            device.free(inner);
            inner = device.allocate(2 * innerBytes);
        }
        if (out.bytes() < outBytes) {
            device.free(out);
            device.unpin(outPinned);
            out = device.allocate(2 * outBytes);
            outPinned = device.pin(2 * outBytes);
        }
    }

    /// Waits for the batch, and adds its sums to those that there are.
    void finish() {
        if (!launches.isEmpty()) {
            device.enter();
            device.await();
            MemorySegment sums = outPinned.segment();
            for (int row = 0; row < routes.rows(); row++) {
                if (routes.firstRoute(row) < routes.firstRoute(row + 1)) {
                    take(row, sums);
                }
            }
        }
    }

    private void take(int row, MemorySegment sums) {
        Job of = routes.jobOf(row);
        of.failed |= sums.get(JAVA_INT, failedAt + 4L * row) != 0;
        long from = (long) row * hidden;
        long to = (long) routes.inJob(row) * hidden;
        for (int i = 0; i < hidden; i++) {
            long sum = of.sums.getAtIndex(JAVA_LONG, to + i);
            of.sums.setAtIndex(JAVA_LONG, to + i, sum + sums.getAtIndex(JAVA_LONG, from + i));
        }
    }

    /// Whether every product of a job that was computed here fitted the grid.
    boolean isFinite(int job) {
        return !routes.job(job).failed;
    }

    /// Lets go of the callers' memory.
    void release() {
        routes.release();
    }

    /// Bytes of weights that the last batch read.
    long weightBytes() {
        return weightBytes;
    }

    @Override
    public void close() {
        device.close();
    }
}
