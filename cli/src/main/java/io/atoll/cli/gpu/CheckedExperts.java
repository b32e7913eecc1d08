package io.atoll.cli.gpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.batch.CudaExpertEngine;
import io.atoll.expert.batch.ExpertCompute;
import io.atoll.expert.batch.ExpertEngine;
import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.store.PackedExpert;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.WeightFormat;
import io.atoll.kernels.cuda.Cuda;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;

/// The experts of one layer on a GPU and on the CPU, and rows that both compute.
final class CheckedExperts implements AutoCloseable {
    private static final int FRACTION_BITS = 20;

    private final Arena arena = Arena.ofShared();
    private final ExpertStore store;
    private final ComputePool pool = new ComputePool(Runtime.getRuntime().availableProcessors());
    private final CudaExpertEngine device;
    private final ExpertEngine host;
    private final Random random;
    private int layer;

    // A batch.
    private int rows;
    private MemorySegment x;
    private MemorySegment offsets;
    private MemorySegment ids;
    private MemorySegment weights;
    private MemorySegment onDevice; // int64 [rows, hidden]
    private MemorySegment onHost;

    /// @param store is closed with this
    CheckedExperts(ExpertStore store, Kernels kernels, List<Cuda.Device> devices, long seed) {
        this.store = store;
        random = new Random(seed);
        device = new CudaExpertEngine(store, kernels, pool, FRACTION_BITS, devices);
        host = new ExpertEngine(store, kernels, pool, FRACTION_BITS);
    }

    /// Random experts of one layer.
    static ExpertStore random(
            WeightFormat gateUp,
            WeightFormat down,
            int hidden,
            int intermediate,
            int experts,
            long seed) {
        RandomMatrices matrices = new RandomMatrices(seed);
        return new ResidentExperts(
                ExpertShard.all(1, experts),
                hidden,
                intermediate,
                gateUp.takesQuantizedRows(),
                (_, _, memory) ->
                        new PackedExpert(
                                matrices.matrix(gateUp, intermediate, hidden, memory),
                                matrices.matrix(gateUp, intermediate, hidden, memory),
                                matrices.matrix(down, hidden, intermediate, memory)));
    }

    /// Makes a batch of random rows, each with `k` different experts.
    void batch(int inLayer, int count, int k) {
        layer = inLayer;
        rows = count;
        int hidden = store.hidden();
        x = arena.allocate(4L * count * hidden, 64);
        offsets = arena.allocate(4L * (count + 1), 64);
        ids = arena.allocate(4L * count * k, 64);
        weights = arena.allocate(4L * count * k, 64);
        onDevice = arena.allocate(8L * count * hidden, 64);
        onHost = arena.allocate(8L * count * hidden, 64);
        for (long i = 0; i < (long) count * hidden; i++) {
            x.setAtIndex(JAVA_FLOAT, i, 2 * random.nextFloat() - 1);
        }
        int experts = store.shard().experts();
        for (int row = 0; row < count; row++) {
            int[] chosen = random.ints(0, experts).distinct().limit(k).toArray();
            for (int i = 0; i < k; i++) {
                ids.setAtIndex(JAVA_INT, (long) row * k + i, chosen[i]);
                weights.setAtIndex(JAVA_FLOAT, (long) row * k + i, random.nextFloat());
            }
            offsets.setAtIndex(JAVA_INT, row + 1L, (row + 1) * k);
        }
    }

    /// Multiplies the weights of the batch.
    void scaleWeights(float factor) {
        for (long i = 0; i < weights.byteSize() / Float.BYTES; i++) {
            weights.setAtIndex(JAVA_FLOAT, i, weights.getAtIndex(JAVA_FLOAT, i) * factor);
        }
    }

    /// Whether both have the same sums of the batch, to the bit, and the same opinion of whether they are finite.
    boolean agree() {
        compute(device, onDevice);
        compute(host, onHost);
        return device.isFinite(0) == host.isFinite(0)
                && (!host.isFinite(0) || onDevice.mismatch(onHost) < 0);
    }

    /// Computes the batch on the GPU.
    void run() {
        compute(device, onDevice);
    }

    private void compute(ExpertCompute engine, MemorySegment sums) {
        engine.begin(layer);
        engine.addFloats(rows, x, offsets, ids, weights, sums);
        engine.run();
    }

    /// Changes a code of the first expert of the batch where the CPU reads it, but not on the device.
    void spoil() {
        MemorySegment data = store.expert(layer, ids.getAtIndex(JAVA_INT, 0)).gate().data();
        long at = data.byteSize() - 16 * WeightFormat.GROUP;
        for (int i = 0; i < 16; i++) {
            data.set(JAVA_BYTE, at + i, (byte) ~data.get(JAVA_BYTE, at + i));
        }
    }

    CudaExpertEngine device() {
        return device;
    }

    @Override
    public void close() {
        device.close();
        host.close();
        pool.close();
        store.close();
        arena.close();
    }
}
