package io.atoll.kernels.scalar;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.atoll.kernels.BlockLayout;
import io.atoll.kernels.KernelClass;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvLayout;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// The plain twin: each operation as its contract words it, one value at a time.
public class ScalarKernels implements Kernels {
    /// Sums side by side in the contract's order "lanes".
    protected static final int LANES = 16;

    private static final int GROUP = WeightFormat.GROUP;
    private static final int BLOCK = WeightFormat.BLOCK;

    private final ScalarAttention attention;

    public ScalarKernels() {
        this(new ScalarAttention());
    }

    /// @param attention may have faster loops
    protected ScalarKernels(ScalarAttention attention) {
        this.attention = attention;
    }

    @Override
    public KernelClass kernelClass() {
        return KernelClass.SCALAR;
    }

    @Override
    public String toString() {
        return kernelClass().label();
    }

    @Override
    public void matMul(
            PackedMatrix w,
            MemorySegment x,
            int rows,
            MemorySegment y,
            int yStride,
            int groupBegin,
            int groupEnd) {
        if (w.format().takesQuantizedRows()) {
            throw new IllegalArgumentException("matMul meets f32 rows only: " + w.format());
        }
        int outputEnd = Math.min(w.rows(), groupEnd * GROUP);
        for (int r = 0; r < rows; r++) {
            for (int o = groupBegin * GROUP; o < outputEnd; o++) {
                set(y, (long) r * yStride + o, dot(w, o, x, (long) r * w.cols()));
            }
        }
    }

    private static float dot(PackedMatrix w, int output, MemorySegment x, long xBegin) {
        float sum = 0f;
        for (int c = 0; c < w.cols(); c++) {
            sum = Math.fma(Packing.weight(w, output, c), get(x, xBegin + c), sum);
        }
        return sum;
    }

    @Override
    public void matMulQuantized(
            PackedMatrix w,
            MemorySegment q,
            MemorySegment scales,
            int rows,
            MemorySegment y,
            int yStride,
            int groupBegin,
            int groupEnd) {
        BlockLayout layout = w.format().layout();
        int outputEnd = Math.min(w.rows(), groupEnd * GROUP);
        int blocks = w.cols() / BLOCK;
        for (int r = 0; r < rows; r++) {
            for (int o = groupBegin * GROUP; o < outputEnd; o++) {
                float sum = 0f;
                for (int c = 0; c < w.cols(); c += layout.runColumns()) {
                    float rowScale = get(scales, (long) r * blocks + c / BLOCK);
                    sum = addRun(w, layout, o, c, q, (long) r * w.cols() + c, rowScale, sum);
                }
                set(y, (long) r * yStride + o, layout.finish(w.data(), w.cols(), o, sum));
            }
        }
    }

    /// Adds the product of one run, which begins at column `first`.
    private static float addRun(
            PackedMatrix w,
            BlockLayout layout,
            int output,
            int first,
            MemorySegment q,
            long row,
            float rowScale,
            float sum) {
        int dot = 0;
        int rowSum = 0;
        for (int i = 0; i < layout.runColumns(); i++) {
            byte x = q.get(JAVA_BYTE, row + i);
            dot += layout.level(w.data(), w.cols(), output, first + i) * x;
            rowSum += x;
        }
        float scale = layout.scale(w.data(), w.cols(), output, first);
        float scaled = Math.fma((float) dot * rowScale, scale, sum);
        if (!layout.hasMinimum()) {
            return scaled;
        }
        float minimum = layout.minimum(w.data(), w.cols(), output, first);
        return Math.fma((float) rowSum * rowScale, minimum, scaled);
    }

    @Override
    public void quantizeRows(
            MemorySegment x, int rows, int cols, MemorySegment q, MemorySegment scales) {
        if (cols % BLOCK != 0) {
            throw new IllegalArgumentException("columns must be a multiple of 32: " + cols);
        }
        long blocks = (long) rows * (cols / BLOCK);
        for (long b = 0; b < blocks; b++) {
            set(scales, b, quantizeBlock(x, b * BLOCK, q, b * BLOCK));
        }
    }

