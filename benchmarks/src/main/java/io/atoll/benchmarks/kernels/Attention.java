package io.atoll.benchmarks.kernels;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.atoll.kernels.Kernels;
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

/// One token's attention over a context, all heads of the model: 32 of 256 with 2 key/value heads, or the demo's.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class Attention {
    private static final int BLOCK_TOKENS = 64;
    private static final int KV_HEADS = 2;

    @Param({"c", "vector"})
    private String kernels;

    @Param({"16", "256", "4096"})
    private int length;

    @Param({"32", "4"})
    private int heads;

    private final Arena arena = Arena.ofShared();
    private Kernels k;
    private int headDim;
    private MemorySegment q;
    private MemorySegment pool;
    private MemorySegment offsets;
    private MemorySegment out;
    private MemorySegment scratch;

    @Setup
    public void allocate() {
        k = Inputs.kernels(kernels);
        headDim = heads == 32 ? 256 : 64;
        int blocks = (length + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
        long blockFloats = 2L * KV_HEADS * BLOCK_TOKENS * headDim;
        pool = Inputs.random(arena, blocks * blockFloats);
        offsets = arena.allocate(8L * blocks, 8);
        for (int i = 0; i < blocks; i++) {
            offsets.setAtIndex(JAVA_LONG, i, 4L * i * blockFloats);
        }
        q = Inputs.random(arena, (long) heads * headDim);
        out = Inputs.zeros(arena, (long) heads * headDim);
        scratch = Inputs.zeros(arena, Kernels.ATTENTION_SEGMENT + 2L * headDim);
    }

    @TearDown
    public void free() {
        arena.close();
    }

    @Benchmark
    public void attention() {
        k.attention(
                q,
                pool,
                offsets,
                BLOCK_TOKENS,
                length,
                heads,
                KV_HEADS,
                headDim,
                0.0625f,
                out,
                scratch,
                0,
                heads);
    }
}
