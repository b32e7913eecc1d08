package io.atoll.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// A table of text whose columns are as wide as they need to be.
public final class TextTable {
    private final List<Boolean> right = new ArrayList<>();
    private final List<List<String>> rows = new ArrayList<>();

    /// @param headings one that begins with `>` has its column at the right
    public TextTable(String... headings) {
        List<String> names = new ArrayList<>();
        for (String heading : headings) {
            right.add(heading.startsWith(">"));
            names.add(heading.startsWith(">") ? heading.substring(1) : heading);
        }
        rows.add(names);
    }

    /// Adds a row with a cell for each heading.
    public void row(String... cells) {
        if (cells.length != right.size()) {
            throw new IllegalArgumentException(
                    cells.length + " cells for " + right.size() + " columns");
        }
        rows.add(List.of(cells));
    }

    /// Appends the lines.
    public void appendTo(StringBuilder text) {
        int[] widths = new int[right.size()];
        for (List<String> row : rows) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], row.get(i).length());
            }
        }
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < widths.length; i++) {
                String cell = row.get(i);
                String padding = " ".repeat(widths[i] - cell.length());
                line.append(right.get(i) ? padding + cell : cell + padding).append("  ");
            }
            text.append(line.toString().stripTrailing()).append(System.lineSeparator());
        }
    }

    /// Bytes in decimal units.
    public static String size(long bytes) {
        return bytes < 1_000_000_000
                ? String.format(Locale.ROOT, "%.1f MB", bytes / 1e6)
                : String.format(Locale.ROOT, "%.1f GB", bytes / 1e9);
    }
}
