package io.atoll.benchmarks.kernels;

import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// What the memory gives: the sum of half a gibibyte, by the best kernels here. Use `-t N` for N threads; `gigabytes` is the
/// rate of all of them.
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class ReadSum {
    private static final long BYTES = 1L << 29;

    private final Arena arena = Arena.ofShared();
    private final Kernels k = KernelLibrary.select(Optional.empty());
    private MemorySegment memory;

    /// Gigabytes read, which JMH shows per second.
    @State(Scope.Thread)
    @AuxCounters(AuxCounters.Type.OPERATIONS)
    public static class Traffic {
        public double gigabytes;

        @Setup(Level.Iteration)
        public void reset() {
            gigabytes = 0;
        }
    }

    @Setup
    public void allocate() {
        memory = arena.allocate(BYTES, 64);
        memory.fill((byte) 1);
    }

    @TearDown
    public void free() {
        arena.close();
    }

    @Benchmark
    public long read(Traffic traffic) {
        long sum = k.readSum(memory);
        traffic.gigabytes += BYTES / 1e9;
        return sum;
    }
}
