package io.atoll.kernels.vector;

import static io.atoll.kernels.vector.Lanes.FLOATS;
import static io.atoll.kernels.vector.Lanes.LENGTH;
import static io.atoll.kernels.vector.Lanes.PARTS;
import static io.atoll.kernels.vector.Lanes.load;
import static io.atoll.kernels.vector.Lanes.loadBf16;
import static io.atoll.kernels.vector.Lanes.loadF16;
import static io.atoll.kernels.vector.Lanes.loadF8;
import static io.atoll.kernels.vector.Lanes.splat;
import static io.atoll.kernels.vector.Lanes.store;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.atoll.kernels.BlockLayout;
import io.atoll.kernels.Fp8Layout;
import io.atoll.kernels.KernelClass;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.kernels.scalar.ScalarKernels;
import io.atoll.kernels.scalar.ScalarMath;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/// The Vector API twin: the heavy operations on the machine's vectors, bit for bit like the scalar ones.
///
/// Lengths that do not fill the vectors go to the scalar code, as do the ends of element-wise loops: an element's bits do not
/// depend on which of the two computes it.
public final class VectorKernels extends ScalarKernels {
    private static final int GROUP = WeightFormat.GROUP;
    private static final int BLOCK = WeightFormat.BLOCK;
    private static final VectorSpecies<Long> LONGS = LongVector.SPECIES_PREFERRED;

    public VectorKernels() {
        super(new VectorAttention());
    }

    @Override
    public KernelClass kernelClass() {
        return KernelClass.VECTOR;
    }

