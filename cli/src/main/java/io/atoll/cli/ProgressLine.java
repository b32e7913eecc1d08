package io.atoll.cli;

import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.function.LongSupplier;

/// How far a long piece of work is, on standard error: one line that is written again where that is a terminal, and a line every
/// ten seconds elsewhere. Gone when closed.
public final class ProgressLine implements AutoCloseable {
    private static final long TERMINAL_NANOS = 200_000_000;
    private static final long LOG_NANOS = 10_000_000_000L;

    private final String what;
    private final long total;
    private final PrintStream out;
    private final boolean terminal;
    private final LongSupplier clock;
    private final long start;
    private long lastShown;
    private int shownChars;

    ProgressLine(String what, long total, PrintStream out, boolean terminal, LongSupplier clock) {
        this.what = what;
        this.total = total;
        this.out = out;
        this.terminal = terminal;
        this.clock = clock;
        start = clock.getAsLong();
        lastShown = start;
    }

    /// For work that is counted in bytes.
    ///
    /// @param total bytes when done, at least one
    public static ProgressLine ofBytes(String what, long total) {
        return new ProgressLine(what, total, System.err, isTerminal(), System::nanoTime);
    }

    /// Whether people look at what is printed.
    @SuppressWarnings(
            "SystemConsoleNull") // it is null in a JVM started with -Djdk.console=java.base
    public static boolean isTerminal() {
        return System.console() != null
                && System.console().isTerminal()
                && !"dumb".equals(System.getenv("TERM"));
    }

    /// Says how many bytes are done; most calls print nothing.
    public void update(long done) {
        long now = clock.getAsLong();
        if (now - lastShown < (terminal ? TERMINAL_NANOS : LOG_NANOS)) {
            return;
        }
        lastShown = now;
        String line = describe(done, now - start);
        if (terminal) {
            out.print("\r" + line + " ".repeat(Math.max(0, shownChars - line.length())));
            out.flush();
            shownChars = line.length();
        } else {
            out.println(line);
        }
    }

    private String describe(long done, long nanos) {
        double bytesPerSecond = done / (nanos / 1e9);
        Duration left =
                Duration.ofSeconds(Math.round((total - done) / Math.max(1, bytesPerSecond)));
        return String.format(
                Locale.ROOT,
                "%s: %3d %%, %.1f of %.1f GB, %.2f GB/s, %d:%02d left",
                what,
                100 * done / total,
                done / 1e9,
                total / 1e9,
                bytesPerSecond / 1e9,
                left.toMinutes(),
                left.toSecondsPart());
    }

    /// Takes the line from the terminal.
    @Override
    public void close() {
        if (shownChars > 0) {
            out.print("\r" + " ".repeat(shownChars) + "\r");
            out.flush();
        }
    }
}
