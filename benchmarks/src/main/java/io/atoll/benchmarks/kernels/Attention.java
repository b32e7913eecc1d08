package io.atoll.benchmarks.kernels;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.kernels.KvLayout;
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

/// One layer's attention of the next rows of a sequence over their context: 16 heads of 256 with 2 key/value heads, as in
/// the 35B, or 32, as in the 397B. Divide by `rows` for the cost of a row.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class Attention {
    private static final int BLOCK_TOKENS = 32;
    private static final int KV_HEADS = 2;
    private static final int HEAD_DIM = 256;

    @Param({"c", "vector"})
    private String kernels;

    @Param({"1024", "16384", "131072"})
    private int length;

    @Param({"1", "64"})
    private int rows;

    @Param("16")
    private int heads;

    @Param({"BF16", "F32"})
    private KvFormat format;

    private final Arena arena = Arena.ofShared();
    private Kernels k;
    private KvLayout layout;
    private MemorySegment q;
    private MemorySegment pool;
    private MemorySegment offsets;
    private MemorySegment out;
    private MemorySegment scratch;

    @Setup
    public void allocate() {
        k = Inputs.kernels(kernels);
        layout = new KvLayout(format, KV_HEADS, BLOCK_TOKENS, HEAD_DIM);
        int blocks = Math.ceilDiv(length + rows - 1, BLOCK_TOKENS);
        pool = arena.allocate(blocks * layout.blockBytes(), 64);
        offsets = arena.allocate(8L * blocks, 8);
        MemorySegment vectors = Inputs.random(arena, (long) KV_HEADS * HEAD_DIM + 4096);
        for (int i = 0; i < blocks; i++) {
            offsets.setAtIndex(JAVA_LONG, i, i * layout.blockBytes());
        }
        for (int position = 0; position < length + rows - 1; position++) {
            MemorySegment key = vectors.asSlice(4L * (position % 4096));
            layout.store(k, key, key, pool, offsets, position);
        }
        q = Inputs.random(arena, (long) rows * heads * HEAD_DIM);
        out = Inputs.zeros(arena, (long) rows * heads * HEAD_DIM);
        scratch = Inputs.zeros(arena, Kernels.attentionScratch(HEAD_DIM));
    }

    @TearDown
    public void free() {
        arena.close();
    }

    @Benchmark
    public void attention() {
        k.attention(q, rows, layout, pool, offsets, length, heads, 0.0625f, out, scratch, 0, heads);
    }
}
