package io.atoll.expert;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/// What an expert worker computes on.
public enum DeviceChoice {
    /// GPUs if some can be used, else the CPU.
    AUTO,
    /// The CPU.
    CPU,
    /// GPUs; without one the worker does not start.
    CUDA;

    /// Its name in options and files.
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /// @throws IllegalArgumentException with the names that there are
    public static DeviceChoice parse(String label) {
        return Arrays.stream(values())
                .filter(each -> each.label().equals(label))
                .findFirst()
                .orElseThrow(
                        () ->
                                new IllegalArgumentException(
                                        "device must be one of "
                                                + Arrays.stream(values())
                                                        .map(DeviceChoice::label)
                                                        .collect(Collectors.joining(", "))
                                                + ": "
                                                + label));
    }
}
