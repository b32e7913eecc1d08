package io.atoll.model.quant;

import java.util.Optional;

/// Which group of scales each column belongs to.
final class ColumnGroups {
    private ColumnGroups() {}

    /// Columns of a group, if groups are runs of equal length, in order; the last may be shorter.
    static Optional<Integer> size(int[] groupOfColumn, int groups) {
        int size = 1;
        while (size < groupOfColumn.length && groupOfColumn[size] == groupOfColumn[0]) {
            size++;
        }
        for (int column = 0; column < groupOfColumn.length; column++) {
            if (groupOfColumn[column] != column / size) {
                return Optional.empty();
            }
        }
        return Math.ceilDiv(groupOfColumn.length, size) == groups
                ? Optional.of(size)
                : Optional.empty();
    }
}
