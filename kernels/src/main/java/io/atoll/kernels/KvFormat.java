package io.atoll.kernels;

/// How a key or value element is kept.
public enum KvFormat {
    F32(Float.BYTES),
    /// The upper half of an f32, rounded once by [Kernels#toBf16] as it is written, and exact when it is read.
    BF16(Short.BYTES);

    private final int elementBytes;

    KvFormat(int elementBytes) {
        this.elementBytes = elementBytes;
    }

    public int elementBytes() {
        return elementBytes;
    }
}
