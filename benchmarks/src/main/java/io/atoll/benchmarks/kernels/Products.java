package io.atoll.benchmarks.kernels;

import io.atoll.kernels.Kernels;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
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
/// matrices, so that none is in a cache. `gigabytes` of weights are to be compared with [ReadSum], `gigaflops` with other
/// formats; both are rates of all threads together (`-t N`).
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class Products {
    @Param({"c", "vector"})
    private String kernels;

    @Param({
        "F32",
        "BF16",
        "F16",
        "F8_E4M3",
        "Q8",
        "Q8_0",
        "Q4_0",
        "Q5_0",
        "Q4_K",
        "Q5_K",
        "Q6_K",
        "MXFP4",
        "NVFP4",
        "INT4_32_F16",
        "INT4_128_F16",
        "INT4_ROW",
        "INT8_128_F16",
        "INT8_ROW"
    })
    private WeightFormat format;

    @Param({"1024x4096", "4096x1024", "64x256"})
    private String size;

    @Param({"1", "8", "64"})
    private int rows;

    @Param({"memory", "cache"})
    private String weights;

    /// Weights read and work done, which JMH shows per second.
    @State(Scope.Thread)
    @AuxCounters(AuxCounters.Type.OPERATIONS)
    public static class Rates {
        public double gigabytes;
        public double gigaflops;

        @Setup(Level.Iteration)
        public void reset() {
            gigabytes = 0;
            gigaflops = 0;
        }
    }

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
            data.fill((byte) 0x3C); // as f16, BF16 or f32 an ordinary number
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
    public void product(Rates rates) {
        PackedMatrix w = matrices[next];
        next = next + 1 == matrices.length ? 0 : next + 1;
        if (w.format().takesQuantizedRows()) {
            k.matMulQuantized(w, q, scales, rows, y, w.rows(), 0, w.groups());
        } else {
            k.matMul(w, x, rows, y, w.rows(), 0, w.groups());
        }
        rates.gigabytes += w.data().byteSize() / 1e9;
        rates.gigaflops += 2e-9 * rows * w.rows() * w.cols();
    }
}
