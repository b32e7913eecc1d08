package io.atoll.kernels;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// A matrix of random codes with scales, and what each weight means, written as the formulas of quantised safetensors (model
/// spec C.5) and with nothing of the layouts.
///
/// @param rows outputs
/// @param group columns that share a scale
/// @param all every row
record CodedMatrix(WeightFormat format, int rows, int cols, int group, CodedRows all) {
    private static final float[] E2M1 = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

    /// Formats that take codes.
    static List<WeightFormat> formats() {
        return Arrays.stream(WeightFormat.values())
                .filter(
                        format ->
                                format == WeightFormat.F8_E4M3
                                        || format == WeightFormat.MXFP4
                                        || format.name().startsWith("NVFP4")
                                        || format.name().startsWith("INT"))
                .toList();
    }

    static boolean isFour(WeightFormat format) {
        return !format.name().startsWith("INT8") && format != WeightFormat.F8_E4M3;
    }

    static boolean isInteger(WeightFormat format) {
        return format.name().startsWith("INT");
    }

    /// Codes of every kind but NaN, zero points of the whole range, and scales of any size that the format holds.
    static CodedMatrix random(Random random, WeightFormat format, int rows, int cols) {
        int group = group(format, cols);
        int groups = Math.ceilDiv(cols, group);
        byte[] codes = new byte[rows * cols];
        random.nextBytes(codes);
        for (int i = 0; i < codes.length; i++) {
            if (isFour(format)) {
                codes[i] &= 15;
            } else if (format == WeightFormat.F8_E4M3 && (codes[i] & 0x7F) == 0x7F) {
                codes[i] = (byte) (random.nextBoolean() ? 0x7E : 0x80);
            }
        }
        float[] scales = new float[rows * groups];
        for (int i = 0; i < scales.length; i++) {
            scales[i] = scale(random, format);
        }
        byte[] zeros = new byte[rows * groups];
        random.nextBytes(zeros);
        float[] factors = new float[rows];
        for (int i = 0; i < rows; i++) {
            factors[i] = (random.nextFloat() + 0.5f) * (random.nextInt(5) == 0 ? 2000 : 0.01f);
        }
        return new CodedMatrix(
                format, rows, cols, group, new CodedRows(codes, scales, zeros, factors));
    }

    /// The columns of a group, by the format's name.
    private static int group(WeightFormat format, int cols) {
        return switch (format) {
            case F8_E4M3 -> 128;
            case MXFP4 -> 32;
            case NVFP4, NVFP4_DIVIDED -> 16;
            case INT4_ROW, INT8_ROW -> cols;
            default -> Integer.parseInt(format.name().split("_", -1)[1]);
        };
    }

    private static float scale(Random random, WeightFormat format) {
        if (format == WeightFormat.MXFP4) {
            return Math.scalb(1f, random.nextInt(255) - 127);
        }
        boolean extreme = random.nextInt(8) == 0;
        float sign = random.nextInt(8) == 0 ? -1 : 1;
        if (format.name().startsWith("NVFP4")) {
            int code = random.nextInt(0x7F);
            return sign * e4m3(extreme ? random.nextInt(8) : code);
        }
        if (format.name().endsWith("_F16")) {
            short bits = (short) (extreme ? random.nextInt(0x400) : random.nextInt(0x7C00));
            return sign * Float.float16ToFloat(bits);
        }
        float scale = (random.nextFloat() + 0.5f) * (extreme ? 0x1p-130f : 0x1p-8f);
        if (format.name().endsWith("_BF16")) {
            scale = Float.intBitsToFloat(Float.floatToIntBits(scale) & 0xFFFF_0000);
        }
        return sign * scale;
    }

    static float e4m3(int code) {
        int exponent = code >> 3 & 15;
        float magnitude =
                exponent == 0
                        ? Math.scalb((float) (code & 7), -9)
                        : Math.scalb((float) (8 + (code & 7)), exponent - 10);
        return (code & 0x80) != 0 ? -magnitude : magnitude;
    }

    /// The weight, one rounding after the other as the formula has them.
    float value(int row, int column) {
        int code = all.codes()[row * cols + column] & 255;
        int at = row * Math.ceilDiv(cols, group) + column / group;
        float scale = all.scales()[at];
        if (isInteger(format)) {
            return (code - (isFour(format) ? 8 : 128) - all.zeros()[at]) * scale;
        }
        if (format == WeightFormat.F8_E4M3) {
            return e4m3(code) * scale;
        }
        float number = (code < 8 ? 1 : -1) * E2M1[code & 7];
        return switch (format) {
            case NVFP4 -> number * scale * all.factors()[row];
            case NVFP4_DIVIDED -> number * (scale / all.factors()[row]);
            default -> number * scale;
        };
    }

    PackedMatrix pack(Arena arena) {
        int groups = Math.ceilDiv(cols, group);
        return Packing.packCodes(
                format,
                rows,
                cols,
                (first, count, to) -> {
                    System.arraycopy(all.codes(), first * cols, to.codes(), 0, count * cols);
                    System.arraycopy(all.scales(), first * groups, to.scales(), 0, count * groups);
                    System.arraycopy(all.zeros(), first * groups, to.zeros(), 0, count * groups);
                    System.arraycopy(all.factors(), first, to.factors(), 0, count);
                },
                arena);
    }

    /// Bits of one weight and its part of a scale, as published files store them: zero points take as many bits as codes.
    static double sourceBits(WeightFormat format) {
        int bits = isFour(format) ? 4 : 8;
        return switch (format) {
            case F8_E4M3, INT4_ROW, INT8_ROW -> bits;
            case MXFP4 -> bits + 8.0 / 32;
            case NVFP4, NVFP4_DIVIDED -> bits + 8.0 / 16;
            default -> bits + (format.name().endsWith("_F32") ? 32.0 : 16.0) / group(format, 4096);
        };
    }
}
