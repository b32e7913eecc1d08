package io.atoll.kernels.scalar;

import static io.atoll.kernels.Kernels.ATTENTION_SEGMENT;
import static io.atoll.kernels.Kernels.ATTENTION_SPAN;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.atoll.kernels.KvFormat;
import io.atoll.kernels.KvLayout;
import java.lang.foreign.MemorySegment;

/// Softmax attention of one query after the other, as [io.atoll.kernels.Kernels#attention] words it: segments, spans of segments,
/// all spans. The loops over a head's elements can be replaced by faster ones with the same sums.
///
/// Scratch is `[ATTENTION_SEGMENT]` scores or exponentials, `[headDim]` weighted values of the segment, `[headDim]` of the span, and
/// the span's maximum and sum.
public class ScalarAttention {
    /// The keys and values of one sequence and layer.
    public record Cache(KvLayout layout, MemorySegment pool, MemorySegment blockOffsets) {
        /// Index in the pool, in elements of the format, of a position in a row of its block.
        public long index(int position, int row) {
            return layout.offset(blockOffsets, position, row) / layout.format().elementBytes();
        }

        float element(long index) {
            return layout.format() == KvFormat.F32
                    ? pool.getAtIndex(JAVA_FLOAT, index)
                    : Float.intBitsToFloat(pool.getAtIndex(JAVA_SHORT, index) << 16);
        }
    }

    /// The attention of the query at float `query` of `q` over the first `length` positions, to the same place of `out`.
    final void attend(
            MemorySegment q,
            long query,
            Cache cache,
            int kvHead,
            int length,
            float scale,
            MemorySegment out,
            MemorySegment scratch) {
        int n = cache.layout().headDim();
        long spanValues = ATTENTION_SEGMENT + n;
        long spanMax = spanValues + n;
        float max = 0f;
        float sum = 0f;
        for (int begin = 0; begin < length; begin += ATTENTION_SPAN) {
            int end = Math.min(length, begin + ATTENTION_SPAN);
            MemorySegment values = begin == 0 ? out : scratch;
            long first = begin == 0 ? query : spanValues;
            attendSpan(
                    q, query, cache, kvHead, begin, end, scale, values, first, scratch, spanMax, 1,
                    scratch);
            float partMax = get(scratch, spanMax);
            float partSum = get(scratch, spanMax + 1);
            if (begin == 0) {
                max = partMax;
                sum = partSum;
            } else {
                float all = partMax > max ? partMax : max;
                float keep = ScalarMath.exp(max - all);
                float take = ScalarMath.exp(partMax - all);
                max = all;
                sum = Math.fma(sum, keep, partSum * take);
                merge(out, query, scratch, spanValues, n, keep, take);
            }
        }
        divide(out, query, n, sum);
    }

    /// The part of the positions `spanBegin` to `spanEnd - 1`, which are of one span.
    ///
    /// @param values where the weighted values go, from float `first` on
    /// @param stats where the maximum goes, to float `maxAt`, and the sum, to float `maxAt + sumBehind`
    final void attendSpan(
            MemorySegment q,
            long query,
            Cache cache,
            int kvHead,
            int spanBegin,
            int spanEnd,
            float scale,
            MemorySegment values,
            long first,
            MemorySegment stats,
            long maxAt,
            long sumBehind,
            MemorySegment scratch) {
        int n = cache.layout().headDim();
        float max = 0f;
        float sum = 0f;
        for (int begin = spanBegin; begin < spanEnd; begin += ATTENTION_SEGMENT) {
            int count = Math.min(ATTENTION_SEGMENT, spanEnd - begin);
            float partMax = Float.NEGATIVE_INFINITY;
            for (int j = 0; j < count; j++) {
                float score = dot(q, query, cache, cache.index(begin + j, kvHead)) * scale;
                scratch.setAtIndex(JAVA_FLOAT, j, score);
                partMax = score > partMax ? score : partMax;
            }
            exponentials(scratch, count, partMax);
            float partSum = 0f;
            for (int j = 0; j < count; j++) {
                partSum += get(scratch, j);
            }
            weigh(cache, begin, count, cache.layout().kvHeads() + kvHead, scratch);
            if (begin == spanBegin) {
                max = partMax;
                sum = partSum;
                MemorySegment.copy(scratch, 4L * ATTENTION_SEGMENT, values, 4 * first, 4L * n);
            } else {
                float all = partMax > max ? partMax : max;
                float keep = ScalarMath.exp(max - all);
                float take = ScalarMath.exp(partMax - all);
                max = all;
                sum = Math.fma(sum, keep, partSum * take);
                merge(values, first, scratch, ATTENTION_SEGMENT, n, keep, take);
            }
        }
        stats.setAtIndex(JAVA_FLOAT, maxAt, max);
        stats.setAtIndex(JAVA_FLOAT, maxAt + sumBehind, sum);
    }

