package io.atoll.cli.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Memory of processes as Linux counts it.
final class ProcessMemory {
    private static final Pattern PEAK = Pattern.compile("VmHWM:\\s*(\\d+) kB");
    private static final int KIBIBYTE = 1024;

    /// Writing this to a process's `clear_refs` makes its peak what is resident now.
    private static final String RESET_PEAK = "5";

    private ProcessMemory() {}

    /// Forgets this process's peak so far, where the system lets it.
    static void resetPeak() {
        try {
            Files.writeString(Path.of("/proc/self/clear_refs"), RESET_PEAK);
        } catch (IOException _) {
            // Then the peak is of the whole time.
        }
    }

    /// The most memory that a process has had resident, mapped files included; empty on other systems, or if the process has ended.
    static OptionalLong peakBytes(long pid) {
        try {
            Matcher peak =
                    PEAK.matcher(Files.readString(Path.of("/proc", Long.toString(pid), "status")));
            return peak.find()
                    ? OptionalLong.of(KIBIBYTE * Long.parseLong(peak.group(1)))
                    : OptionalLong.empty();
        } catch (IOException _) {
            return OptionalLong.empty();
        }
    }
}
