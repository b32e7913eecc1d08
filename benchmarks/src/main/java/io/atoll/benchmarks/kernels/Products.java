package io.atoll.benchmarks.kernels;

import io.atoll.kernels.Kernels;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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

/// Matrix products by format: one row is decode, many are prefill. `weights=memory` walks over half a gibibyte of
/// matrices, so that none is in a cache; bytes per operation are those of one matrix.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class Products {
    @Param({"c", "vector"})
    private String kernels;

    @Param({"F32", "BF16", "Q8"})
    private WeightFormat format;

    @Param({"1024x4096", "4096x1024", "64x256"})
    private String size;

    @Param({"1", "8", "64"})
    private int rows;

    @Param({"memory", "cache"})
    private String weights;

    private final Arena arena = Arena.ofShared();
    private Kernels k;
    private PackedMatrix[] matrices;
    private MemorySegment x;
    private MemorySegment q;
    private MemorySegment scales;
    private MemorySegment y;
    private int next;

    @Setup
    public void allocate() {
        k = Inputs.kernels(kernels);
        int outputs = Inputs.size(size)[0];
        int cols = Inputs.size(size)[1];
        long bytes = PackedMatrix.bytes(format, outputs, cols);
        int count = weights.equals("memory") ? (int) ((1L << 29) / bytes) : 1;
        matrices = new PackedMatrix[count];
        for (int i = 0; i < count; i++) {
            MemorySegment data = arena.allocate(bytes, 64);
            data.fill((byte) 1); // small numbers in every format
            matrices[i] = new PackedMatrix(data, format, outputs, cols);
        }
        x = Inputs.random(arena, (long) rows * cols);
        q = arena.allocate((long) rows * cols, 64);
        scales = Inputs.zeros(arena, (long) rows * cols / 32);
        k.quantizeRows(x, rows, cols, q, scales);
        y = Inputs.zeros(arena, (long) rows * outputs);
    }

    @TearDown
    public void free() {
        arena.close();
    }

    @Benchmark
    public void product() {
        PackedMatrix w = matrices[next];
        next = next + 1 == matrices.length ? 0 : next + 1;
        if (w.format().takesQuantizedRows()) {
            k.matMulQuantized(w, q, scales, rows, y, w.rows(), 0, w.groups());
        } else {
            k.matMul(w, x, rows, y, w.rows(), 0, w.groups());
        }
    }
}
