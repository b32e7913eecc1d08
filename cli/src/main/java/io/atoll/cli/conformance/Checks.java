package io.atoll.cli.conformance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;

/// What one suite has compared so far: how many checks, the worst error, and the first failures.
///
/// A check is one value, list or tensor of a golden file. `where` names it for people: `prompt 3 last_logits`.
final class Checks {
    private static final int FAILURES_SHOWN = 10;
    private static final int TEXT_SHOWN = 48;

    private final List<String> failures = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();
    private long checks;
    private long failed;
    private Optional<Worst> worst = Optional.empty();

    /// The error that came closest to its tolerance, or went furthest past it.
    record Worst(double error, double tolerance, String where) {
        double ratio() {
            return Double.isNaN(error) ? Double.POSITIVE_INFINITY : error / tolerance;
        }

        @Override
        public String toString() {
            return String.format(Locale.ROOT, "worst %.1e of %.1e (%s)", error, tolerance, where);
        }
    }

    long count() {
        return checks;
    }

    long failed() {
        return failed;
    }

    Optional<Worst> worst() {
        return worst;
    }

    /// The first failures, one line each.
    List<String> failures() {
        return failures;
    }

    /// What was not compared, and why, one line each.
    List<String> notes() {
        return notes;
    }

    /// Says that something was not compared, which is no failure.
    void note(String text) {
        notes.add(text);
    }

    /// A check that failed before there was something to compare.
    void fail(String where, String problem) {
        checks++;
        failed++;
        if (failures.size() < FAILURES_SHOWN) {
            failures.add(where + ": " + problem);
        }
    }

    void equal(String where, Object expected, Object found) {
        if (Objects.equals(expected, found)) {
            checks++;
        } else {
            fail(where, "expected " + expected + ", found " + found);
        }
    }

    /// Exact text; a failure shows both sides from shortly before the first difference.
    void text(String where, String expected, String found) {
        if (expected.equals(found)) {
            checks++;
            return;
        }
        int at = mismatch(expected, found);
        fail(
                where + "[" + at + "]",
                "expected " + excerpt(expected, at) + ", found " + excerpt(found, at));
    }

    private static int mismatch(String a, String b) {
        int at = 0;
        while (at < Math.min(a.length(), b.length()) && a.charAt(at) == b.charAt(at)) {
            at++;
        }
        return at;
    }

    private static String excerpt(String text, int at) {
        int from = Math.max(0, at - TEXT_SHOWN / 4);
        int to = Math.min(text.length(), from + TEXT_SHOWN);
        String shown = text.substring(from, to).replace("\n", "\\n").replace("\t", "\\t");
        return (from > 0 ? "…\"" : "\"") + shown + (to < text.length() ? "\"…" : "\"");
    }

    /// Exact ids.
    void ids(String where, int[] expected, int[] found) {
        int at = Arrays.mismatch(expected, found);
        if (at < 0) {
            checks++;
            return;
        }
        fail(
                where + "[" + at + "]",
                "expected " + idAt(expected, at) + ", found " + idAt(found, at));
    }

    private static String idAt(int[] ids, int at) {
        return at < ids.length ? "id " + ids[at] : "the end after " + ids.length + " ids";
    }

    /// The same bits.
    void bits(String where, float[] expected, float[] found) {
        int at = Arrays.mismatch(expected, found); // compares bits, but for NaNs
        if (at < 0) {
            checks++;
            return;
        }
        fail(
                where + "[" + at + "]",
                "must not change a bit: expected "
                        + valueAt(expected, at)
                        + ", found "
                        + valueAt(found, at));
    }

    private static String valueAt(float[] values, int at) {
        return at < values.length ? "" + values[at] : "the end after " + values.length + " values";
    }

    /// Values within `tolerance` times the largest expected magnitude.
    void closeToLargest(String where, float[] expected, float[] found, double tolerance) {
        double largest = 0;
        for (float value : expected) {
            largest = Math.max(largest, Math.abs(value));
        }
        // A tensor of zeros has no scale of its own.
        close(where, expected, found, tolerance, largest == 0 ? 1 : largest);
    }

    /// Values within `tolerance`.
    void close(String where, float[] expected, float[] found, double tolerance) {
        close(where, expected, found, tolerance, 1);
    }

    private void close(
            String where, float[] expected, float[] found, double tolerance, double scale) {
        if (expected.length != found.length) {
            fail(where, "expected " + expected.length + " values, found " + found.length);
            return;
        }
        int worstAt = -1;
        double worstError = -1;
        for (int i = 0; i < expected.length; i++) {
            double error = Math.abs((double) expected[i] - found[i]) / scale;
            if (!(error <= worstError)) {
                worstError = error;
                worstAt = i;
                if (Double.isNaN(error)) {
                    break;
                }
            }
        }
        if (worstAt < 0) {
            checks++;
            return;
        }
        Worst here = new Worst(worstError, tolerance, where);
        if (worst.isEmpty() || here.ratio() > worst.get().ratio()) {
            worst = Optional.of(here);
        }
        if (worstError <= tolerance) {
            checks++;
            return;
        }
        fail(
                where + "[" + worstAt + "]",
                String.format(
                        Locale.ROOT,
                        "expected %s, found %s, off by %.1e, allowed %.1e",
                        expected[worstAt],
                        found[worstAt],
                        worstError,
                        tolerance));
    }
}
