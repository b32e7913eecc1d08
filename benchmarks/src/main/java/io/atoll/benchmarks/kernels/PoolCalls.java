package io.atoll.benchmarks.kernels;

import io.atoll.kernels.ComputePool;
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

/// What it costs to share a call over threads, with tasks that do nothing.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class PoolCalls {
    @Param({"1", "2"})
    private int threads;

    @Param({"0", "50"})
    private long spinMicros;

    private ComputePool pool;

    @Setup
    public void allocate() {
        pool = new ComputePool(threads, 1000 * spinMicros);
    }

    @TearDown
    public void free() {
        pool.close();
    }

    @Benchmark
    public void run() {
        pool.run(threads, PoolCalls::nothing);
    }

    private static void nothing(int task) {}
}
