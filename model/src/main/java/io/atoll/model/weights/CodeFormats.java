package io.atoll.model.weights;

import io.atoll.kernels.CodeReader;
import io.atoll.kernels.CodedRows;
import io.atoll.kernels.Packing;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.quant.StoredCodes;
import io.atoll.model.quant.StoredCodes.Code;
import io.atoll.model.quant.StoredCodes.Factor;
import io.atoll.model.quant.WeightMatrix;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// Which packed format keeps the codes of a quantised matrix, and how they get there.
final class CodeFormats {
    private CodeFormats() {}

    /// The format that keeps the codes and scales of a matrix as they are; empty if there is none.
    static Optional<WeightFormat> of(WeightMatrix matrix) {
        return matrix.codes()
                .flatMap(codes -> of(codes, matrix.cols()))
                .filter(format -> matrix.cols() % format.columnMultiple() == 0);
    }

    private static Optional<WeightFormat> of(StoredCodes stored, int cols) {
        return switch (stored.code()) {
            case E4M3 ->
                    stored.groupColumns() >= cols || stored.groupColumns() % 128 == 0
                            ? Optional.of(WeightFormat.F8_E4M3)
                            : Optional.empty();
            case E2M1 ->
                    stored.factor()
                            .map(
                                    factor ->
                                            factor.divides()
                                                    ? WeightFormat.NVFP4_DIVIDED
                                                    : WeightFormat.NVFP4)
                            .or(() -> Optional.of(WeightFormat.MXFP4));
            case INT4, INT8 -> integers(stored, cols);
        };
    }

    /// The widest groups that groups of the file are made of: a scale that is stored once may be packed several times, but then
    /// for many columns each.
    private static Optional<WeightFormat> integers(StoredCodes stored, int cols) {
        if (stored.groupColumns() >= cols) {
            return Optional.of(
                    stored.code() == Code.INT4 ? WeightFormat.INT4_ROW : WeightFormat.INT8_ROW);
        }
        return List.of(128, 64, 32).stream()
                .filter(width -> stored.groupColumns() % width == 0 && cols % width == 0)
                .findFirst()
                .map(width -> integers(stored.code(), width, stored.scale()));
    }

    private static WeightFormat integers(Code code, int width, DType scale) {
        String type =
                switch (scale) {
                    case F16, BF16 -> scale.name();
                    default -> "F32";
                };
        return WeightFormat.valueOf(code + "_" + width + "_" + type);
    }

    /// Reads matrices below each other for [Packing#packCodes].
    ///
    /// @param format what [#of] says of all of them
    static CodeReader reader(WeightFormat format, List<WeightMatrix> matrices) {
        return (first, count, rows) -> {
            int top = 0;
            for (WeightMatrix matrix : matrices) {
                int from = Math.max(first, top);
                int to = Math.min(first + count, top + matrix.rows());
                if (from < to) {
                    read(format, matrix, from - top, to - from, rows, from - first);
                }
                top += matrix.rows();
            }
        };
    }

    private static void read(
            WeightFormat format,
            WeightMatrix matrix,
            int first,
            int count,
            CodedRows rows,
            int target) {
        StoredCodes stored = matrix.codes().orElseThrow();
        int cols = matrix.cols();
        int storedGroups = Math.ceilDiv(cols, stored.groupColumns());
        byte[] codes = new byte[count * cols];
        float[] scales = new float[count * storedGroups];
        byte[] zeros = new byte[count * storedGroups];
        stored.reader().read(first, count, codes, scales, zeros);
        System.arraycopy(codes, 0, rows.codes(), target * cols, codes.length);
        int width = Packing.groupColumns(format, cols);
        int groups = Math.ceilDiv(cols, width);
        for (int i = 0; i < count; i++) {
            for (int group = 0; group < groups; group++) {
                int from = i * storedGroups + group * width / stored.groupColumns();
                rows.scales()[(target + i) * groups + group] = scales[from];
                rows.zeros()[(target + i) * groups + group] = zeros[from];
            }
        }
        float factor = stored.factor().map(Factor::value).orElse(1f);
        Arrays.fill(rows.factors(), target, target + count, factor);
    }
}
