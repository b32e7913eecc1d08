package io.atoll.model.grammar;

import java.util.Arrays;

/// A set of Unicode scalar values: code points without the surrogates, which have no UTF-8 form.
final class CodePoints {
    static final CodePoints ALL = new CodePoints(new int[] {0, 0xD7FF, 0xE000, 0x10FFFF});
    static final CodePoints NONE = new CodePoints(new int[0]);

    // Pairs of first and last, ascending, neither overlapping nor adjacent within the scalar
    // values.
    private final int[] ranges;

    private CodePoints(int[] ranges) {
        this.ranges = ranges;
    }

    /// The scalar values from `first` to `last`, both included.
    static CodePoints range(int first, int last) {
        if (first < 0 || last > 0x10FFFF || first > last) {
            throw new IllegalArgumentException("no range of code points: " + first + " to " + last);
        }
        return new CodePoints(new int[] {first, last}).intersect(ALL);
    }

    static CodePoints of(int codePoint) {
        return range(codePoint, codePoint);
    }

    /// Each character of the text.
    static CodePoints of(String characters) {
        int[] points = characters.codePoints().sorted().distinct().toArray();
        int[] ranges = new int[2 * points.length];
        for (int i = 0; i < points.length; i++) {
            ranges[2 * i] = points[i];
            ranges[2 * i + 1] = points[i];
        }
        return normal(ranges);
    }

    int ranges() {
        return ranges.length / 2;
    }

    int first(int range) {
        return ranges[2 * range];
    }

    int last(int range) {
        return ranges[2 * range + 1];
    }

    boolean isEmpty() {
        return ranges.length == 0;
    }

    boolean contains(int codePoint) {
        for (int i = 0; i < ranges.length; i += 2) {
            if (codePoint >= ranges[i] && codePoint <= ranges[i + 1]) {
                return true;
            }
        }
        return false;
    }

    CodePoints union(CodePoints other) {
        int[] both = Arrays.copyOf(ranges, ranges.length + other.ranges.length);
        System.arraycopy(other.ranges, 0, both, ranges.length, other.ranges.length);
        return normal(both);
    }

    CodePoints intersect(CodePoints other) {
        int[] common = new int[2 * (ranges.length + other.ranges.length)];
        int count = 0;
        int i = 0;
        int j = 0;
        while (i < ranges.length && j < other.ranges.length) {
            int first = Math.max(ranges[i], other.ranges[j]);
            int last = Math.min(ranges[i + 1], other.ranges[j + 1]);
            if (first <= last) {
                common[count++] = first;
                common[count++] = last;
            }
            if (ranges[i + 1] < other.ranges[j + 1]) {
                i += 2;
            } else {
                j += 2;
            }
        }
        return new CodePoints(Arrays.copyOf(common, count));
    }

    CodePoints minus(CodePoints other) {
        return intersect(other.complement());
    }

    /// The scalar values that are not in the set.
    CodePoints complement() {
        int[] gaps = new int[ranges.length + 2];
        int count = 0;
        int next = 0;
        for (int i = 0; i < ranges.length; i += 2) {
            if (ranges[i] > next) {
                gaps[count++] = next;
                gaps[count++] = ranges[i] - 1;
            }
            next = ranges[i + 1] + 1;
        }
        if (next <= 0x10FFFF) {
            gaps[count++] = next;
            gaps[count++] = 0x10FFFF;
        }
        return new CodePoints(Arrays.copyOf(gaps, count)).intersect(ALL);
    }

    private static CodePoints normal(int[] pairs) {
        long[] sorted = new long[pairs.length / 2];
        for (int i = 0; i < sorted.length; i++) {
            sorted[i] = ((long) pairs[2 * i] << 32) | pairs[2 * i + 1];
        }
        Arrays.sort(sorted);
        int[] merged = new int[pairs.length];
        int count = 0;
        for (long pair : sorted) {
            int first = (int) (pair >> 32);
            int last = (int) pair;
            if (count > 0 && first <= merged[count - 1] + 1) {
                merged[count - 1] = Math.max(merged[count - 1], last);
            } else {
                merged[count++] = first;
                merged[count++] = last;
            }
        }
        return new CodePoints(Arrays.copyOf(merged, count)).intersect(ALL);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof CodePoints theirs && Arrays.equals(theirs.ranges, ranges);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(ranges);
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder("[");
        for (int i = 0; i < ranges.length; i += 2) {
            text.append(String.format("%X-%X ", ranges[i], ranges[i + 1]));
        }
        return text.append(']').toString();
    }
}
