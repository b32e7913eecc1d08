package io.atoll.kernels.vector;

import static io.atoll.kernels.scalar.ScalarMath.EXP_2;
import static io.atoll.kernels.scalar.ScalarMath.EXP_3;
import static io.atoll.kernels.scalar.ScalarMath.EXP_4;
import static io.atoll.kernels.scalar.ScalarMath.EXP_5;
import static io.atoll.kernels.scalar.ScalarMath.EXP_6;
import static io.atoll.kernels.scalar.ScalarMath.EXP_7;
import static io.atoll.kernels.scalar.ScalarMath.EXP_HIGHEST;
import static io.atoll.kernels.scalar.ScalarMath.EXP_LOWEST;
import static io.atoll.kernels.scalar.ScalarMath.LOG2_E;
import static io.atoll.kernels.scalar.ScalarMath.MINUS_LN2_HIGH;
import static io.atoll.kernels.scalar.ScalarMath.MINUS_LN2_LOW;
import static io.atoll.kernels.scalar.ScalarMath.ROUND;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// Loads, stores, the order "lanes" and the exponential, on the machine's own vector size.
///
/// The contract's 16 lanes are [#PARTS] vectors of [#LENGTH] floats.
final class Lanes {
    static final VectorSpecies<Float> FLOATS = species(FloatVector.SPECIES_PREFERRED);
    static final VectorSpecies<Integer> INTS = FLOATS.withLanes(int.class);
    static final VectorSpecies<Short> SHORTS =
            VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));
    static final int LENGTH = FLOATS.length();
    static final int PARTS = 16 / LENGTH;

    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    private Lanes() {}

    private static VectorSpecies<Float> species(VectorSpecies<Float> preferred) {
        return switch (preferred.length()) {
            case 1, 2, 4 -> FloatVector.SPECIES_128;
            case 8 -> FloatVector.SPECIES_256;
            default -> FloatVector.SPECIES_512;
        };
    }

    static FloatVector load(MemorySegment segment, long index) {
        return FloatVector.fromMemorySegment(FLOATS, segment, 4 * index, ORDER);
    }

    static void store(FloatVector vector, MemorySegment segment, long index) {
        vector.intoMemorySegment(segment, 4 * index, ORDER);
    }

    /// The first `count` lanes.
    static void store(FloatVector vector, MemorySegment segment, long index, int count) {
        if (count >= LENGTH) {
            store(vector, segment, index);
        } else {
            vector.intoMemorySegment(segment, 4 * index, ORDER, FLOATS.indexInRange(0, count));
        }
    }

    static FloatVector loadBf16(MemorySegment segment, long index) {
        ShortVector bits = ShortVector.fromMemorySegment(SHORTS, segment, 2 * index, ORDER);
        return bits.convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                .reinterpretAsInts()
                .lanewise(VectorOperators.LSHL, 16)
                .reinterpretAsFloats();
    }

    /// The float whose fields are a half's is 2^112 too small, subnormal ones included; infinities and NaNs also need the
    /// largest exponent.
    static FloatVector loadF16(MemorySegment segment, long index) {
        IntVector half =
                ShortVector.fromMemorySegment(SHORTS, segment, 2 * index, ORDER)
                        .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                        .reinterpretAsInts();
        IntVector fields = half.and(0x7FFF).lanewise(VectorOperators.LSHL, 13);
        IntVector finite = fields.reinterpretAsFloats().mul(0x1p112f).reinterpretAsInts();
        IntVector magnitude =
                finite.blend(
                        fields.or(0x7F80_0000), fields.compare(VectorOperators.GE, 0xF80_0000));
        return half.and(0x8000)
                .lanewise(VectorOperators.LSHL, 16)
                .or(magnitude)
                .reinterpretAsFloats();
    }

    /// The `part`-th [#LENGTH] of sixteen E4M3 numbers, each divided by 256: [io.atoll.kernels.Fp8Layout].
    static FloatVector loadF8(MemorySegment segment, long offset, int part) {
        IntVector codes = loadSignedBytes(segment, offset, part);
        IntVector magnitude = codes.and(0x7F);
        IntVector finite =
                magnitude
                        .lanewise(VectorOperators.LSHL, 20)
                        .reinterpretAsFloats()
                        .mul(0x1p112f)
                        .reinterpretAsInts();
        return codes.and(0x8000_0000)
                .or(finite.blend(0x7FC0_0000, magnitude.compare(VectorOperators.EQ, 0x7F)))
                .reinterpretAsFloats();
    }

    /// The `part`-th [#LENGTH] of sixteen bytes.
    static IntVector loadSignedBytes(MemorySegment segment, long offset, int part) {
        return ByteVector.fromMemorySegment(ByteVector.SPECIES_128, segment, offset, ORDER)
                .convertShape(VectorOperators.B2I, INTS, part)
                .reinterpretAsInts();
    }

    static IntVector loadInts(MemorySegment segment, long offset) {
        return IntVector.fromMemorySegment(INTS, segment, offset, ORDER);
    }

    /// A dot product by lanes. `n` is a multiple of 16.
    static float dot(MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n) {
        return switch (PARTS) {
            case 1 -> dot1(a, aFirst, b, bFirst, n);
            case 2 -> dot2(a, aFirst, b, bFirst, n);
            default -> dot4(a, aFirst, b, bFirst, n);
        };
    }

    private static float dot1(MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int i = 0; i < n; i += 16) {
            sum = load(a, aFirst + i).fma(load(b, bFirst + i), sum);
        }
        return fold16(sum);
    }

    private static float dot2(MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n) {
        FloatVector low = FloatVector.zero(FLOATS);
        FloatVector high = low;
        for (int i = 0; i < n; i += 16) {
            low = load(a, aFirst + i).fma(load(b, bFirst + i), low);
            high = load(a, aFirst + i + 8).fma(load(b, bFirst + i + 8), high);
        }
        return fold8(low.add(high));
    }

    private static float dot4(MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n) {
        FloatVector s0 = FloatVector.zero(FLOATS);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        for (int i = 0; i < n; i += 16) {
            s0 = load(a, aFirst + i).fma(load(b, bFirst + i), s0);
            s1 = load(a, aFirst + i + 4).fma(load(b, bFirst + i + 4), s1);
            s2 = load(a, aFirst + i + 8).fma(load(b, bFirst + i + 8), s2);
            s3 = load(a, aFirst + i + 12).fma(load(b, bFirst + i + 12), s3);
        }
        return fold4(s0.add(s2).add(s1.add(s3)));
    }

    /// The same with `b` in BF16.
    static float dotBf16(MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n) {
        return switch (PARTS) {
            case 1 -> dotBf16In1(a, aFirst, b, bFirst, n);
            case 2 -> dotBf16In2(a, aFirst, b, bFirst, n);
            default -> dotBf16In4(a, aFirst, b, bFirst, n);
        };
    }

    private static float dotBf16In1(
            MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int i = 0; i < n; i += 16) {
            sum = load(a, aFirst + i).fma(loadBf16(b, bFirst + i), sum);
        }
        return fold16(sum);
    }

    private static float dotBf16In2(
            MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n) {
        FloatVector low = FloatVector.zero(FLOATS);
        FloatVector high = low;
        for (int i = 0; i < n; i += 16) {
            low = load(a, aFirst + i).fma(loadBf16(b, bFirst + i), low);
            high = load(a, aFirst + i + 8).fma(loadBf16(b, bFirst + i + 8), high);
        }
        return fold8(low.add(high));
    }

    private static float dotBf16In4(
            MemorySegment a, long aFirst, MemorySegment b, long bFirst, int n) {
        FloatVector s0 = FloatVector.zero(FLOATS);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        for (int i = 0; i < n; i += 16) {
            s0 = load(a, aFirst + i).fma(loadBf16(b, bFirst + i), s0);
            s1 = load(a, aFirst + i + 4).fma(loadBf16(b, bFirst + i + 4), s1);
            s2 = load(a, aFirst + i + 8).fma(loadBf16(b, bFirst + i + 8), s2);
            s3 = load(a, aFirst + i + 12).fma(loadBf16(b, bFirst + i + 12), s3);
        }
        return fold4(s0.add(s2).add(s1.add(s3)));
    }

    private static float fold16(FloatVector v) {
        float l0 = (v.lane(0) + v.lane(8)) + (v.lane(4) + v.lane(12));
        float l1 = (v.lane(1) + v.lane(9)) + (v.lane(5) + v.lane(13));
        float l2 = (v.lane(2) + v.lane(10)) + (v.lane(6) + v.lane(14));
        float l3 = (v.lane(3) + v.lane(11)) + (v.lane(7) + v.lane(15));
        return (l0 + l2) + (l1 + l3);
    }

    private static float fold8(FloatVector v) {
        float l0 = v.lane(0) + v.lane(4);
        float l1 = v.lane(1) + v.lane(5);
        float l2 = v.lane(2) + v.lane(6);
        float l3 = v.lane(3) + v.lane(7);
        return (l0 + l2) + (l1 + l3);
    }

    private static float fold4(FloatVector v) {
        return (v.lane(0) + v.lane(2)) + (v.lane(1) + v.lane(3));
    }

    /// [io.atoll.kernels.scalar.ScalarMath#exp], lane by lane.
    static FloatVector exp(FloatVector x) {
        FloatVector top = x.blend(EXP_HIGHEST, x.compare(VectorOperators.GT, EXP_HIGHEST));
        FloatVector shifted = top.mul(LOG2_E).add(ROUND);
        FloatVector n = shifted.sub(ROUND);
        FloatVector r = n.fma(splat(MINUS_LN2_HIGH), top);
        r = n.fma(splat(MINUS_LN2_LOW), r);
        FloatVector p = splat(EXP_7);
        p = p.fma(r, splat(EXP_6));
        p = p.fma(r, splat(EXP_5));
        p = p.fma(r, splat(EXP_4));
        p = p.fma(r, splat(EXP_3));
        p = p.fma(r, splat(EXP_2));
        p = p.fma(r, splat(1f));
        p = p.fma(r, splat(1f));
        FloatVector power =
                shifted.reinterpretAsInts()
                        .add(127)
                        .lanewise(VectorOperators.LSHL, 23)
                        .reinterpretAsFloats();
        return p.mul(power).blend(0f, x.compare(VectorOperators.LT, EXP_LOWEST));
    }

    static FloatVector sigmoid(FloatVector x) {
        return splat(1f).div(exp(x.neg()).add(1f));
    }

    static FloatVector silu(FloatVector x) {
        return x.div(exp(x.neg()).add(1f));
    }

    static FloatVector splat(float x) {
        return FloatVector.broadcast(FLOATS, x);
    }
}
