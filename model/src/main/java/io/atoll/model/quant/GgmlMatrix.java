package io.atoll.model.quant;

import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/// A matrix of GGML blocks, as GGUF files store them: rows one after the other, each of whole blocks.
public final class GgmlMatrix extends AbstractMatrix {
    private final GgmlType type;
    private final MemorySegment data;
    private final Path file;
    private final long rowBytes;
    private final float scale;

    /// @param name for messages
    /// @param data exactly the blocks of `rows` rows; borrowed
    /// @param file where they lie
    /// @param scale a factor for the whole matrix that the blocks leave out; 1 for all types but NVFP4
    public GgmlMatrix(
            String name,
            GgmlType type,
            int rows,
            int cols,
            MemorySegment data,
            Path file,
            float scale) {
        super(name, rows, cols);
        this.type = Objects.requireNonNull(type, "type");
        this.data = data;
        this.file = Objects.requireNonNull(file, "file");
        this.rowBytes = type.bytes(cols);
        this.scale = scale;
        if (data.byteSize() != Math.multiplyExact(rows, rowBytes)) {
            throw new IllegalArgumentException(
                    this + " takes " + rows * rowBytes + " bytes, not " + data.byteSize());
        }
    }

    /// The type of its blocks.
    public GgmlType type() {
        return type;
    }

    /// The blocks of all rows, read-only, so that packing can take integers and scales as they are.
    public MemorySegment data() {
        return data;
    }

    /// The factor for the whole matrix that the blocks leave out.
    public float scale() {
        return scale;
    }

    @Override
    public String encoding() {
        return type.name();
    }

    @Override
    void decode(int first, int count, float[] out, int to) {
        type.dequantize(data, first * rowBytes, out, to, count * cols());
        if (scale != 1) {
            for (int i = to; i < to + count * cols(); i++) {
                out[i] *= scale;
            }
        }
    }

    @Override
    public Optional<StoredBlocks> blocks() {
        return type.isPlain() || scale != 1
                ? Optional.empty()
                : Optional.of(new StoredBlocks(type, List.of(data)));
    }

    /// NVFP4 is the one type with a factor beside its blocks.
    @Override
    public Optional<StoredCodes> codes() {
        return type == GgmlType.NVFP4
                ? Optional.of(
                        new StoredCodes(
                                StoredCodes.Code.E2M1,
                                DType.F8_E4M3,
                                16,
                                Optional.of(new StoredCodes.Factor(scale, false)),
                                this::readNvfp4))
                : Optional.empty();
    }

    private void readNvfp4(int first, int count, byte[] codes, float[] scales, byte[] zeros) {
        long at = first * rowBytes;
        for (int group = 0; group < count * (cols() / 16); group++) {
            int inBlock = group % 4;
            scales[group] = MiniFloats.ue4m3(data.get(ValueLayout.JAVA_BYTE, at + inBlock));
            for (int i = 0; i < 8; i++) {
                int pair = data.get(ValueLayout.JAVA_BYTE, at + 4 + 8L * inBlock + i);
                codes[16 * group + i] = (byte) (pair & 15);
                codes[16 * group + 8 + i] = (byte) ((pair >> 4) & 15);
            }
            at += inBlock == 3 ? type.blockBytes() : 0;
        }
    }

    @Override
    public Optional<Tensor> plain() {
        if (!type.isPlain() || scale != 1) {
            return Optional.empty();
        }
        DType dtype =
                switch (type) {
                    case F16 -> DType.F16;
                    case BF16 -> DType.BF16;
                    default -> DType.F32;
                };
        return Optional.of(new Tensor(name(), dtype, new long[] {rows(), cols()}, data, file));
    }
}
