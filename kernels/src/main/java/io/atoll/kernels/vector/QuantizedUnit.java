package io.atoll.kernels.vector;

import static io.atoll.kernels.WeightFormat.BLOCK;
import static io.atoll.kernels.vector.Lanes.FLOATS;
import static io.atoll.kernels.vector.Lanes.INTS;
import static io.atoll.kernels.vector.Lanes.LENGTH;
import static io.atoll.kernels.vector.Lanes.PARTS;
import static io.atoll.kernels.vector.Lanes.load;
import static io.atoll.kernels.vector.Lanes.loadBf16;
import static io.atoll.kernels.vector.Lanes.loadF16;
import static io.atoll.kernels.vector.Lanes.loadF8;
import static io.atoll.kernels.vector.Lanes.loadInts;
import static io.atoll.kernels.vector.Lanes.loadSignedBytes;
import static io.atoll.kernels.vector.Lanes.splat;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.atoll.kernels.BlockLayout;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/// The quantised product of one vector of outputs, for every layout whose levels are computed from their codes.
///
/// An int of the codes holds four neighbouring columns of one output.
final class QuantizedUnit {
    private static final int EACH_BYTE = 0x01010101;

    /// Doubled E2M1 magnitudes, four bits for each of their codes.
    private static final int E2M1_MAGNITUDES = 0xC864_3210;

    private QuantizedUnit() {}

    /// Whether [#product] takes a layout.
    static boolean computes(BlockLayout layout) {
        return layout.table().isEmpty() || isE2m1(layout);
    }

    private static boolean isE2m1(BlockLayout layout) {
        return layout.table().equals(BlockLayout.E2M1_DOUBLED);
    }

