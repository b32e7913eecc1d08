package io.atoll.coordinator.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.model.chat.OutputDelta;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
final class GenerationStreamTest {
    private static final GenerationEvent TEXT =
            new GenerationEvent.Output(List.of(new OutputDelta.Content("x")), List.of());
    private static final GenerationEvent END =
            new GenerationEvent.Failed(new Failure(ErrorCode.INTERNAL, "test"));

    private final AtomicInteger abandoned = new AtomicInteger();
    private final List<GenerationEvent.End> ends = new CopyOnWriteArrayList<>();

    @Test
    void fullBufferRefusesTextAndStillTakesTheEnd() throws Exception {
        GenerationStream stream = stream(2, Long.MAX_VALUE);
        assertTrue(stream.offer(TEXT));
        assertTrue(stream.offer(TEXT));
        assertFalse(stream.offer(TEXT));
        assertTrue(stream.offer(END));
        assertEquals(TEXT, stream.next());
        assertEquals(TEXT, stream.next());
        assertEquals(END, stream.next());
        assertEquals(0, abandoned.get());
    }

    @Test
    void readerGetsAFailureAtTheDeadlineAndTheLoopIsTold() throws Exception {
        GenerationStream stream = stream(2, 0);
        var failed = assertInstanceOf(GenerationEvent.Failed.class, stream.next());
        assertEquals(ErrorCode.DEADLINE_EXCEEDED, failed.failure().code());
        assertEquals(1, abandoned.get());
        assertTrue(stream.offer(TEXT), "the loop may go on until it hears of it");
    }

    @Test
    void cancelWakesTheReader() throws Exception {
        GenerationStream stream = stream(2, Long.MAX_VALUE);
        CompletableFuture<GenerationEvent> reader =
                CompletableFuture.supplyAsync(
                        () -> {
                            try {
                                return stream.next();
                            } catch (InterruptedException e) {
                                throw new AssertionError(e);
                            }
                        });
        stream.cancel();
        stream.cancel();
        var failed = assertInstanceOf(GenerationEvent.Failed.class, reader.get());
        assertEquals(ErrorCode.CANCELLED, failed.failure().code());
        assertEquals(1, abandoned.get());
    }

    @Test
    void closingAnEndedStreamTellsNobody() throws Exception {
        GenerationStream stream = stream(2, Long.MAX_VALUE);
        stream.offer(END);
        stream.close();
        assertEquals(END, stream.next());
        assertEquals(0, abandoned.get());
    }

    @Test
    void nothingComesAfterTheEnd() throws Exception {
        GenerationStream stream = stream(2, Long.MAX_VALUE);
        stream.offer(END);
        stream.offer(TEXT);
        assertEquals(END, stream.next());
        assertThrows(IllegalStateException.class, stream::next);
    }

    @Test
    void everyEndIsToldOnceWhoeverMakesIt() throws Exception {
        GenerationStream complete = stream(2, Long.MAX_VALUE);
        complete.offer(END);
        complete.offer(END);
        complete.close();
        assertEquals(List.of(END), ends);
        GenerationStream late = stream(2, 0);
        GenerationEvent expired = late.next();
        late.offer(END);
        assertEquals(List.of(END, expired), ends);
        GenerationStream left = stream(2, Long.MAX_VALUE);
        left.cancel();
        left.offer(END);
        assertEquals(List.of(END, expired, left.next()), ends);
    }

    private GenerationStream stream(int capacity, long nanosLeft) {
        long deadline = nanosLeft == Long.MAX_VALUE ? nanosLeft / 2 : nanosLeft;
        return new GenerationStream(
                capacity, System.nanoTime() + deadline, abandoned::incrementAndGet, ends::add);
    }
}
