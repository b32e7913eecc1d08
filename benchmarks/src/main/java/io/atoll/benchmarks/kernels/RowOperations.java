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

/// The operations on a hidden row: norms, router, activations, combine. Their smallest size shows the cost of a call.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class RowOperations {
    @Param({"c", "vector"})
    private String kernels;

    @Param({"4096", "256"})
    private int hidden;

    private final Arena arena = Arena.ofShared();
    private Kernels k;
    private int experts;
    private MemorySegment x;
    private MemorySegment y;
    private MemorySegment wide;
    private MemorySegment weight;
    private MemorySegment q;
    private MemorySegment scales;
    private MemorySegment logits;
    private MemorySegment ids;
    private MemorySegment chosen;
    private MemorySegment acc;

    @Setup
    public void allocate() {
        k = Inputs.kernels(kernels);
        experts = hidden == 4096 ? 512 : 32;
        x = Inputs.random(arena, hidden);
        y = Inputs.zeros(arena, hidden);
        wide = Inputs.random(arena, 2L * hidden);
        weight = Inputs.random(arena, hidden);
        q = arena.allocate(hidden, 64);
        scales = Inputs.zeros(arena, hidden / 32);
        logits = Inputs.random(arena, experts);
        ids = arena.allocate(4 * 10, 4);
        chosen = Inputs.zeros(arena, 10);
        acc = arena.allocate(8L * hidden, 64);
    }

    @TearDown
    public void free() {
        arena.close();
    }

    @Benchmark
    public void rmsNorm() {
        k.rmsNorm(x, hidden, weight, 1e-6f, y, hidden, 1, hidden);
    }

    @Benchmark
    public void quantizeRows() {
        k.quantizeRows(x, 1, hidden, q, scales);
    }

    @Benchmark
    public void swiGlu() {
        k.swiGlu(wide, y, 1, hidden);
    }

    @Benchmark
    public void sigmoidGate() {
        k.sigmoidGate(y, x, hidden, 1, hidden);
    }

    @Benchmark
    public void routerTopK() {
        k.routerTopK(logits, 1, experts, 10, ids, chosen);
    }

    @Benchmark
    public boolean combineAdd() {
        return k.combineAdd(x, 0.1f, acc, hidden, 20);
    }

    @Benchmark
    public void combineToFloat() {
        k.combineToFloat(acc, y, hidden, 20);
    }

    @Benchmark
    public void add() {
        k.add(y, x, hidden);
    }

    @Benchmark
    public void addGated() {
        k.addGated(y, x, weight, 1, 1, hidden);
    }

    @Benchmark
    public void rotary() {
        k.rotary(x, 4, 64, 32, weight, weight);
    }
}