    /// @param unit number of the vector of outputs
    /// @param row where the row's bytes begin
    /// @param scaleRow index of the row's first scale
    static FloatVector product(
            PackedMatrix w,
            BlockLayout layout,
            int unit,
            MemorySegment q,
            long row,
            MemorySegment scales,
            long scaleRow) {
        int part = unit % PARTS;
        int firstOutput = unit / PARTS * WeightFormat.GROUP;
        int runs = BLOCK / layout.runColumns();
        long record = layout.record(w.cols(), firstOutput, 0);
        boolean e2m1 = isE2m1(layout);
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int first = 0; first < w.cols(); first += layout.columns()) {
            long block = record + layout.headerBytes();
            IntVector zero = IntVector.zero(INTS);
            if (layout.hasZero()) {
                zero = loadSignedBytes(w.data(), layout.zeros(w.cols(), firstOutput, first), part);
            }
            for (int b = 0; b < layout.columns() / BLOCK; b++) {
                float rowScale = scales.getAtIndex(JAVA_FLOAT, scaleRow++);
                for (int run = 0; run < runs; run++) {
                    int rowSum = rowSum(q, row, layout.runColumns());
                    IntVector dot =
                            e2m1
                                    ? e2m1Dot(w.data(), layout, block, run, part, q, row)
                                    : dot(w.data(), layout, block, run, part, q, row)
                                            .sub(zero.add(layout.offset()).mul(rowSum));
                    FloatVector product = toFloats(dot).mul(rowScale);
                    sum = product.fma(scale(w.data(), layout, record, b * runs + run, part), sum);
                    if (layout.hasMinimum()) {
                        FloatVector minimum =
                                minimum(w.data(), layout, record, b * runs + run, part);
                        sum = splat(rowSum * rowScale).fma(minimum, sum);
                    }
                    row += layout.runColumns();
                }
                block += layout.blockBytes();
            }
            record += layout.recordBytes();
        }
        return finish(w, layout, firstOutput, part, sum);
    }

    private static FloatVector finish(
            PackedMatrix w, BlockLayout layout, int output, int part, FloatVector sum) {
        if (!layout.hasFactor()) {
            return sum;
        }
        long group = layout.group(w.cols(), output);
        FloatVector factor = load(w.data(), group / 4 + (long) part * LENGTH);
        return layout.scales() == BlockLayout.Scales.E4M3_DIVIDED
                ? sum.div(factor)
                : sum.mul(factor);
    }

    private static int rowSum(MemorySegment q, long row, int count) {
        int sum = 0;
        for (int i = 0; i < count; i++) {
            sum += q.get(JAVA_BYTE, row + i);
        }
        return sum;
    }

    /// The exact products of the codes of a run with the row's bytes.
    private static IntVector dot(
            MemorySegment data,
            BlockLayout layout,
            long block,
            int run,
            int part,
            MemorySegment q,
            long row) {
        int vectors = layout.runColumns() / 4;
        long at = block + 4L * LENGTH * part;
        IntVector dot = IntVector.zero(INTS);
        for (int i = 0; i < vectors; i++) {
            int a = run * vectors + i;
            long low = at + layout.lowVector(a * layout.lowBits() / 8);
            IntVector codes = field(data, low, layout.lowBits(), a);
            if (layout.highBits() > 0) {
                long high = at + layout.highVector(a * layout.highBits() / 8);
                codes =
                        field(data, high, layout.highBits(), a)
                                .lanewise(VectorOperators.LSHL, layout.lowBits())
                                .or(codes);
            }
            long x = row + 4L * i;
            dot = dot.add(codes.and(255).mul(q.get(JAVA_BYTE, x)));
            dot = dot.add(byteOf(codes, 8).mul(q.get(JAVA_BYTE, x + 1)));
            dot = dot.add(byteOf(codes, 16).mul(q.get(JAVA_BYTE, x + 2)));
            dot = dot.add(byteOf(codes, 24).mul(q.get(JAVA_BYTE, x + 3)));
        }
        return dot;
    }

    /// The exact products of the doubled E2M1 numbers of a run with the row's bytes.
    private static IntVector e2m1Dot(
            MemorySegment data,
            BlockLayout layout,
            long block,
            int run,
            int part,
            MemorySegment q,
            long row) {
        int vectors = layout.runColumns() / 4;
        long at = block + 4L * LENGTH * part;
        IntVector dot = IntVector.zero(INTS);
        for (int i = 0; i < vectors; i++) {
            int a = run * vectors + i;
            IntVector codes = field(data, at + layout.lowVector(a * 4 / 8), 4, a);
            long x = row + 4L * i;
            dot = dot.add(e2m1(codes, 0).mul(q.get(JAVA_BYTE, x)));
            dot = dot.add(e2m1(codes, 8).mul(q.get(JAVA_BYTE, x + 1)));
            dot = dot.add(e2m1(codes, 16).mul(q.get(JAVA_BYTE, x + 2)));
            dot = dot.add(e2m1(codes, 24).mul(q.get(JAVA_BYTE, x + 3)));
        }
        return dot;
    }

    private static IntVector e2m1(IntVector codes, int shift) {
        IntVector code = byteOf(codes, shift);
        IntVector magnitude =
                IntVector.broadcast(INTS, E2M1_MAGNITUDES)
                        .lanewise(VectorOperators.LSHR, code.and(7).lanewise(VectorOperators.LSHL, 2))
                        .and(15);
        return magnitude.blend(magnitude.neg(), code.compare(VectorOperators.GE, 8));
    }

    private static IntVector field(MemorySegment data, long vector, int bits, int a) {
        return loadInts(data, vector)
                .lanewise(VectorOperators.LSHR, bits * (a % (8 / bits)))
                .and(((1 << bits) - 1) * EACH_BYTE);
    }

    private static IntVector byteOf(IntVector codes, int shift) {
        return codes.lanewise(VectorOperators.LSHR, shift).and(255);
    }

    private static FloatVector scale(
            MemorySegment data, BlockLayout layout, long record, int run, int part) {
        long lane = (long) part * LENGTH;
        long bytes = record + 64 + 16L * run;
        return switch (layout.scales()) {
            case F32_SCALE, F32_SCALE_AND_ZERO -> load(data, record / 4 + lane);
            case F16_SCALE, F16_SCALE_AND_MINIMUM, F16_SCALE_AND_ZERO ->
                    loadF16(data, record / 2 + lane);
            case BF16_SCALE, BF16_SCALE_AND_ZERO -> loadBf16(data, record / 2 + lane);
            case SCALE_AND_ZERO_OF_OUTPUT -> splat(1f);
            case E4M3_MULTIPLIED, E4M3_DIVIDED -> loadF8(data, record + 16L * run, part).mul(128f);
            case HALVES_TIMES_BYTES ->
                    loadF16(data, record / 2 + lane)
                            .mul(toFloats(loadSignedBytes(data, bytes + 16L * run, part).and(255)));
            case HALVES_TIMES_NIBBLES ->
                    loadF16(data, record / 2 + lane)
                            .mul(toFloats(loadSignedBytes(data, bytes, part).and(15)));
            case F32_TIMES_SIGNED_BYTES ->
                    load(data, record / 4 + lane).mul(toFloats(loadSignedBytes(data, bytes, part)));
        };
    }

    private static FloatVector minimum(
            MemorySegment data, BlockLayout layout, long record, int run, int part) {
        FloatVector unit = loadF16(data, record / 2 + 16 + (long) part * LENGTH);
        long bytes = record + 64 + 16L * run;
        return switch (layout.scales()) {
            case HALVES_TIMES_BYTES ->
                    unit.mul(toFloats(loadSignedBytes(data, bytes + 16L * run + 16, part).and(255)))
                            .neg();
            case HALVES_TIMES_NIBBLES ->
                    unit.mul(
                                    toFloats(
                                            loadSignedBytes(data, bytes, part)
                                                    .lanewise(VectorOperators.LSHR, 4)
                                                    .and(15)))
                            .neg();
            default -> unit;
        };
    }

    private static FloatVector toFloats(IntVector ints) {
        return (FloatVector) ints.convertShape(VectorOperators.I2F, FLOATS, 0);
    }
}