    /// Writes 32 bytes and returns their scale.
    private static float quantizeBlock(MemorySegment x, long first, MemorySegment q, long qFirst) {
        float max = 0f;
        boolean finite = true;
        for (int i = 0; i < BLOCK; i++) {
            float magnitude = Math.abs(get(x, first + i));
            finite &= magnitude <= Float.MAX_VALUE;
            max = magnitude > max ? magnitude : max;
        }
        float scale = max / 127f;
        boolean usable = finite && scale >= Float.MIN_NORMAL;
        float inverse = usable ? 1f / scale : 0f;
        for (int i = 0; i < BLOCK; i++) {
            float level = usable ? get(x, first + i) * inverse : 0f;
            q.set(JAVA_BYTE, qFirst + i, (byte) Math.rint(level));
        }
        if (!finite) {
            return Float.NaN;
        }
        return usable ? scale : 0f;
    }

    @Override
    public void rmsNorm(
            MemorySegment x,
            int xStride,
            MemorySegment weight,
            float eps,
            MemorySegment y,
            int yStride,
            int rows,
            int n) {
        for (int r = 0; r < rows; r++) {
            long xRow = (long) r * xStride;
            long yRow = (long) r * yStride;
            float scale = inverseRms(x, xRow, n, eps);
            for (int i = 0; i < n; i++) {
                set(y, yRow + i, (get(x, xRow + i) * scale) * (1f + get(weight, i)));
            }
        }
    }

    @Override
    public void gatedRmsNorm(
            MemorySegment x,
            MemorySegment z,
            int stride,
            MemorySegment weight,
            float eps,
            MemorySegment y,
            int yStride,
            int rows,
            int count,
            int n) {
        for (int r = 0; r < rows; r++) {
            for (int v = 0; v < count; v++) {
                long from = (long) r * stride + (long) v * n;
                long to = (long) r * yStride + (long) v * n;
                float scale = inverseRms(x, from, n, eps);
                for (int i = 0; i < n; i++) {
                    float normed = (get(x, from + i) * scale) * get(weight, i);
                    set(y, to + i, normed * ScalarMath.silu(get(z, from + i)));
                }
            }
        }
    }

    private static float inverseRms(MemorySegment x, long first, int n, float eps) {
        return 1f / squareRoot(dotByLanes(x, first, x, first, n) / n + eps);
    }

    @Override
    public void l2Norm(MemorySegment x, int xStride, int rows, int count, int n, float scale) {
        for (int r = 0; r < rows; r++) {
            for (int v = 0; v < count; v++) {
                long first = (long) r * xStride + (long) v * n;
                float inverse = 1f / squareRoot(dotByLanes(x, first, x, first, n) + 1e-6f);
                for (int i = 0; i < n; i++) {
                    set(x, first + i, (get(x, first + i) * inverse) * scale);
                }
            }
        }
    }

    /// The float square root. Java has only the double one, but rounding its result again is known to be exact.
    private static float squareRoot(float x) {
        return (float) Math.sqrt(x);
    }

    /// The dot product in the contract's order "lanes", without an array for the lanes: each one is summed when the fold
    /// asks for it.
    private static float dotByLanes(
            MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n) {
        return foldTo2(a, aFirst, b, bFirst, n, 0) + foldTo2(a, aFirst, b, bFirst, n, 1);
    }

    private static float foldTo2(
            MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n, int lane) {
        return foldTo4(a, aFirst, b, bFirst, n, lane) + foldTo4(a, aFirst, b, bFirst, n, lane + 2);
    }

    private static float foldTo4(
            MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n, int lane) {
        return foldTo8(a, aFirst, b, bFirst, n, lane) + foldTo8(a, aFirst, b, bFirst, n, lane + 4);
    }

    private static float foldTo8(
            MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n, int lane) {
        return lane(a, aFirst, b, bFirst, n, lane) + lane(a, aFirst, b, bFirst, n, lane + 8);
    }

    private static float lane(
            MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n, int lane) {
        float sum = 0f;
        for (int i = lane; i < n; i += 16) {
            sum = Math.fma(get(a, aFirst + i), get(b, bFirst + i), sum);
        }
        int tail = n % 16;
        return tail != 0 && lane >= tail
                ? sum + 0f
                : sum; // the zero padding turns a sum of -0 into 0
    }

    @Override
    public void rotary(
            MemorySegment x,
            int heads,
            int headStride,
            int rotaryDim,
            MemorySegment cos,
            MemorySegment sin) {
        int half = rotaryDim / 2;
        for (int h = 0; h < heads; h++) {
            long head = (long) h * headStride;
            for (int i = 0; i < half; i++) {
                float low = get(x, head + i);
                float high = get(x, head + half + i);
                float c = get(cos, i);
                float s = get(sin, i);
                set(x, head + i, Math.fma(low, c, -(high * s)));
                set(x, head + half + i, Math.fma(high, c, low * s));
            }
        }
    }

