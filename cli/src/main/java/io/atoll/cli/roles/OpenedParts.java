package io.atoll.cli.roles;

import java.util.ArrayDeque;
import java.util.Deque;

/// What a process has opened, to be closed in the reverse order.
final class OpenedParts implements AutoCloseable {
    private final Deque<AutoCloseable> opened = new ArrayDeque<>();

    /// Takes over a part that was just opened.
    <T extends AutoCloseable> T add(T part) {
        opened.push(part);
        return part;
    }

    /// Closes every part, also after one that fails to.
    ///
    /// @throws IllegalStateException with the first failure as its cause and the others suppressed
    @Override
    public void close() {
        IllegalStateException failure = null;
        while (!opened.isEmpty()) {
            AutoCloseable part = opened.pop();
            try {
                part.close();
            } catch (Exception e) {
                if (failure == null) {
                    failure = new IllegalStateException("a part did not close: " + part, e);
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
