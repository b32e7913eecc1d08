package io.atoll.attention.forward;

import io.atoll.kernels.Kernels;
import io.atoll.model.config.TextConfig;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/// How the attention of one step is cut into pieces for threads; the same for all layers, so it is made once a step.
///
/// A piece is normally some rows of a sequence with all heads of one key/value head, as many as the kernel takes through the keys and
/// values together. A single row that alone would be more than a thread's share is cut into spans of positions, whose parts are
/// merged afterwards, or, while it is short, into fewer heads. None of this shows in a result.
final class AttentionSchedule {
    /// Pieces for each thread that make the load even enough.
    private static final int PIECES_PER_THREAD = 2;

    private final int heads;
    private final int keyValueHeads;
    private final int threads;
    private final int maxParts;
    private final List<Piece> pieces = new ArrayList<>();
    private final List<SplitRow> splitRows = new ArrayList<>();
    private long cost;
    private int parts;

    /// Heads `headBegin` to `headEnd - 1` of some rows.
    sealed interface Piece {
        /// Pairs of a query and a position.
        long cost();
    }

    /// @param row first row in the batch
    /// @param length positions that it sees
    record Rows(StepBatch.Part part, int row, int rows, int length, int headBegin, int headEnd)
            implements Piece {
        @Override
        public long cost() {
            return (headEnd - headBegin) * (rows * (long) length + rows * (rows - 1L) / 2);
        }
    }

    /// One span of one row.
    ///
    /// @param index where its part goes
    record Span(
            StepBatch.Part part,
            int row,
            int length,
            int span,
            int index,
            int headBegin,
            int headEnd)
            implements Piece {
        @Override
        public long cost() {
            int begin = span * Kernels.ATTENTION_SPAN;
            return (headEnd - headBegin) * (long) Math.min(length - begin, Kernels.ATTENTION_SPAN);
        }
    }

    /// A row whose parts have to be merged.
    record SplitRow(int row, int firstPart, int spans) {}

    /// @param maxParts room for parts of spans
    AttentionSchedule(TextConfig config, int threads, int maxParts) {
        heads = config.attentionHeads();
        keyValueHeads = config.keyValueHeads();
        this.threads = threads;
        this.maxParts = maxParts;
    }

    /// Forgets the step before.
    void plan(StepBatch batch) {
        pieces.clear();
        splitRows.clear();
        parts = 0;
        cost = 0;
        for (int row = 0; row < batch.rows(); row++) {
            cost += (long) heads * (batch.position(row) + 1);
        }
        int group = heads / keyValueHeads;
        int together = Math.max(1, Kernels.ATTENTION_QUERIES / group);
        int rowsPerPiece =
                Math.clamp(
                        (long) batch.rows() * keyValueHeads / (threads * PIECES_PER_THREAD),
                        1,
                        together);
        for (StepBatch.Part part : batch.parts()) {
            for (int row = 0; row < part.rows(); row += rowsPerPiece) {
                int rows = Math.min(rowsPerPiece, part.rows() - row);
                int first = part.firstRow() + row;
                addRows(part, first, rows, batch.position(first) + 1, group);
            }
        }
        // Pieces are dealt out in turn, so the largest go first.
        pieces.sort(Comparator.comparingLong(Piece::cost).reversed());
    }

    private void addRows(StepBatch.Part part, int row, int rows, int length, int group) {
        int shares = rows == 1 ? shares((long) group * length) : 1;
        int spans = Math.ceilDiv(length, Kernels.ATTENTION_SPAN);
        if (shares > 1 && spans > 1 && parts + spans <= maxParts) {
            for (int span = 0; span < spans; span++) {
                for (int head = 0; head < heads; head += group) {
                    pieces.add(new Span(part, row, length, span, parts + span, head, head + group));
                }
            }
            splitRows.add(new SplitRow(row, parts, spans));
            parts += spans;
            return;
        }
        int headsPerPiece = Math.ceilDiv(group, Math.min(shares, group));
        for (int first = 0; first < heads; first += group) {
            for (int head = 0; head < group; head += headsPerPiece) {
                int end = Math.min(head + headsPerPiece, group);
                pieces.add(new Rows(part, row, rows, length, first + head, first + end));
            }
        }
    }

    /// How many pieces work of this cost should make.
    private int shares(long work) {
        return threads == 1
                ? 1
                : (int) Math.max(1, Math.ceilDiv(work * threads * PIECES_PER_THREAD, cost));
    }

    /// The largest first.
    List<Piece> pieces() {
        return pieces;
    }

    List<SplitRow> splitRows() {
        return splitRows;
    }

    /// Pairs of a query and a position in the whole step.
    long cost() {
        return cost;
    }

    /// Parts of all split rows.
    int parts() {
        return parts;
    }
}
