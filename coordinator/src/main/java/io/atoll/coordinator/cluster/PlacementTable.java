package io.atoll.coordinator.cluster;

import java.io.IOException;
import java.util.Map;

/// Where it is kept what workers should hold, beyond the life of a coordinator: a few lines of text, by the name of the worker.
public interface PlacementTable {
    /// What was written last; empty if nothing was.
    ///
    /// @throws IOException if it is there and can't be read
    Map<String, String> read() throws IOException;

    /// Replaces all of it.
    ///
    /// @throws IOException if it may not outlive this process
    void write(Map<String, String> entries) throws IOException;

    /// Forgets with the process.
    static PlacementTable inMemory() {
        return new PlacementTable() {
            private Map<String, String> entries = Map.of();

            @Override
            public Map<String, String> read() {
                return entries;
            }

            @Override
            public void write(Map<String, String> now) {
                entries = Map.copyOf(now);
            }
        };
    }
}
