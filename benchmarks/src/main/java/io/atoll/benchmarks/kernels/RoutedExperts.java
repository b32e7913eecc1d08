package io.atoll.benchmarks.kernels;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.batch.ExpertEngine;
import io.atoll.expert.store.PackedExpert;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// The routed experts of one layer of the 35B, gate and up in `Q4_K` and down in `down`: 450 MB, so that weights come from
/// memory. Each call has experts of its own at random.
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class RoutedExperts {
    private static final int EXPERTS = 256;
    private static final int HIDDEN = 2048;
    private static final int INTERMEDIATE = 512;
    private static final int K = 8;

    @Param("c")
    private String kernels;

    @Param({"1", "512"})
    private int rows;

    @Param({"Q4_K", "Q6_K"})
    private WeightFormat down;

    @Param({"1", "2"})
    private int threads;

    private final Arena arena = Arena.ofShared();
    private final Random random = new Random(1);
    private ResidentExperts store;
    private ComputePool pool;
    private ExpertEngine engine;
    private MemorySegment x;
    private MemorySegment ids;
    private MemorySegment weights;
    private MemorySegment sums;

    @Setup
    public void allocate() {
        Kernels k = Inputs.kernels(kernels);
        ExpertShard all = ExpertShard.all(1, EXPERTS);
        store = new ResidentExperts(all, HIDDEN, INTERMEDIATE, true, this::expert);
        pool = new ComputePool(threads);
        engine = new ExpertEngine(store, k, pool, 20);
        x = Inputs.random(arena, (long) rows * HIDDEN);
        ids = arena.allocate(ValueLayout.JAVA_INT, (long) rows * K);
        weights = Inputs.random(arena, (long) rows * K);
        sums = arena.allocate(8L * rows * HIDDEN, 64);
    }

    private PackedExpert expert(int layer, int expert, SegmentAllocator memory) {
        return new PackedExpert(
                matrix(WeightFormat.Q4_K, INTERMEDIATE, HIDDEN, memory),
                matrix(WeightFormat.Q4_K, INTERMEDIATE, HIDDEN, memory),
                matrix(down, HIDDEN, INTERMEDIATE, memory));
    }

    private static PackedMatrix matrix(
            WeightFormat format, int rows, int cols, SegmentAllocator memory) {
        MemorySegment data = memory.allocate(PackedMatrix.bytes(format, rows, cols), 64);
        data.fill((byte) 0x1C); // as f16 or f32 a small number: products stay on the grid
        return new PackedMatrix(data, format, rows, cols);
    }

    @TearDown
    public void free() {
        engine.close();
        pool.close();
        store.close();
        arena.close();
    }

    @Benchmark
    public long dispatch() {
        for (int row = 0; row < rows; row++) {
            int first = random.nextInt(EXPERTS);
            for (int i = 0; i < K; i++) { // distinct ones
                int id = (first + i * 31) % EXPERTS;
                ids.setAtIndex(ValueLayout.JAVA_INT, (long) row * K + i, id);
            }
        }
        engine.begin(0);
        int job = engine.addFloats(rows, x, K, ids, weights, sums);
        engine.run();
        if (!engine.isFinite(job)) {
            throw new IllegalStateException("sums do not fit the grid");
        }
        return engine.weightBytes();
    }
}