    @Override
    public void causalConv(
            MemorySegment u,
            MemorySegment weight,
            MemorySegment state,
            MemorySegment y,
            int rows,
            int channels,
            int width,
            int channelBegin,
            int channelEnd) {
        int kept = width - 1;
        for (int c = channelBegin; c < channelEnd; c++) {
            for (int t = 0; t < rows; t++) {
                float sum = 0f;
                for (int j = 0; j < width; j++) {
                    float input = convInput(u, state, kept, channels, t - kept + j, c);
                    sum = Math.fma(get(weight, (long) j * channels + c), input, sum);
                }
                set(y, (long) t * channels + c, ScalarMath.silu(sum));
            }
            for (int j = 0;
                    j < kept;
                    j++) { // row j's new value is at or after row j, so ascending order is safe
                set(
                        state,
                        (long) j * channels + c,
                        convInput(u, state, kept, channels, rows - kept + j, c));
            }
        }
    }

    /// The channel's value at row `t` of the call; negative rows lie in the state.
    private static float convInput(
            MemorySegment u, MemorySegment state, int kept, int channels, int t, int c) {
        return t >= 0
                ? get(u, (long) t * channels + c)
                : get(state, (long) (kept + t) * channels + c);
    }

    @Override
    public void deltaGates(
            MemorySegment a,
            MemorySegment b,
            MemorySegment aLog,
            MemorySegment dtBias,
            MemorySegment decay,
            MemorySegment beta,
            int rows,
            int heads) {
        for (int r = 0; r < rows; r++) {
            for (int h = 0; h < heads; h++) {
                long at = (long) r * heads + h;
                float rate = ScalarMath.exp(get(aLog, h));
                float step = ScalarMath.softplus(get(a, at) + get(dtBias, h));
                set(decay, at, ScalarMath.exp(-(rate * step)));
                set(beta, at, ScalarMath.sigmoid(get(b, at)));
            }
        }
    }

    @Override
    public void gatedDeltaRule(
            MemorySegment qkv,
            MemorySegment decay,
            MemorySegment beta,
            MemorySegment state,
            MemorySegment out,
            int rows,
            int keyHeads,
            int valueHeads,
            int keyDim,
            int valueDim,
            int headBegin,
            int headEnd) {
        long stride = 2L * keyHeads * keyDim + (long) valueHeads * valueDim;
        for (int h = headBegin; h < headEnd; h++) {
            int keyHead = h / (valueHeads / keyHeads);
            long s = (long) h * keyDim * valueDim;
            for (int r = 0; r < rows; r++) {
                long q = r * stride + (long) keyHead * keyDim;
                long k = q + (long) keyHeads * keyDim;
                long v = r * stride + 2L * keyHeads * keyDim + (long) h * valueDim;
                long o = ((long) r * valueHeads + h) * valueDim;
                float g = get(decay, (long) r * valueHeads + h);
                float b = get(beta, (long) r * valueHeads + h);
                for (int i = 0; i < valueDim; i++) {
                    deltaColumn(
                            qkv,
                            q,
                            k,
                            get(qkv, v + i),
                            g,
                            b,
                            state,
                            s + i,
                            keyDim,
                            valueDim,
                            out,
                            o + i);
                }
            }
        }
    }

    /// One row for one value of a head: a column of its state, `valueDim` floats apart.
    private static void deltaColumn(
            MemorySegment qkv,
            long q,
            long k,
            float v,
            float decay,
            float beta,
            MemorySegment state,
            long s,
            int keyDim,
            int valueDim,
            MemorySegment out,
            long o) {
        float m = 0f;
        for (int i = 0; i < keyDim; i++) {
            float decayed = get(state, s + (long) i * valueDim) * decay;
            set(state, s + (long) i * valueDim, decayed);
            m = Math.fma(get(qkv, k + i), decayed, m);
        }
        float d = beta * (v - m);
        float sum = 0f;
        for (int i = 0; i < keyDim; i++) {
            float updated = Math.fma(get(qkv, k + i), d, get(state, s + (long) i * valueDim));
            set(state, s + (long) i * valueDim, updated);
            sum = Math.fma(get(qkv, q + i), updated, sum);
        }
        set(out, o, sum);
    }

