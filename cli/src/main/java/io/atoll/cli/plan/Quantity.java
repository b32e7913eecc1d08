package io.atoll.cli.plan;

import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Numbers with units, as people write them: `64GB`, `40GB/s`, `10Gbit/s`, `200us`.
final class Quantity {
    private static final Pattern FORM = Pattern.compile("(\\d+(?:\\.\\d+)?)\\s*([A-Za-z/]+)");
    private static final Map<String, Double> BYTES =
            Map.of("mb", 1e6, "gb", 1e9, "tb", 1e12, "mib", 1048576.0, "gib", 1073741824.0);
    private static final Map<String, Double> BYTES_PER_SECOND =
            Map.of("mb/s", 1e6, "gb/s", 1e9, "tb/s", 1e12);
    private static final Map<String, Double> LINK =
            Map.of(
                    "mbit", 125e3, "gbit", 125e6, "mbit/s", 125e3, "gbit/s", 125e6, "mb/s", 1e6,
                    "gb/s", 1e9);
    private static final Map<String, Double> OPERATIONS = Map.of("gflop/s", 1e9, "tflop/s", 1e12);
    private static final Map<String, Double> SECONDS = Map.of("us", 1e-6, "ms", 1e-3, "s", 1.0);

    private Quantity() {}

    static double bytes(String text) {
        return parse(text, BYTES, "an amount of memory such as 64GB");
    }

    static double bytesPerSecond(String text) {
        return parse(text, BYTES_PER_SECOND, "a speed such as 40GB/s");
    }

    static double operationsPerSecond(String text) {
        return parse(text, OPERATIONS, "a rate of arithmetic such as 600GFLOP/s");
    }

    /// In bytes a second.
    static double link(String text) {
        return parse(text, LINK, "a link's speed such as 10Gbit/s");
    }

    static double seconds(String text) {
        return parse(text, SECONDS, "a time such as 200us");
    }

    /// @throws IllegalArgumentException naming the text and what is expected
    private static double parse(String text, Map<String, Double> units, String expected) {
        Matcher form = FORM.matcher(text.strip());
        if (form.matches()) {
            Double unit = units.get(form.group(2).toLowerCase(Locale.ROOT));
            double value = Double.parseDouble(form.group(1));
            if (unit != null && value > 0) {
                return value * unit;
            }
        }
        throw new IllegalArgumentException("'" + text + "' is not " + expected);
    }
}
