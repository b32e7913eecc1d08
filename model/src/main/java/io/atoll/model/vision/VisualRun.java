package io.atoll.model.vision;

/// Pads of a prompt that stand for one picture, or for one slice of a clip.
///
/// @param begin index of the first
/// @param rows rows of embeddings
/// @param cols embeddings of a row
public record VisualRun(int begin, int rows, int cols) {
    public VisualRun {
        if (begin < 0 || rows <= 0 || cols <= 0 || (long) rows * cols > 1 << 24) {
            throw new IllegalArgumentException(
                    "no run of pads: begin=" + begin + " rows=" + rows + " cols=" + cols);
        }
    }

    /// How many pads there are.
    public int length() {
        return rows * cols;
    }

    /// Index after the last.
    public int end() {
        return begin + length();
    }
}
