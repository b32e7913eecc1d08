package io.atoll.model.quant;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/// The element types of GGUF files that this program decodes.
///
/// A type stores runs of [#blockElements()] numbers in blocks of [#blockBytes()] bytes. Rows are whole blocks. The formulas
/// stand beside the decoders in [GgmlBlocks].
public enum GgmlType {
    F32(0, 1, 4),
    F16(1, 1, 2),
    Q4_0(2, 32, 18),
    Q4_1(3, 32, 20),
    Q5_0(6, 32, 22),
    Q5_1(7, 32, 24),
    Q8_0(8, 32, 34),
    Q2_K(10, 256, 84),
    Q3_K(11, 256, 110),
    Q4_K(12, 256, 144),
    Q5_K(13, 256, 176),
    Q6_K(14, 256, 210),
    IQ4_NL(20, 32, 18),
    IQ4_XS(23, 256, 136),
    BF16(30, 1, 2),
    MXFP4(39, 32, 17),
    NVFP4(40, 64, 36);

    private final int id;
    private final int blockElements;
    private final int blockBytes;

    GgmlType(int id, int blockElements, int blockBytes) {
        this.id = id;
        this.blockElements = blockElements;
        this.blockBytes = blockBytes;
    }

    /// The number of the type in a file.
    public int id() {
        return id;
    }

    /// Numbers of one block.
    public int blockElements() {
        return blockElements;
    }

    /// Bytes of one block.
    public int blockBytes() {
        return blockBytes;
    }

    /// Whether an element is a number by itself, without a scale it shares with others.
    public boolean isPlain() {
        return blockElements == 1;
    }

    /// Bytes of `elements` numbers, which must be whole blocks.
    ///
    /// @throws IllegalArgumentException if they are not, or there are fewer than none
    /// @throws ArithmeticException if the bytes do not fit a long
    public long bytes(long elements) {
        if (elements < 0 || elements % blockElements != 0) {
            throw new IllegalArgumentException(
                    name() + " takes multiples of " + blockElements + " elements: " + elements);
        }
        return Math.multiplyExact(elements / blockElements, blockBytes);
    }

    /// The type with this number.
    ///
    /// @throws UnsupportedTypeException if this program does not decode it; the message names it and what to use instead
    public static GgmlType of(int id) {
        for (GgmlType type : values()) {
            if (type.id == id) {
                return type;
            }
        }
        throw UnsupportedTypeException.ofGgml(id);
    }

    /// Decodes `elements` numbers (whole blocks) that begin at byte `offset` of `blocks` into `out`, from `outOffset` on.
    ///
    /// `blocks` need not be aligned. Allocates nothing.
    public void dequantize(
            MemorySegment blocks, long offset, float[] out, int outOffset, int elements) {
        Objects.checkFromIndexSize(offset, bytes(elements), blocks.byteSize());
        Objects.checkFromIndexSize(outOffset, elements, out.length);
        int count = elements / blockElements;
        switch (this) {
            case F32 -> GgmlBlocks.f32(blocks, offset, out, outOffset, count);
            case F16 -> GgmlBlocks.f16(blocks, offset, out, outOffset, count);
            case Q4_0 -> GgmlBlocks.q40(blocks, offset, out, outOffset, count);
            case Q4_1 -> GgmlBlocks.q41(blocks, offset, out, outOffset, count);
            case Q5_0 -> GgmlBlocks.q50(blocks, offset, out, outOffset, count);
            case Q5_1 -> GgmlBlocks.q51(blocks, offset, out, outOffset, count);
            case Q8_0 -> GgmlBlocks.q80(blocks, offset, out, outOffset, count);
            case Q2_K -> GgmlBlocks.q2k(blocks, offset, out, outOffset, count);
            case Q3_K -> GgmlBlocks.q3k(blocks, offset, out, outOffset, count);
            case Q4_K -> GgmlBlocks.q4k(blocks, offset, out, outOffset, count);
            case Q5_K -> GgmlBlocks.q5k(blocks, offset, out, outOffset, count);
            case Q6_K -> GgmlBlocks.q6k(blocks, offset, out, outOffset, count);
            case IQ4_NL -> GgmlBlocks.iq4nl(blocks, offset, out, outOffset, count);
            case IQ4_XS -> GgmlBlocks.iq4xs(blocks, offset, out, outOffset, count);
            case BF16 -> GgmlBlocks.bf16(blocks, offset, out, outOffset, count);
            case MXFP4 -> GgmlBlocks.mxfp4(blocks, offset, out, outOffset, count);
            case NVFP4 -> GgmlBlocks.nvfp4(blocks, offset, out, outOffset, count);
        }
    }

    /// As the other, into `elements` f32 of native order at the beginning of `out`.
    public void dequantize(MemorySegment blocks, long offset, MemorySegment out, int elements) {
        Objects.checkFromIndexSize(0, 4L * elements, out.byteSize());
        float[] values = new float[elements];
        dequantize(blocks, offset, values, 0, elements);
        MemorySegment.copy(MemorySegment.ofArray(values), 0, out, 0, 4L * elements);
    }
}