    /// Merges the parts of all spans for one head.
    ///
    /// @param partFloats floats from one part to the next
    final void mergeSpans(
            MemorySegment parts,
            int spans,
            long partFloats,
            int heads,
            int headDim,
            int head,
            MemorySegment out) {
        long values = (long) head * headDim;
        long maxAt = (long) heads * headDim + head;
        float max = get(parts, maxAt);
        float sum = get(parts, maxAt + heads);
        MemorySegment.copy(parts, 4 * values, out, 4 * values, 4L * headDim);
        for (int span = 1; span < spans; span++) {
            long part = span * partFloats;
            float partMax = get(parts, part + maxAt);
            float all = partMax > max ? partMax : max;
            float keep = ScalarMath.exp(max - all);
            float take = ScalarMath.exp(partMax - all);
            max = all;
            sum = Math.fma(sum, keep, get(parts, part + maxAt + heads) * take);
            merge(out, values, parts, part + values, headDim, keep, take);
        }
        divide(out, values, headDim, sum);
    }

    /// A query times the key at index `key` of the pool, by lanes.
    protected float dot(MemorySegment q, long query, Cache cache, long key) {
        int n = cache.layout().headDim();
        return foldTo2(q, query, cache, key, n, 0) + foldTo2(q, query, cache, key, n, 1);
    }

    private static float foldTo2(
            MemorySegment q, long query, Cache cache, long key, int n, int lane) {
        return foldTo4(q, query, cache, key, n, lane) + foldTo4(q, query, cache, key, n, lane + 2);
    }

    private static float foldTo4(
            MemorySegment q, long query, Cache cache, long key, int n, int lane) {
        return foldTo8(q, query, cache, key, n, lane) + foldTo8(q, query, cache, key, n, lane + 4);
    }

    private static float foldTo8(
            MemorySegment q, long query, Cache cache, long key, int n, int lane) {
        return lane(q, query, cache, key, n, lane) + lane(q, query, cache, key, n, lane + 8);
    }

    private static float lane(MemorySegment q, long query, Cache cache, long key, int n, int lane) {
        float sum = 0f;
        for (int i = lane; i < n; i += 16) {
            sum = Math.fma(get(q, query + i), cache.element(key + i), sum);
        }
        int tail = n % 16;
        return tail != 0 && lane >= tail ? sum + 0f : sum; // zero padding turns -0 into 0
    }

    /// Turns the first `count` floats into `exp(p - max)`.
    protected void exponentials(MemorySegment p, int count, float max) {
        for (int j = 0; j < count; j++) {
            p.setAtIndex(JAVA_FLOAT, j, ScalarMath.exp(get(p, j) - max));
        }
    }

    /// The values of `count` positions weighted with the exponentials in `scratch`, to their place in it.
    protected void weigh(Cache cache, int begin, int count, int row, MemorySegment scratch) {
        for (int i = 0; i < cache.layout().headDim(); i++) {
            float sum = 0f;
            for (int j = 0; j < count; j++) {
                float value = cache.element(cache.index(begin + j, row) + i);
                sum = Math.fma(get(scratch, j), value, sum);
            }
            scratch.setAtIndex(JAVA_FLOAT, ATTENTION_SEGMENT + i, sum);
        }
    }

    /// `o = fma(o, keep, part * take)`.
    protected void merge(
            MemorySegment o,
            long first,
            MemorySegment part,
            long partFirst,
            int n,
            float keep,
            float take) {
        for (int i = 0; i < n; i++) {
            float merged = Math.fma(get(o, first + i), keep, get(part, partFirst + i) * take);
            o.setAtIndex(JAVA_FLOAT, first + i, merged);
        }
    }

    protected void divide(MemorySegment o, long first, int n, float sum) {
        for (int i = 0; i < n; i++) {
            o.setAtIndex(JAVA_FLOAT, first + i, get(o, first + i) / sum);
        }
    }

    private static float get(MemorySegment segment, long index) {
        return segment.getAtIndex(JAVA_FLOAT, index);
    }
}
