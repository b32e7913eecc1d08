package io.atoll.benchmarks.kernels;

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

/// The operations of a Gated DeltaNet layer. A head has 128 keys and values in the released models, 32 in the demo.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class GatedDeltaNet {
    @Param({"c", "vector"})
    private String kernels;

    @Param({"16x64", "2x8"})
    private String heads;

    @Param({"1", "64"})
    private int rows;

    private final Arena arena = Arena.ofShared();
    private Kernels k;
    private int keyHeads;
    private int valueHeads;
    private int dim;
    private int channels;
    private MemorySegment qkv;
    private MemorySegment y;
    private MemorySegment taps;
    private MemorySegment convState;
    private MemorySegment gates;
    private MemorySegment decay;
    private MemorySegment beta;
    private MemorySegment state;
    private MemorySegment out;
    private MemorySegment norm;

    @Setup
    public void allocate() {
        k = Inputs.kernels(kernels);
        keyHeads = Inputs.size(heads)[0];
        valueHeads = Inputs.size(heads)[1];
        dim = keyHeads == 16 ? 128 : 32;
        channels = (2 * keyHeads + valueHeads) * dim;
        qkv = Inputs.random(arena, (long) rows * channels);
        y = Inputs.zeros(arena, (long) rows * channels);
        taps = Inputs.random(arena, 4L * channels);
        convState = Inputs.zeros(arena, 3L * channels);
        gates = Inputs.random(arena, (long) rows * valueHeads);
        decay = Inputs.zeros(arena, (long) rows * valueHeads);
        beta = Inputs.zeros(arena, (long) rows * valueHeads);
        k.deltaGates(gates, gates, gates, gates, decay, beta, rows, valueHeads);
        state = Inputs.zeros(arena, (long) valueHeads * dim * dim);
        out = Inputs.zeros(arena, (long) rows * valueHeads * dim);
        norm = Inputs.random(arena, dim);
    }

    @TearDown
    public void free() {
        arena.close();
    }

    @Benchmark
    public void causalConv() {
        k.causalConv(qkv, taps, convState, y, rows, channels, 4, 0, channels);
    }

    @Benchmark
    public void l2Norm() {
        k.l2Norm(y, channels, rows, 2 * keyHeads, dim, 0.0883f);
    }

    @Benchmark
    public void deltaGates() {
        k.deltaGates(gates, gates, gates, gates, decay, beta, rows, valueHeads);
    }

    @Benchmark
    public void deltaRule() {
        k.gatedDeltaRule(
                qkv, decay, beta, state, out, rows, keyHeads, valueHeads, dim, dim, 0, valueHeads);
    }

    @Benchmark
    public void gatedRmsNorm() {
        int width = valueHeads * dim;
        k.gatedRmsNorm(out, out, width, norm, 1e-6f, out, width, rows, valueHeads, dim);
    }
}
