package io.atoll.model.quant;

import io.atoll.model.checkpoint.DType;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/// Another matrix with its rows, or its columns, in another order.
///
/// Some leading rows (or columns) stay; the rest moves in runs of [#unit()]: run `i` of this matrix is run `order[i]` of the
/// [#source()]. So the value heads of a Gated DeltaNet layer can be put back into the order of a release.
public final class ReorderedMatrix extends AbstractMatrix {
    /// What is moved.
    public enum Axis {
        ROWS,
        COLUMNS
    }

    private final WeightMatrix source;
    private final Axis axis;
    private final int kept;
    private final int unit;
    private final int[] order;

    /// @param kept leading rows (or columns) that stay where they are
    /// @param unit rows (or columns) that move together
    /// @param order where each run after the kept ones comes from; a permutation of all of them
    public ReorderedMatrix(WeightMatrix source, Axis axis, int kept, int unit, int[] order) {
        super(source.name(), source.rows(), source.cols());
        this.source = source;
        this.axis = Objects.requireNonNull(axis, "axis");
        this.kept = kept;
        this.unit = unit;
        this.order = order.clone();
        int size = axis == Axis.ROWS ? source.rows() : source.cols();
        if (kept < 0 || unit <= 0 || kept + (long) unit * order.length != size) {
            throw new IllegalArgumentException(
                    "cannot reorder "
                            + source
                            + ": "
                            + kept
                            + " + "
                            + order.length
                            + " runs of "
                            + unit
                            + " "
                            + axis);
        }
        int[] sorted = order.clone();
        Arrays.sort(sorted);
        for (int i = 0; i < sorted.length; i++) {
            if (sorted[i] != i) {
                throw new IllegalArgumentException("no permutation: " + Arrays.toString(order));
            }
        }
    }

    /// The matrix as it is stored.
    public WeightMatrix source() {
        return source;
    }

    /// What is moved.
    public Axis axis() {
        return axis;
    }

    /// Rows (or columns) that move together.
    public int unit() {
        return unit;
    }

    /// Where a row (or column) of this matrix is in the source.
    public int sourceIndex(int index) {
        int moved = index - kept;
        return moved < 0 ? index : kept + order[moved / unit] * unit + moved % unit;
    }

    @Override
    public String encoding() {
        return source.encoding();
    }

    @Override
    public Optional<DType> plainType() {
        return source.plainType();
    }

    /// Runs of rows are cut out of the source where they lie. Runs of columns need not be whole blocks, so there are none then.
    @Override
    public Optional<StoredBlocks> blocks() {
        return axis == Axis.COLUMNS
                ? Optional.empty()
                : source.blocks().filter(stored -> stored.rows().size() == 1).map(this::moved);
    }

    /// As with blocks: groups of columns stay together where rows are moved only.
    @Override
    public Optional<StoredCodes> codes() {
        return axis == Axis.COLUMNS
                ? Optional.empty()
                : source.codes().map(stored -> stored.withReader(movedRows(stored)));
    }

    private StoredCodes.Reader movedRows(StoredCodes stored) {
        int groups = Math.ceilDiv(cols(), stored.groupColumns());
        return (first, count, codes, scales, zeros) -> {
            byte[] rowCodes = new byte[cols()];
            float[] rowScales = new float[groups];
            byte[] rowZeros = new byte[groups];
            for (int i = 0; i < count; i++) {
                stored.reader().read(sourceIndex(first + i), 1, rowCodes, rowScales, rowZeros);
                System.arraycopy(rowCodes, 0, codes, i * cols(), cols());
                System.arraycopy(rowScales, 0, scales, i * groups, groups);
                System.arraycopy(rowZeros, 0, zeros, i * groups, groups);
            }
        };
    }

    private StoredBlocks moved(StoredBlocks stored) {
        MemorySegment all = stored.rows().getFirst();
        long rowBytes = stored.type().bytes(cols());
        List<MemorySegment> runs = new ArrayList<>();
        if (kept > 0) {
            runs.add(all.asSlice(0, kept * rowBytes));
        }
        for (int run : order) {
            runs.add(all.asSlice((kept + (long) run * unit) * rowBytes, unit * rowBytes));
        }
        return new StoredBlocks(stored.type(), runs);
    }

    @Override
    void decode(int first, int count, float[] out, int to) {
        switch (axis) {
            case ROWS -> decodeMovedRows(first, count, out, to);
            case COLUMNS -> decodeMovedColumns(first, count, out, to);
        }
    }

    private void decodeMovedRows(int first, int count, float[] out, int to) {
        for (int row = first; row < first + count; ) {
            int left = row < kept ? kept - row : unit - (row - kept) % unit;
            int together = Math.min(left, first + count - row);
            source.decodeRows(sourceIndex(row), together, out, to + (row - first) * cols());
            row += together;
        }
    }

    private void decodeMovedColumns(int first, int count, float[] out, int to) {
        source.decodeRows(first, count, out, to);
        int width = cols() - kept;
        float[] stored = new float[width];
        for (int row = 0; row < count; row++) {
            int start = to + row * cols() + kept;
            System.arraycopy(out, start, stored, 0, width);
            for (int run = 0; run < order.length; run++) {
                System.arraycopy(stored, order[run] * unit, out, start + run * unit, unit);
            }
        }
    }
}
