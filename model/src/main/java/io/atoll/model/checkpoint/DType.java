package io.atoll.model.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Optional;

/// Element types of a safetensors file, under the names used there. All are little-endian.
public enum DType {
    F64(8),
    F32(4),
    F16(2),
    BF16(2),
    F8_E4M3(1),
    F8_E5M2(1),
    F8_E8M0(1),
    I64(8),
    I32(4),
    I16(2),
    I8(1),
    U64(8),
    U32(4),
    U16(2),
    U8(1),
    BOOL(1);

    // Tensors start wherever the header ends, so nothing is sure to be aligned.
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble DOUBLE =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /// Bytes of one element.
    public int bytes() {
        return bytes;
    }

    /// Whether an element is a number by itself that [Tensor#floats()] can widen. The 8-bit floats are not: they
    /// mean something only together with their scales.
    public boolean widensToFloat() {
        return switch (this) {
            case F64, F32, F16, BF16 -> true;
            case F8_E4M3, F8_E5M2, F8_E8M0, I64, I32, I16, I8, U64, U32, U16, U8, BOOL -> false;
        };
    }

    /// The type with this name, if there is one.
    static Optional<DType> named(String name) {
        for (DType type : values()) {
            if (type.name().equals(name)) {
                return Optional.of(type);
            }
        }
        return Optional.empty();
    }

    /// The f32 value of a bfloat16, which is the upper half of it. Exact.
    public static float bf16ToFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /// The bfloat16 nearest to an f32, ties to even. A NaN stays a NaN.
    public static short floatToBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) ((bits >>> 16) | 0x40); // quiet, and never the pattern of an infinity
        }
        return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
    }

    /// The f32 value of an IEEE half. Exact.
    public static float f16ToFloat(short bits) {
        return Float.float16ToFloat(bits);
    }

    /// The IEEE half nearest to an f32, ties to even.
    public static short floatToF16(float value) {
        return Float.floatToFloat16(value);
    }

    /// Widens `count` elements of `source`, from element `first` on, into `target`. F64 is rounded to f32; the rest
    /// is exact.
    void widen(MemorySegment source, long first, float[] target, int offset, int count) {
        long at = first * bytes;
        switch (this) {
            case F32 -> MemorySegment.copy(source, FLOAT, at, target, offset, count);
            case BF16 -> {
                for (int i = 0; i < count; i++) {
                    target[offset + i] = bf16ToFloat(source.get(SHORT, at + 2L * i));
                }
            }
            case F16 -> {
                for (int i = 0; i < count; i++) {
                    target[offset + i] = f16ToFloat(source.get(SHORT, at + 2L * i));
                }
            }
            case F64 -> {
                for (int i = 0; i < count; i++) {
                    target[offset + i] = (float) source.get(DOUBLE, at + 8L * i);
                }
            }
            case F8_E4M3, F8_E5M2, F8_E8M0, I64, I32, I16, I8, U64, U32, U16, U8, BOOL ->
                    throw new IllegalStateException(this + " does not widen to f32");
        }
    }
}
