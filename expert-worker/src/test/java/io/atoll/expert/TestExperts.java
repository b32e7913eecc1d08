package io.atoll.expert;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.store.PackedExpert;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.RowSource;
import io.atoll.kernels.SourceType;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.IntFunction;

/// A small synthetic layer stack: weights derived from (layer, expert), and the plain arithmetic over them.
public final class TestExperts {
    public static final int LAYERS = 3;
    public static final int EXPERTS = 8;
    public static final int HIDDEN = 64;
    public static final int INTERMEDIATE = 96; // three blocks, so that tiles of it are uneven

    private TestExperts() {}

    public static ExpertShard all() {
        return ExpertShard.all(LAYERS, EXPERTS);
    }

    /// A store of these experts.
    public static ResidentExperts store(ExpertShard shard, WeightFormat format) {
        return store(shard, format, format, _ -> format);
    }

    /// A store of these experts whose projections have formats of their own.
    ///
    /// @param down the format of an expert's down projection, in any layer
    public static ResidentExperts store(
            ExpertShard shard, WeightFormat gate, WeightFormat up, IntFunction<WeightFormat> down) {
        return new ResidentExperts(
                shard,
                HIDDEN,
                INTERMEDIATE,
                gate.takesQuantizedRows(),
                new ResidentExperts.Source() {
                    @Override
                    public PackedExpert expert(int layer, int expert, SegmentAllocator memory) {
                        float[] upper = gateUp(layer, expert);
                        int half = upper.length / 2;
                        return new PackedExpert(
                                pack(
                                        gate,
                                        Arrays.copyOf(upper, half),
                                        INTERMEDIATE,
                                        HIDDEN,
                                        memory),
                                pack(
                                        up,
                                        Arrays.copyOfRange(upper, half, 2 * half),
                                        INTERMEDIATE,
                                        HIDDEN,
                                        memory),
                                pack(
                                        down.apply(expert),
                                        TestExperts.down(layer, expert),
                                        HIDDEN,
                                        INTERMEDIATE,
                                        memory));
                    }

                    private PackedMatrix pack(
                            WeightFormat packed,
                            float[] values,
                            int rows,
                            int cols,
                            SegmentAllocator memory) {
                        try (Arena arena = Arena.ofConfined()) {
                            MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
                            List<RowSource> source =
                                    List.of(new RowSource(data, SourceType.F32, rows));
                            return packed == WeightFormat.Q8
                                    ? Packing.quantize(source, cols, memory)
                                    : Packing.pack(packed, source, cols, memory);
                        }
                    }
                });
    }

    private static float[] gateUp(int layer, int expert) {
        return uniform(new Random(1000L * layer + expert), 2 * INTERMEDIATE * HIDDEN, 0.3f);
    }

    private static float[] down(int layer, int expert) {
        return uniform(new Random(1000L * layer + expert + 500), INTERMEDIATE * HIDDEN, 0.3f);
    }

    /// `count` values in `[-scale, scale)`.
    public static float[] uniform(Random random, int count, float scale) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = scale * (2 * random.nextFloat() - 1);
        }
        return values;
    }

    /// Adds `weight * expert(x)` to a sum, in double precision from the unquantised weights.
    public static void addExpert(int layer, int expert, float[] x, float weight, double[] sum) {
        float[] gateUp = gateUp(layer, expert);
        float[] down = down(layer, expert);
        double[] inner = new double[INTERMEDIATE];
        for (int i = 0; i < INTERMEDIATE; i++) {
            double gate = 0;
            double up = 0;
            for (int c = 0; c < HIDDEN; c++) {
                gate += gateUp[i * HIDDEN + c] * (double) x[c];
                up += gateUp[(INTERMEDIATE + i) * HIDDEN + c] * (double) x[c];
            }
            inner[i] = gate / (1 + Math.exp(-gate)) * up;
        }
        for (int o = 0; o < HIDDEN; o++) {
            double y = 0;
            for (int i = 0; i < INTERMEDIATE; i++) {
                y += down[o * INTERMEDIATE + i] * inner[i];
            }
            sum[o] += weight * y;
        }
    }
}
