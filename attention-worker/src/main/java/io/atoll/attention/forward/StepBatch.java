package io.atoll.attention.forward;

import io.atoll.attention.state.SequenceState;
import java.util.List;

/// The rows of one step: each sequence's next tokens, one sequence after the other.
public final class StepBatch {
    private final List<Part> parts;
    private final int[] tokens;
    private final int[] positions;
    private final int[] partOfRow;
    private final int[] logitRows;

    /// The next tokens of one sequence.
    ///
    /// @param state where the sequence is
    /// @param firstPosition of the first token
    /// @param tokens at least one
    /// @param logits whose logits are wanted
    /// @param provisional whether recurrent states stay as they are until [Forward#commit] says how many rows count
    public record Piece(
            SequenceState state,
            int firstPosition,
            int[] tokens,
            Logits logits,
            boolean provisional) {
        /// Rows that count, at the sequence's present position.
        public Piece(SequenceState state, int[] tokens, Logits logits) {
            this(state, state.position(), tokens, logits, false);
        }
    }

    /// Rows of a piece that go through the LM head.
    public enum Logits {
        NONE,
        LAST,
        ALL
    }

    /// Where the rows of one sequence stand in the batch.
    ///
    /// @param journalRow where they stand among the provisional rows; -1 if they count
    record Part(SequenceState state, int firstRow, int rows, int journalRow) {
        boolean isProvisional() {
            return journalRow >= 0;
        }
    }

    public StepBatch(List<Piece> pieces) {
        int rows = 0;
        int wanted = 0;
        for (Piece piece : pieces) {
            rows += piece.tokens().length;
            wanted +=
                    switch (piece.logits()) {
                        case NONE -> 0;
                        case LAST -> 1;
                        case ALL -> piece.tokens().length;
                    };
        }
        tokens = new int[rows];
        positions = new int[rows];
        partOfRow = new int[rows];
        logitRows = new int[wanted];
        Part[] laidOut = new Part[pieces.size()];
        int row = 0;
        int logitRow = 0;
        int journalRow = 0;
        for (int i = 0; i < laidOut.length; i++) {
            Piece piece = pieces.get(i);
            int count = piece.tokens().length;
            laidOut[i] = new Part(piece.state(), row, count, piece.provisional() ? journalRow : -1);
            journalRow += piece.provisional() ? count : 0;
            for (int j = 0; j < count; j++, row++) {
                tokens[row] = piece.tokens()[j];
                positions[row] = piece.firstPosition() + j;
                partOfRow[row] = i;
                if (piece.logits() == Logits.ALL
                        || (piece.logits() == Logits.LAST && j == count - 1)) {
                    logitRows[logitRow++] = row;
                }
            }
        }
        parts = List.of(laidOut);
    }

    /// Rows of all sequences together.
    public int rows() {
        return tokens.length;
    }

    /// How many rows go through the LM head.
    public int logitRows() {
        return logitRows.length;
    }

    /// The `index`-th row that goes through the LM head; ascending.
    int logitRow(int index) {
        return logitRows[index];
    }

    List<Part> parts() {
        return parts;
    }

    Part partOf(int row) {
        return parts.get(partOfRow[row]);
    }

    int token(int row) {
        return tokens[row];
    }

    /// Index of the row in its sequence.
    int position(int row) {
        return positions[row];
    }
}
