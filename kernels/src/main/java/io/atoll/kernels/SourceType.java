package io.atoll.kernels;

/// How a row-major source of [Packing] stores its numbers, little-endian.
public enum SourceType {
    F32(4),
    BF16(2),
    F16(2);

    private final int bytes;

    SourceType(int bytes) {
        this.bytes = bytes;
    }

    /// Bytes of one number.
    public int bytes() {
        return bytes;
    }
}
