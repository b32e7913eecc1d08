package io.atoll.expert.batch;

import io.atoll.cluster.placement.ExpertShard.LayerRange;
import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.store.PackedExpert;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.cuda.Cuda;
import io.atoll.kernels.cuda.CudaDevice;
import io.atoll.kernels.cuda.CudaException;
import io.atoll.kernels.cuda.ExpertKernels;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Runs routed experts on GPUs, as many as fit their memory; the CPU computes the rest meanwhile. Both give the same bits, so which
/// expert lies where does not show.
///
/// The weights stay in host memory, or in the mapped pack. So when a device fails, the CPU takes its experts from the batch that saw
/// the failure on: slower, but nothing is lost and no bit changes.
public final class CudaExpertEngine implements ExpertCompute {
    private static final Logger LOG = LoggerFactory.getLogger(CudaExpertEngine.class);

    /// Device memory that is left for batches and the driver.
    private static final long RESERVED_BYTES = 1L << 30;

    private final ExpertStore store;
    private final ExpertEngine host;
    private final List<DeviceExperts> devices = new ArrayList<>();
    private final List<Job> jobs = new ArrayList<>();
    private int layer;
    private long weightBytes;

    /// Rows of one `add`.
    private record Job(
            int rows,
            MemorySegment x,
            Optional<MemorySegment> scales,
            MemorySegment routeOffsets,
            MemorySegment ids,
            MemorySegment weights,
            MemorySegment sums) {}

    /// Copies experts to the devices, layer by layer, each to the one with most room.
    ///
    /// @param kernels compute what is not on a device, and round rows
    /// @param found devices to use
    /// @throws CudaException if a device can't be opened
    public CudaExpertEngine(
            ExpertStore store,
            Kernels kernels,
            ComputePool pool,
            int fractionBits,
            List<Cuda.Device> found) {
        this.store = store;
        host = new ExpertEngine(store, kernels, pool, fractionBits, (l, e) -> !isOnDevice(l, e));
        try {
            for (Cuda.Device each : found) {
                CudaDevice opened = CudaDevice.open(each);
                devices.add(new DeviceExperts(opened, store, kernels, fractionBits));
            }
            load();
        } catch (CudaException e) {
            close();
            throw e;
        }
    }

    private void load() {
        long[] room = new long[devices.size()];
        for (int i = 0; i < room.length; i++) {
            devices.get(i).device().enter();
            room[i] = devices.get(i).device().freeBytes() - RESERVED_BYTES;
        }
        for (LayerRange range : store.shard().ranges()) {
            for (int expert = range.first(); expert <= range.last(); expert++) {
                load(range.layer(), expert, room);
            }
        }
        for (DeviceExperts each : devices) {
            LOG.info(
                    "{} holds {} of {} experts, {} MiB; the same bits as on the CPU",
                    each.device().description(),
                    each.held(),
                    store.shard().size(),
                    each.heldBytes() >> 20);
        }
    }

    private void load(int inLayer, int expert, long[] room) {
        PackedExpert weights = store.expert(inLayer, expert);
        boolean isTaken =
                ExpertKernels.takes(
                        weights.gate().format(),
                        weights.up().format(),
                        weights.down().format(),
                        store.hidden(),
                        store.intermediate());
        int most = 0;
        for (int i = 1; i < room.length; i++) {
            most = room[i] > room[most] ? i : most;
        }
        long bytes = DeviceExperts.bytes(weights);
        if (isTaken && bytes <= room[most]) {
            DeviceExperts device = devices.get(most);
            device.device().enter();
            device.load(inLayer, expert);
            room[most] -= bytes;
        }
    }

    private boolean isOnDevice(int inLayer, int expert) {
        return devices.stream().anyMatch(device -> device.holds(inLayer, expert));
    }

    /// What lies where, for people.
    public String describe() {
        if (devices.isEmpty()) {
            return "no GPU";
        }
        return devices.stream()
                .map(
                        each ->
                                String.format(
                                        Locale.ROOT,
                                        "%s with %d experts",
                                        each.device().description(),
                                        each.held()))
                .sorted(Comparator.naturalOrder())
                .reduce((one, other) -> one + "; " + other)
                .orElseThrow();
    }

    @Override
    public boolean takesQuantizedRows() {
        return host.takesQuantizedRows();
    }

    @Override
    public void begin(int newLayer) {
        layer = newLayer;
        jobs.clear();
    }

    @Override
    public int addFloats(
            int rows,
            MemorySegment x,
            MemorySegment routeOffsets,
            MemorySegment ids,
            MemorySegment weights,
            MemorySegment sums) {
        return add(new Job(rows, x, Optional.empty(), routeOffsets, ids, weights, sums));
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
        return add(new Job(rows, q, Optional.of(scales), routeOffsets, ids, weights, sums));
    }

    private int add(Job job) {
        jobs.add(job);
        return jobs.size() - 1;
    }

    /// The devices work while the CPU does its part.
    @Override
    public void run() {
        Optional<DeviceExperts> failed = tryToRun();
        while (failed.isPresent()) {
            giveUp(failed.get());
            failed = tryToRun();
        }
        weightBytes = host.weightBytes();
        for (DeviceExperts device : devices) {
            weightBytes += device.weightBytes();
            device.release();
        }
    }

    /// @return a device that has failed; then the sums are undefined
    private Optional<DeviceExperts> tryToRun() {
        for (DeviceExperts device : devices) {
            try {
                device.begin(layer);
                jobs.forEach(job -> add(job, device));
                device.launch();
            } catch (CudaException e) {
                LOG.error("a GPU has failed", e);
                return Optional.of(device);
            }
        }
        host.begin(layer);
        jobs.forEach(this::addToHost);
        host.run();
        for (DeviceExperts device : devices) {
            try {
                device.finish();
            } catch (CudaException e) {
                LOG.error("a GPU has failed", e);
                return Optional.of(device);
            }
        }
        return Optional.empty();
    }

    private static void add(Job job, DeviceExperts device) {
        device.add(
                job.rows(),
                job.x(),
                job.scales().orElse(MemorySegment.NULL),
                job.scales().isEmpty(),
                job.routeOffsets(),
                job.ids(),
                job.weights(),
                job.sums());
    }

    private void addToHost(Job job) {
        if (job.scales().isPresent()) {
            host.addQuantized(
                    job.rows(),
                    job.x(),
                    job.scales().get(),
                    job.routeOffsets(),
                    job.ids(),
                    job.weights(),
                    job.sums());
        } else {
            host.addFloats(
                    job.rows(), job.x(), job.routeOffsets(), job.ids(), job.weights(), job.sums());
        }
    }

    private void giveUp(DeviceExperts device) {
        LOG.error(
                "{} is given up: the CPU computes its {} experts from here on, with the same bits",
                device.device().description(),
                device.held());
        devices.remove(device);
        device.close();
    }

    /// Milliseconds that the first device takes for the kernels of the last batch: gate and up, then down.
    ///
    /// @param runs the median of so many
    public float[] time(int runs) {
        return devices.getFirst().time(runs);
    }

    /// The rate at which the first device copies its memory, bytes read and written a second.
    public double copyRate(long bytes, int runs) {
        return devices.getFirst().device().copyRate(bytes, runs);
    }

    @Override
    public boolean isFinite(int job) {
        return host.isFinite(job) && devices.stream().allMatch(device -> device.isFinite(job));
    }

    @Override
    public long weightBytes() {
        return weightBytes;
    }

    @Override
    public void close() {
        devices.forEach(DeviceExperts::close);
        devices.clear();
        host.close();
    }
}
