package io.atoll.coordinator.cluster;

import java.time.Clock;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// What has happened to the cluster: the newest events, each also a line of the log. Safe for any thread.
public final class ClusterEvents {
    private static final Logger LOG = LoggerFactory.getLogger(ClusterEvents.class);

    /// Older ones are forgotten.
    private static final int KEPT = 1000;

    private final Clock clock;
    private final ArrayDeque<Event> events = new ArrayDeque<>();
    private long last;

    ClusterEvents(Clock clock) {
        this.clock = clock;
    }

    /// One event.
    ///
    /// @param number ascending by one, from 1
    /// @param kind a word: `worker-up`, `load-failed`
    /// @param node whom it is about, or empty
    /// @param text for people
    public record Event(long number, Instant at, String kind, String node, String text) {}

    synchronized void add(String kind, String node, String text) {
        last++;
        if (events.size() == KEPT) {
            events.removeFirst();
        }
        events.add(new Event(last, clock.instant(), kind, node, text));
        LOG.info("{} {}: {}", kind, node, text);
        notifyAll();
    }

    /// The events after one, at most `limit` of the newest. Waits up to a time until there is one.
    ///
    /// @param number of the last one that is known; 0 for all
    public synchronized List<Event> after(long number, int limit, long waitMillis)
            throws InterruptedException {
        long end = System.nanoTime() + waitMillis * 1_000_000;
        while (last <= number) {
            long left = (end - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                return List.of();
            }
            wait(left);
        }
        List<Event> newer = events.stream().filter(event -> event.number > number).toList();
        return newer.subList(Math.max(0, newer.size() - limit), newer.size());
    }
}
