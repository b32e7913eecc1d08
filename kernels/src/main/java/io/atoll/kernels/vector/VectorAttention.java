package io.atoll.kernels.vector;

import static io.atoll.kernels.Kernels.ATTENTION_SEGMENT;
import static io.atoll.kernels.vector.Lanes.FLOATS;
import static io.atoll.kernels.vector.Lanes.LENGTH;
import static io.atoll.kernels.vector.Lanes.load;
import static io.atoll.kernels.vector.Lanes.loadBf16;
import static io.atoll.kernels.vector.Lanes.splat;
import static io.atoll.kernels.vector.Lanes.store;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.atoll.kernels.KvFormat;
import io.atoll.kernels.scalar.ScalarAttention;
import io.atoll.kernels.scalar.ScalarMath;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/// The loops of attention on the machine's vectors, for heads whose length fills them.
final class VectorAttention extends ScalarAttention {
    private static boolean fills(int n) {
        return n % 16 == 0;
    }

    @Override
    protected float dot(MemorySegment q, long query, Cache cache, long key) {
        int n = cache.layout().headDim();
        if (!fills(n)) {
            return super.dot(q, query, cache, key);
        }
        return cache.layout().format() == KvFormat.F32
                ? Lanes.dot(q, query, cache.pool(), key, n)
                : Lanes.dotBf16(q, query, cache.pool(), key, n);
    }

    @Override
    protected void exponentials(MemorySegment p, int count, float max) {
        int i = 0;
        for (; i + LENGTH <= count; i += LENGTH) {
            store(Lanes.exp(load(p, i).sub(max)), p, i);
        }
        for (; i < count; i++) {
            p.setAtIndex(JAVA_FLOAT, i, ScalarMath.exp(p.getAtIndex(JAVA_FLOAT, i) - max));
        }
    }

    @Override
    protected void weigh(Cache cache, int begin, int count, int row, MemorySegment scratch) {
        int n = cache.layout().headDim();
        if (!fills(n)) {
            super.weigh(cache, begin, count, row, scratch);
            return;
        }
        for (int i = 0; i < n; i += LENGTH) {
            FloatVector sum =
                    cache.layout().format() == KvFormat.F32
                            ? weighF32(cache, begin, count, row, i, scratch)
                            : weighBf16(cache, begin, count, row, i, scratch);
            store(sum, scratch, ATTENTION_SEGMENT + (long) i);
        }
    }

    private static FloatVector weighF32(
            Cache cache, int begin, int count, int row, int column, MemorySegment p) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int j = 0; j < count; j++) {
            FloatVector value = load(cache.pool(), cache.index(begin + j, row) + column);
            sum = value.fma(splat(p.getAtIndex(JAVA_FLOAT, j)), sum);
        }
        return sum;
    }

    private static FloatVector weighBf16(
            Cache cache, int begin, int count, int row, int column, MemorySegment p) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int j = 0; j < count; j++) {
            FloatVector value = loadBf16(cache.pool(), cache.index(begin + j, row) + column);
            sum = value.fma(splat(p.getAtIndex(JAVA_FLOAT, j)), sum);
        }
        return sum;
    }

    @Override
    protected void merge(
            MemorySegment o,
            long first,
            MemorySegment part,
            long partFirst,
            int n,
            float keep,
            float take) {
        if (!fills(n)) {
            super.merge(o, first, part, partFirst, n, keep, take);
            return;
        }
        for (int i = 0; i < n; i += LENGTH) {
            FloatVector taken = load(part, partFirst + i).mul(take);
            store(load(o, first + i).fma(splat(keep), taken), o, first + i);
        }
    }

    @Override
    protected void divide(MemorySegment o, long first, int n, float sum) {
        if (!fills(n)) {
            super.divide(o, first, n, sum);
            return;
        }
        for (int i = 0; i < n; i += LENGTH) {
            store(load(o, first + i).div(sum), o, first + i);
        }
    }
}