    /// A unit is one vector of outputs: a group, or a part of one. Four run side by side, to hide the latency of `fma`.
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
        int end = Math.min(groupEnd * PARTS, (w.rows() + LENGTH - 1) / LENGTH);
        for (int r = 0; r < rows; r++) {
            long row = (long) r * w.cols();
            long out = (long) r * yStride;
            int unit = groupBegin * PARTS;
            boolean wide = w.format() == WeightFormat.F32 || w.format() == WeightFormat.BF16;
            for (; wide && unit + 4 <= end; unit += 4) {
                fourUnits(w, unit, x, row, y, out);
            }
            for (; unit < end; unit++) {
                storeUnit(oneUnit(w, unit, x, row), w, unit, y, out);
            }
        }
    }

    private static void fourUnits(
            PackedMatrix w, int unit, MemorySegment x, long row, MemorySegment y, long out) {
        long w0 = firstWeight(w, unit);
        long w1 = firstWeight(w, unit + 1);
        long w2 = firstWeight(w, unit + 2);
        long w3 = firstWeight(w, unit + 3);
        FloatVector s0 = FloatVector.zero(FLOATS);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        if (w.format() == WeightFormat.F32) {
            for (int c = 0; c < w.cols(); c++) {
                FloatVector value = splat(x.getAtIndex(JAVA_FLOAT, row + c));
                long at = (long) c * GROUP;
                s0 = load(w.data(), w0 + at).fma(value, s0);
                s1 = load(w.data(), w1 + at).fma(value, s1);
                s2 = load(w.data(), w2 + at).fma(value, s2);
                s3 = load(w.data(), w3 + at).fma(value, s3);
            }
        } else {
            for (int c = 0; c < w.cols(); c++) {
                FloatVector value = splat(x.getAtIndex(JAVA_FLOAT, row + c));
                long at = (long) c * GROUP;
                s0 = loadBf16(w.data(), w0 + at).fma(value, s0);
                s1 = loadBf16(w.data(), w1 + at).fma(value, s1);
                s2 = loadBf16(w.data(), w2 + at).fma(value, s2);
                s3 = loadBf16(w.data(), w3 + at).fma(value, s3);
            }
        }
        storeUnit(s0, w, unit, y, out);
        storeUnit(s1, w, unit + 1, y, out);
        storeUnit(s2, w, unit + 2, y, out);
        storeUnit(s3, w, unit + 3, y, out);
    }

    private static FloatVector oneUnit(PackedMatrix w, int unit, MemorySegment x, long row) {
        long first = firstWeight(w, unit);
        FloatVector sum = FloatVector.zero(FLOATS);
        switch (w.format()) {
            case F32 -> {
                for (int c = 0; c < w.cols(); c++) {
                    FloatVector value = splat(x.getAtIndex(JAVA_FLOAT, row + c));
                    sum = load(w.data(), first + (long) c * GROUP).fma(value, sum);
                }
            }
            case BF16 -> {
                for (int c = 0; c < w.cols(); c++) {
                    FloatVector value = splat(x.getAtIndex(JAVA_FLOAT, row + c));
                    sum = loadBf16(w.data(), first + (long) c * GROUP).fma(value, sum);
                }
            }
            case F16 -> {
                for (int c = 0; c < w.cols(); c++) {
                    FloatVector value = splat(x.getAtIndex(JAVA_FLOAT, row + c));
                    sum = loadF16(w.data(), first + (long) c * GROUP).fma(value, sum);
                }
            }
            default -> sum = oneF8Unit(w, unit, x, row);
        }
        return sum;
    }

    private static FloatVector oneF8Unit(PackedMatrix w, int unit, MemorySegment x, long row) {
        int part = unit % PARTS;
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int first = 0; first < w.cols(); first += Fp8Layout.RECORD) {
            long scales = Fp8Layout.scales(w.cols(), unit / PARTS, first);
            FloatVector scale = load(w.data(), scales / 4 + (long) part * LENGTH).mul(256f);
            long codes = Fp8Layout.codes(w.cols(), unit / PARTS, first);
            int end = Math.min(w.cols(), first + Fp8Layout.RECORD);
            for (int c = first; c < end; c++, codes += GROUP) {
                FloatVector value = splat(x.getAtIndex(JAVA_FLOAT, row + c));
                sum = loadF8(w.data(), codes, part).mul(scale).fma(value, sum);
            }
        }
        return sum;
    }

    private static long firstWeight(PackedMatrix w, int unit) {
        return (long) (unit / PARTS) * w.cols() * GROUP + (long) (unit % PARTS) * LENGTH;
    }

    private static void storeUnit(
            FloatVector sum, PackedMatrix w, int unit, MemorySegment y, long out) {
        int output = unit * LENGTH;
        store(sum, y, out + output, w.rows() - output);
    }

    /// A code of an uneven table is looked up one by one, so those are left to the scalar code.
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
        if (!QuantizedUnit.computes(layout)) {
            super.matMulQuantized(w, q, scales, rows, y, yStride, groupBegin, groupEnd);
            return;
        }
        int end = Math.min(groupEnd * PARTS, (w.rows() + LENGTH - 1) / LENGTH);
        int blocks = w.cols() / BLOCK;
        for (int r = 0; r < rows; r++) {
            for (int unit = groupBegin * PARTS; unit < end; unit++) {
                FloatVector sum =
                        QuantizedUnit.product(
                                w, layout, unit, q, (long) r * w.cols(), scales, (long) r * blocks);
                storeUnit(sum, w, unit, y, (long) r * yStride);
            }
        }
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
        if (n % 16 != 0) {
            super.rmsNorm(x, xStride, weight, eps, y, yStride, rows, n);
            return;
        }
        for (int r = 0; r < rows; r++) {
            long xRow = (long) r * xStride;
            long yRow = (long) r * yStride;
            float scale = inverseRms(x, xRow, n, eps);
            for (int i = 0; i < n; i += LENGTH) {
                FloatVector normed = load(x, xRow + i).mul(scale).mul(load(weight, i).add(1f));
                store(normed, y, yRow + i);
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
        if (n % 16 != 0) {
            super.gatedRmsNorm(x, z, stride, weight, eps, y, yStride, rows, count, n);
            return;
        }
        for (int r = 0; r < rows; r++) {
            for (int v = 0; v < count; v++) {
                long from = (long) r * stride + (long) v * n;
                long to = (long) r * yStride + (long) v * n;
                float scale = inverseRms(x, from, n, eps);
                for (int i = 0; i < n; i += LENGTH) {
                    FloatVector normed = load(x, from + i).mul(scale).mul(load(weight, i));
                    store(normed.mul(Lanes.silu(load(z, from + i))), y, to + i);
                }
            }
        }
    }

    private static float inverseRms(MemorySegment x, long first, int n, float eps) {
        return 1f / (float) Math.sqrt(Lanes.dot(x, first, x, first, n) / n + eps);
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
        if (valueDim % LENGTH != 0) {
            super.gatedDeltaRule(
                    qkv,
                    decay,
                    beta,
                    state,
                    out,
                    rows,
                    keyHeads,
                    valueHeads,
                    keyDim,
                    valueDim,
                    headBegin,
                    headEnd);
            return;
        }
        long stride = 2L * keyHeads * keyDim + (long) valueHeads * valueDim;
        for (int h = headBegin; h < headEnd; h++) {
            int keyHead = h / (valueHeads / keyHeads);
            long s = (long) h * keyDim * valueDim;
            for (int r = 0; r < rows; r++) {
                long q = r * stride + (long) keyHead * keyDim;
                long k = q + (long) keyHeads * keyDim;
                long v = r * stride + 2L * keyHeads * keyDim + (long) h * valueDim;
                long gate = (long) r * valueHeads + h;
                float g = decay.getAtIndex(JAVA_FLOAT, gate);
                float b = beta.getAtIndex(JAVA_FLOAT, gate);
                for (int i = 0; i < valueDim; i += LENGTH) {
                    FloatVector value = load(qkv, v + i);
                    FloatVector o =
                            deltaColumns(qkv, q, k, value, g, b, state, s + i, keyDim, valueDim);
                    store(o, out, gate * valueDim + i);
                }
            }
        }
    }

    /// One row for [Lanes#LENGTH] values of a head.
    private static FloatVector deltaColumns(
            MemorySegment qkv,
            long q,
            long k,
            FloatVector v,
            float decay,
            float beta,
            MemorySegment state,
            long s,
            int keyDim,
            int valueDim) {
        FloatVector m = FloatVector.zero(FLOATS);
        for (int i = 0; i < keyDim; i++) {
            FloatVector decayed = load(state, s + (long) i * valueDim).mul(decay);
            m = decayed.fma(splat(qkv.getAtIndex(JAVA_FLOAT, k + i)), m);
        }
        FloatVector d = v.sub(m).mul(beta);
        FloatVector o = FloatVector.zero(FLOATS);
        for (int i = 0; i < keyDim; i++) {
            FloatVector decayed = load(state, s + (long) i * valueDim).mul(decay);
            FloatVector updated = d.fma(splat(qkv.getAtIndex(JAVA_FLOAT, k + i)), decayed);
            store(updated, state, s + (long) i * valueDim);
            o = updated.fma(splat(qkv.getAtIndex(JAVA_FLOAT, q + i)), o);
        }
        return o;
    }

    @Override
    public void sigmoidGate(MemorySegment x, MemorySegment gate, int gateStride, int count, int n) {
        if (n % LENGTH != 0) {
            super.sigmoidGate(x, gate, gateStride, count, n);
            return;
        }
        for (int v = 0; v < count; v++) {
            for (int i = 0; i < n; i += LENGTH) {
                long at = (long) v * n + i;
                FloatVector open = Lanes.sigmoid(load(gate, (long) v * gateStride + i));
                store(load(x, at).mul(open), x, at);
            }
        }
    }

    @Override
    public void swiGlu(MemorySegment gateUp, MemorySegment y, int rows, int n) {
        if (n % LENGTH != 0) {
            super.swiGlu(gateUp, y, rows, n);
            return;
        }
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < n; i += LENGTH) {
                long gate = 2L * r * n + i;
                store(
                        Lanes.silu(load(gateUp, gate)).mul(load(gateUp, gate + n)),
                        y,
                        (long) r * n + i);
            }
        }
    }

    @Override
    public void add(MemorySegment x, MemorySegment y, long n) {
        long whole = n - n % LENGTH;
        for (long i = 0; i < whole; i += LENGTH) {
            store(load(x, i).add(load(y, i)), x, i);
        }
        super.add(x.asSlice(4 * whole), y.asSlice(4 * whole), n - whole);
    }

    @Override
    public void addGated(
            MemorySegment x, MemorySegment y, MemorySegment gate, int gateStride, int rows, int n) {
        if (n % LENGTH != 0) {
            super.addGated(x, y, gate, gateStride, rows, n);
            return;
        }
        for (int r = 0; r < rows; r++) {
            FloatVector g =
                    splat(ScalarMath.sigmoid(gate.getAtIndex(JAVA_FLOAT, (long) r * gateStride)));
            for (int i = 0; i < n; i += LENGTH) {
                long at = (long) r * n + i;
                store(g.fma(load(y, at), load(x, at)), x, at);
            }
        }
    }

    @Override
    public boolean laneMaxima(MemorySegment x, int n, MemorySegment maxima) {
        int whole = n - n % MAXIMA_RUN;
        boolean finite =
                super.laneMaxima(
                        x.asSlice(4L * whole),
                        n - whole,
                        maxima.asSlice(4L * Kernels.maxima(whole)));
        for (int run = 0; run < whole; run += MAXIMA_RUN) {
            for (int lane = 0; lane < LANES; lane += LENGTH) {
                FloatVector largest = splat(Float.NEGATIVE_INFINITY);
                VectorMask<Float> within = largest.compare(VectorOperators.EQ, largest);
                for (int i = run + lane; i < run + MAXIMA_RUN; i += LANES) {
                    FloatVector values = load(x, i);
                    within = within.and(values.abs().compare(VectorOperators.LE, Float.MAX_VALUE));
                    largest = largest.blend(values, values.compare(VectorOperators.GT, largest));
                }
                finite &= within.allTrue();
                store(largest, maxima, (long) Kernels.maxima(run) + lane);
            }
        }
        return finite;
    }

    @Override
    public double sumExp(MemorySegment x, int n, float max) {
        int whole = n - n % MAXIMA_RUN;
        double sum = 0;
        float[] lanes = new float[LANES];
        for (int run = 0; run < whole; run += MAXIMA_RUN) {
            for (int lane = 0; lane < LANES; lane += LENGTH) {
                FloatVector part = splat(0f);
                for (int i = run + lane; i < run + MAXIMA_RUN; i += LANES) {
                    part = part.add(Lanes.exp(load(x, i).sub(max)));
                }
                part.intoArray(lanes, lane);
            }
            sum += fold(lanes);
        }
        return sum + super.sumExp(x.asSlice(4L * whole), n - whole, max);
    }

    /// Four runs side by side, as the C kernels do it.
    @Override
    public long readSum(MemorySegment memory) {
        int length = LONGS.length();
        long run = memory.byteSize() / (4L * Long.BYTES * length) * length * Long.BYTES;
        LongVector s0 = LongVector.zero(LONGS);
        LongVector s1 = s0;
        LongVector s2 = s0;
        LongVector s3 = s0;
        for (long at = 0; at < run; at += (long) length * Long.BYTES) {
            s0 = s0.add(loadLongs(memory, at));
            s1 = s1.add(loadLongs(memory, run + at));
            s2 = s2.add(loadLongs(memory, 2 * run + at));
            s3 = s3.add(loadLongs(memory, 3 * run + at));
        }
        long sum = s0.add(s1).add(s2.add(s3)).reduceLanes(VectorOperators.ADD);
        return sum + super.readSum(memory.asSlice(4 * run));
    }

    private static LongVector loadLongs(MemorySegment memory, long offset) {
        return LongVector.fromMemorySegment(LONGS, memory, offset, ByteOrder.nativeOrder());
    }
}