    @Override
    public void attention(
            MemorySegment q,
            int rows,
            KvLayout layout,
            MemorySegment pool,
            MemorySegment blockOffsets,
            int length,
            int heads,
            float scale,
            MemorySegment out,
            MemorySegment scratch,
            int headBegin,
            int headEnd) {
        ScalarAttention.Cache cache = new ScalarAttention.Cache(layout, pool, blockOffsets);
        for (int r = 0; r < rows; r++) {
            for (int h = headBegin; h < headEnd; h++) {
                long query = ((long) r * heads + h) * layout.headDim();
                int kvHead = h / (heads / layout.kvHeads());
                attention.attend(q, query, cache, kvHead, length + r, scale, out, scratch);
            }
        }
    }

    @Override
    public void attentionSpan(
            MemorySegment q,
            KvLayout layout,
            MemorySegment pool,
            MemorySegment blockOffsets,
            int length,
            int span,
            int heads,
            float scale,
            MemorySegment part,
            MemorySegment scratch,
            int headBegin,
            int headEnd) {
        ScalarAttention.Cache cache = new ScalarAttention.Cache(layout, pool, blockOffsets);
        for (int h = headBegin; h < headEnd; h++) {
            long query = (long) h * layout.headDim();
            long max = (long) heads * layout.headDim() + h;
            attention.attendSpan(
                    q,
                    query,
                    cache,
                    h / (heads / layout.kvHeads()),
                    span * ATTENTION_SPAN,
                    Math.min(length, (span + 1) * ATTENTION_SPAN),
                    scale,
                    part,
                    query,
                    part,
                    max,
                    heads,
                    scratch);
        }
    }

    @Override
    public void mergeSpans(
            MemorySegment parts,
            int spans,
            int heads,
            int headDim,
            MemorySegment out,
            int headBegin,
            int headEnd) {
        long partFloats = Kernels.attentionPart(heads, headDim);
        for (int h = headBegin; h < headEnd; h++) {
            attention.mergeSpans(parts, spans, partFloats, heads, headDim, h, out);
        }
    }

    @Override
    public void toBf16(MemorySegment x, MemorySegment y, long n) {
        for (long i = 0; i < n; i++) {
            int bits = x.getAtIndex(JAVA_INT, i);
            int rounded =
                    (bits & 0x7FFF_FFFF) > 0x7F80_0000
                            ? bits >>> 16 | 0x40
                            : (bits + 0x7FFF + (bits >>> 16 & 1)) >>> 16;
            y.setAtIndex(JAVA_SHORT, i, (short) rounded);
        }
    }

    @Override
    public void sigmoidGate(MemorySegment x, MemorySegment gate, int gateStride, int count, int n) {
        for (int v = 0; v < count; v++) {
            for (int i = 0; i < n; i++) {
                long at = (long) v * n + i;
                set(x, at, get(x, at) * ScalarMath.sigmoid(get(gate, (long) v * gateStride + i)));
            }
        }
    }

