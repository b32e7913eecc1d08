package io.atoll.cli.load;

import java.util.Arrays;
import java.util.stream.DoubleStream;

/// Values in order. A percentile is the smallest value that at least that share of the values does not exceed (nearest rank).
///
/// @param sorted ascending
record Percentiles(double[] sorted) {
    static Percentiles of(DoubleStream values) {
        double[] sorted = values.toArray();
        Arrays.sort(sorted);
        return new Percentiles(sorted);
    }

    boolean isEmpty() {
        return sorted.length == 0;
    }

    /// NaN without values.
    ///
    /// @param share in (0, 1]
    double at(double share) {
        return isEmpty()
                ? Double.NaN
                : sorted[Math.max(0, (int) Math.ceil(share * sorted.length) - 1)];
    }

    double mean() {
        return isEmpty() ? Double.NaN : Arrays.stream(sorted).average().orElseThrow();
    }
}
