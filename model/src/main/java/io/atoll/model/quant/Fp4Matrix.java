package io.atoll.model.quant;

import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/// E2M1 pairs, U8 `[rows, cols / 2]` with the even column in the low bits, and a byte of scale for each run of a row.
final class Fp4Matrix extends AbstractMatrix {
    /// How scales make a weight of an E2M1 value.
    enum Kind {
        /// ModelOpt's NVFP4: `(e2m1 * e4m3(scale)) * tensorScale`, runs of 16.
        NVFP4_MULTIPLIED("NVFP4", 16),
        /// compressed-tensors' NVFP4: `e2m1 * (e4m3(scale) / tensorScale)`, runs of 16.
        NVFP4_DIVIDED("NVFP4", 16),
        /// MXFP4: `e2m1 * 2^(scale - 127)`, runs of 32.
        MXFP4("MXFP4", 32);

        private final String label;
        private final int run;

        Kind(String label, int run) {
            this.label = label;
            this.run = run;
        }

        /// Columns that share a scale.
        int run() {
            return run;
        }
    }

    private final Kind kind;
    private final MemorySegment codes;
    private final MemorySegment scales;
    private final float tensorScale;

    /// @param scales `[rows, cols / kind.run()]`
    Fp4Matrix(
            String name,
            Kind kind,
            Tensor codes,
            Tensor scales,
            float tensorScale,
            int rows,
            int cols) {
        super(name, rows, cols);
        this.kind = kind;
        this.codes = codes.data();
        this.scales = scales.data();
        this.tensorScale = tensorScale;
    }

    @Override
    public String encoding() {
        return kind.label;
    }

    @Override
    void decode(int first, int count, float[] out, int to) {
        int cols = cols();
        int run = kind.run;
        float after = kind == Kind.NVFP4_MULTIPLIED ? tensorScale : 1f;
        for (int row = first; row < first + count; row++, to += cols) {
            long codesAt = (long) row * (cols / 2);
            long scalesAt = (long) row * (cols / run);
            for (int col = 0; col < cols; col += run) {
                float scale = runScale(scales.get(ValueLayout.JAVA_BYTE, scalesAt + col / run));
                for (int i = col; i < col + run; i += 2) {
                    int pair = codes.get(ValueLayout.JAVA_BYTE, codesAt + i / 2);
                    out[to + i] = MiniFloats.e2m1(pair) * scale * after;
                    out[to + i + 1] = MiniFloats.e2m1(pair >> 4) * scale * after;
                }
            }
        }
    }

    @Override
    public Optional<StoredCodes> codes() {
        return Optional.of(
                new StoredCodes(
                        StoredCodes.Code.E2M1,
                        kind == Kind.MXFP4 ? DType.F8_E8M0 : DType.F8_E4M3,
                        kind.run,
                        kind == Kind.MXFP4
                                ? Optional.empty()
                                : Optional.of(
                                        new StoredCodes.Factor(
                                                tensorScale, kind == Kind.NVFP4_DIVIDED)),
                        this::readCodes));
    }

    private void readCodes(int first, int count, byte[] out, float[] rowScales, byte[] zeros) {
        long scalesAt = (long) first * (cols() / kind.run);
        for (int i = 0; i < count * (cols() / kind.run); i++) {
            int code = scales.get(ValueLayout.JAVA_BYTE, scalesAt + i);
            rowScales[i] = kind == Kind.MXFP4 ? MiniFloats.e8m0(code) : MiniFloats.e4m3(code);
        }
        long codesAt = (long) first * (cols() / 2);
        for (int i = 0; i < count * (cols() / 2); i++) {
            int pair = codes.get(ValueLayout.JAVA_BYTE, codesAt + i);
            out[2 * i] = (byte) (pair & 15);
            out[2 * i + 1] = (byte) ((pair >> 4) & 15);
        }
    }

    private float runScale(int code) {
        return switch (kind) {
            case NVFP4_MULTIPLIED -> MiniFloats.e4m3(code);
            case NVFP4_DIVIDED -> MiniFloats.e4m3(code) / tensorScale;
            case MXFP4 -> MiniFloats.e8m0(code);
        };
    }
}
