package io.atoll.model.vision;

/// How a picture or a clip is cut into patches.
///
/// @param slices patches deep: 1 for a still picture
/// @param rows patches high
/// @param cols patches wide
/// @param mergeSize patches of the side of a square that becomes one embedding; divides rows and columns
public record PatchGrid(int slices, int rows, int cols, int mergeSize) {
    public PatchGrid {
        if (slices <= 0
                || rows <= 0
                || cols <= 0
                || mergeSize <= 0
                || rows % mergeSize != 0
                || cols % mergeSize != 0) {
            throw new IllegalArgumentException(
                    "no grid: "
                            + slices
                            + " x "
                            + rows
                            + " x "
                            + cols
                            + " patches, merged in squares of "
                            + mergeSize);
        }
        Math.multiplyExact(Math.multiplyExact(slices, rows), cols);
    }

    /// Patches of all slices.
    public int patches() {
        return slices * slicePatches();
    }

    /// Patches of one slice, which attend to each other.
    public int slicePatches() {
        return rows * cols;
    }

    /// Rows of embeddings of a slice.
    public int mergedRows() {
        return rows / mergeSize;
    }

    /// Columns of embeddings of a slice.
    public int mergedCols() {
        return cols / mergeSize;
    }

    /// Embeddings of one slice, and so pads that stand for it.
    public int sliceEmbeddings() {
        return mergedRows() * mergedCols();
    }

    /// Embeddings of all slices.
    public int embeddings() {
        return slices * sliceEmbeddings();
    }

    /// Row, in the slice, of the patch that comes `index`-th of a slice's: patches of a square that becomes one embedding follow
    /// each other.
    public int row(int index) {
        int square = index / (mergeSize * mergeSize);
        return square / mergedCols() * mergeSize + index % (mergeSize * mergeSize) / mergeSize;
    }

    /// Column of that patch.
    public int col(int index) {
        int square = index / (mergeSize * mergeSize);
        return square % mergedCols() * mergeSize + index % mergeSize;
    }
}