    @Override
    public void swiGlu(MemorySegment gateUp, MemorySegment y, int rows, int n) {
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < n; i++) {
                float gate = get(gateUp, 2L * r * n + i);
                float up = get(gateUp, 2L * r * n + n + i);
                set(y, (long) r * n + i, ScalarMath.silu(gate) * up);
            }
        }
    }

    @Override
    public void routerTopK(
            MemorySegment logits,
            int rows,
            int experts,
            int k,
            MemorySegment ids,
            MemorySegment weights) {
        if (k > experts) {
            throw new IllegalArgumentException("top " + k + " of " + experts + " experts");
        }
        for (int r = 0; r < rows; r++) {
            long first = (long) r * k;
            for (int e = 0; e < experts; e++) {
                insert(
                        ids,
                        weights,
                        first,
                        Math.min(e, k),
                        k,
                        e,
                        get(logits, (long) r * experts + e));
            }
            softmaxInPlace(weights, first, k);
        }
    }

    /// Keeps the `k` largest in descending order, of which `held` are there. An equal one that came earlier stays
    /// ahead.
    private static void insert(
            MemorySegment ids,
            MemorySegment weights,
            long first,
            int held,
            int k,
            int id,
            float logit) {
        float value = Float.isNaN(logit) ? Float.NEGATIVE_INFINITY : logit;
        int at = held;
        while (at > 0 && value > get(weights, first + at - 1)) {
            at--;
        }
        for (int i = Math.min(held, k - 1); i > at; i--) {
            set(weights, first + i, get(weights, first + i - 1));
            ids.setAtIndex(JAVA_INT, first + i, ids.getAtIndex(JAVA_INT, first + i - 1));
        }
        if (at < k) {
            set(weights, first + at, value);
            ids.setAtIndex(JAVA_INT, first + at, id);
        }
    }

    private static void softmaxInPlace(MemorySegment weights, long first, int k) {
        float largest = get(weights, first);
        float sum = 0f;
        for (int i = 0; i < k; i++) {
            float logit = get(weights, first + i);
            float e = logit == largest ? 1f : ScalarMath.exp(logit - largest);
            set(weights, first + i, e);
            sum += e;
        }
        for (int i = 0; i < k; i++) {
            set(weights, first + i, get(weights, first + i) / sum);
        }
    }

    @Override
    public boolean combineAdd(
            MemorySegment y, float weight, MemorySegment acc, int n, int fractionBits) {
        float grid = powerOfTwo(fractionBits);
        boolean fits = true;
        for (int i = 0; i < n; i++) {
            float scaled = (weight * get(y, i)) * grid;
            fits &= Math.abs(scaled) < COMBINE_LIMIT;
            long old = acc.getAtIndex(JAVA_LONG, i);
            acc.setAtIndex(JAVA_LONG, i, old + (long) Math.rint(scaled));
        }
        return fits;
    }

    @Override
    public void combineToFloat(MemorySegment acc, MemorySegment y, int n, int fractionBits) {
        float unit = powerOfTwo(-fractionBits);
        for (int i = 0; i < n; i++) {
            set(y, i, (float) acc.getAtIndex(JAVA_LONG, i) * unit);
        }
    }

    private static float powerOfTwo(int exponent) {
        return Math.scalb(1f, exponent);
    }

    @Override
    public void add(MemorySegment x, MemorySegment y, long n) {
        for (long i = 0; i < n; i++) {
            set(x, i, get(x, i) + get(y, i));
        }
    }

    @Override
    public void addGated(
            MemorySegment x, MemorySegment y, MemorySegment gate, int gateStride, int rows, int n) {
        for (int r = 0; r < rows; r++) {
            float g = ScalarMath.sigmoid(get(gate, (long) r * gateStride));
            for (int i = 0; i < n; i++) {
                long at = (long) r * n + i;
                set(x, at, Math.fma(g, get(y, at), get(x, at)));
            }
        }
    }

    @Override
    public boolean laneMaxima(MemorySegment x, int n, MemorySegment maxima) {
        for (int i = 0; i < Kernels.maxima(n); i++) {
            set(maxima, i, Float.NEGATIVE_INFINITY);
        }
        boolean finite = true;
        for (int i = 0; i < n; i++) {
            float value = get(x, i);
            finite &= Math.abs(value) <= Float.MAX_VALUE;
            int at = i / MAXIMA_RUN * LANES + i % LANES;
            if (value > get(maxima, at)) {
                set(maxima, at, value);
            }
        }
        return finite;
    }

    @Override
    public double sumExp(MemorySegment x, int n, float max) {
        double sum = 0;
        float[] lanes = new float[LANES];
        for (int run = 0; run < n; run += MAXIMA_RUN) {
            Arrays.fill(lanes, 0f);
            for (int i = run; i < Math.min(n, run + MAXIMA_RUN); i++) {
                lanes[i % LANES] += ScalarMath.exp(get(x, i) - max);
            }
            sum += fold(lanes);
        }
        return sum;
    }

    @Override
    public long readSum(MemorySegment memory) {
        long sum = 0;
        for (long i = 0; i < memory.byteSize() / Long.BYTES; i++) {
            sum += memory.getAtIndex(JAVA_LONG, i);
        }
        return sum;
    }

    /// The fold of the contract's order "lanes", in place.
    ///
    /// @param lanes 16 sums
    protected static float fold(float[] lanes) {
        for (int half = LANES / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[i] += lanes[i + half];
            }
        }
        return lanes[0];
    }

    private static float get(MemorySegment segment, long index) {
        return segment.getAtIndex(JAVA_FLOAT, index);
    }

    private static void set(MemorySegment segment, long index, float value) {
        segment.setAtIndex(JAVA_FLOAT, index, value);
    }
}
