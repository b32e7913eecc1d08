package io.atoll.coordinator.gate;

import io.atoll.proto.Failure;
import java.util.concurrent.atomic.AtomicBoolean;

/// What became of a request at the gate.
public sealed interface Admission {
    /// It may go on. It counts as under way until it is [#close]d.
    final class Admitted implements Admission, AutoCloseable {
        private final String name;
        private final int mostUrgent;
        private final KeyUse use;
        private final AtomicBoolean closed = new AtomicBoolean();

        Admitted(String name, int mostUrgent, KeyUse use) {
            this.name = name;
            this.mostUrgent = mostUrgent;
            this.use = use;
        }

        /// The key's name.
        public String name() {
            return name;
        }

        /// The lowest priority, which is the most urgent, that the request can have.
        public int mostUrgent() {
            return mostUrgent;
        }

        /// Closing twice is harmless.
        @Override
        public void close() {
            if (closed.compareAndSet(false, true)) {
                use.end();
            }
        }
    }

    /// It goes no further.
    ///
    /// @param retryAfterSeconds when it would be let through; 0 if a retry does not help
    record Refused(Failure failure, int retryAfterSeconds) implements Admission {}
}
