package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import org.junit.jupiter.api.Test;

class ResponseStoreTest {
    private static final ResponseStore.Conversation CONVERSATION =
            new ResponseStore.Conversation(
                    JsonNodeFactory.instance.objectNode(), JsonNodeFactory.instance.arrayNode());

    private final Ticking clock = new Ticking();

    private static final class Ticking extends Clock {
        private Instant now = Instant.EPOCH;

        @Override
        public Instant instant() {
            return now;
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }
    }

    @Test
    void oldestGoFirstWhenThereIsNoRoom() {
        ResponseStore store = new ResponseStore(clock, 100);
        store.put("a", CONVERSATION, 20);
        store.put("b", CONVERSATION, 20);
        store.put("c", CONVERSATION, 20);
        assertFalse(store.get("a").isPresent());
        assertTrue(store.get("b").isPresent());
        assertTrue(store.get("c").isPresent());
        store.put("large", CONVERSATION, 51);
        assertFalse(store.get("large").isPresent());
        assertTrue(store.get("c").isPresent());
        assertTrue(store.remove("b"));
        assertFalse(store.remove("b"));
        store.put("d", CONVERSATION, 30);
        assertTrue(store.get("c").isPresent() && store.get("d").isPresent());
    }

    @Test
    void nothingIsKeptForLongerThanAnHour() {
        ResponseStore store = new ResponseStore(clock);
        store.put("a", CONVERSATION, 20);
        clock.now = clock.now.plus(Duration.ofMinutes(59));
        store.put("b", CONVERSATION, 20);
        assertTrue(store.get("a").isPresent());
        clock.now = clock.now.plus(Duration.ofMinutes(2));
        assertFalse(store.get("a").isPresent());
        assertTrue(store.get("b").isPresent());
    }
}
