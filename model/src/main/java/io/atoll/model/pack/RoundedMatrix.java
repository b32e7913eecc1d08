package io.atoll.model.pack;

import io.atoll.model.quant.WeightMatrix;

/// A matrix with each value rounded to the nearest that BF16 has, ties to even.
record RoundedMatrix(WeightMatrix source) implements WeightMatrix {
    @Override
    public String name() {
        return source.name();
    }

    @Override
    public int rows() {
        return source.rows();
    }

    @Override
    public int cols() {
        return source.cols();
    }

    @Override
    public String encoding() {
        return source.encoding() + " rounded to BF16";
    }

    @Override
    public void decodeRows(int first, int count, float[] out, int outOffset) {
        source.decodeRows(first, count, out, outOffset);
        for (int i = outOffset; i < outOffset + count * cols(); i++) {
            out[i] = round(out[i]);
        }
    }

    private static float round(float value) {
        if (Float.isNaN(value)) {
            return Float.NaN;
        }
        int bits = Float.floatToRawIntBits(value);
        return Float.intBitsToFloat((bits + 0x7FFF + ((bits >>> 16) & 1)) & 0xFFFF0000);
    }
}
