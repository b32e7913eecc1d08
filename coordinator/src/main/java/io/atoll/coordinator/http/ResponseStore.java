package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/// Answers of `/v1/responses` for the requests that go on from them, in memory: the newest, within bounds of bytes and age. Whoever
/// knows an id, which is random, may use it. Safe for use by several threads.
final class ResponseStore {
    private static final long MAX_BYTES = 64L << 20;
    private static final Duration MAX_AGE = Duration.ofHours(1);

    private final Clock clock;
    private final long maxBytes;
    private final Map<String, Stored> responses = new LinkedHashMap<>();
    private long bytes;

    ResponseStore(Clock clock) {
        this(clock, MAX_BYTES);
    }

    ResponseStore(Clock clock, long maxBytes) {
        this.clock = clock;
        this.maxBytes = maxBytes;
    }

    /// @param response as it was answered
    /// @param messages the conversation with the answer, as messages of a chat completion, without instructions
    record Conversation(ObjectNode response, ArrayNode messages) {}

    private record Stored(Conversation conversation, Instant since, long bytes) {}

    /// Keeps a conversation, in the place of the oldest if there is no room.
    ///
    /// @param size of both parts as JSON, in characters
    synchronized void put(String id, Conversation conversation, long size) {
        dropOld();
        long wanted = 2 * size; // trees take more than their text
        if (wanted > maxBytes) {
            return;
        }
        remove(id);
        for (Iterator<Stored> oldest = responses.values().iterator();
                bytes + wanted > maxBytes && oldest.hasNext(); ) {
            bytes -= oldest.next().bytes;
            oldest.remove();
        }
        responses.put(id, new Stored(conversation, clock.instant(), wanted));
        bytes += wanted;
    }

    /// A conversation that is still kept; not to be changed.
    synchronized Optional<Conversation> get(String id) {
        dropOld();
        return Optional.ofNullable(responses.get(id)).map(Stored::conversation);
    }

    /// Forgets a conversation.
    ///
    /// @return whether it was kept
    synchronized boolean remove(String id) {
        Stored removed = responses.remove(id);
        bytes -= removed == null ? 0 : removed.bytes;
        return removed != null;
    }

    private void dropOld() {
        Instant limit = clock.instant().minus(MAX_AGE);
        for (Iterator<Stored> oldest = responses.values().iterator(); oldest.hasNext(); ) {
            Stored stored = oldest.next();
            if (!stored.since.isBefore(limit)) {
                return;
            }
            bytes -= stored.bytes;
            oldest.remove();
        }
    }
}
