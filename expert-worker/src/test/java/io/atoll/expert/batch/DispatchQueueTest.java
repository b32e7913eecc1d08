package io.atoll.expert.batch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.atoll.proto.wire.DispatchHeader;
import io.atoll.proto.wire.FlightMessage;
import io.atoll.proto.wire.RequestReader.Request;
import io.atoll.proto.wire.WirePool;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class DispatchQueueTest {
    private static final int MESSAGE_BYTES = 100;

    private final WirePool pool = new WirePool();
    private final List<PendingDispatch> batch = new ArrayList<>();

    private static final PendingDispatch.Owner NOBODY =
            new PendingDispatch.Owner() {
                @Override
                public boolean isGone() {
                    return false;
                }

                @Override
                public void computed(
                        PendingDispatch dispatch, MemorySegment sums, PendingDispatch.Timing t) {
                    throw new AssertionError("the queue computes nothing");
                }

                @Override
                public void failed(
                        PendingDispatch dispatch, Failure failure, PendingDispatch.Timing t) {
                    throw new AssertionError("the queue answers nothing");
                }
            };

    private PendingDispatch dispatch(int layer, long id, int rows) {
        FlightMessage message =
                FlightMessage.of(pool, new byte[0], new byte[0], new byte[MESSAGE_BYTES]);
        MemorySegment none = MemorySegment.NULL;
        DispatchHeader header = new DispatchHeader(layer, id, 0, rows, 1);
        Request request = new Request(header, rows, none, none, none, none, none);
        return new PendingDispatch(message, request, false, 0, 0, NOBODY);
    }

    private List<Long> taken() {
        List<Long> ids = batch.stream().map(one -> one.request().header().dispatch()).toList();
        batch.clear();
        return ids;
    }

    @Test
    void queueFullOfMessagesSheds() {
        DispatchQueue queue = new DispatchQueue(2, 1 << 20, 0);
        assertEquals(Optional.empty(), queue.offer(dispatch(0, 1, 1)));
        assertEquals(Optional.empty(), queue.offer(dispatch(0, 2, 1)));
        Failure shed = queue.offer(dispatch(0, 3, 1)).orElseThrow();
        assertEquals(ErrorCode.OVERLOADED, shed.code());
        assertTrue(queue.take(batch, new ArrayList<>(), 1));
        assertEquals(Optional.empty(), queue.offer(dispatch(0, 3, 1)));
    }

    @Test
    void queueFullOfBytesSheds() {
        DispatchQueue queue = new DispatchQueue(100, 2 * MESSAGE_BYTES + 50, 0);
        assertEquals(Optional.empty(), queue.offer(dispatch(0, 1, 1)));
        assertEquals(Optional.empty(), queue.offer(dispatch(0, 2, 1)));
        assertEquals(
                "queue is full: 2 of 100 messages, 200 + 100 of 250 bytes",
                queue.offer(dispatch(0, 3, 1)).orElseThrow().message());
        assertTrue(queue.take(batch, new ArrayList<>(), 10));
        assertEquals(Optional.empty(), queue.offer(dispatch(0, 3, 1)));
    }

    @Test
    void dispatchesOfOneLayerGoTogetherAndTheOthersKeepTheirOrder() {
        DispatchQueue queue = new DispatchQueue(10, 1 << 20, 0);
        int[] layers = {3, 5, 3, 4, 3};
        for (int i = 0; i < layers.length; i++) {
            assertEquals(Optional.empty(), queue.offer(dispatch(layers[i], i, 1)));
        }
        queue.take(batch, new ArrayList<>(), 10);
        assertEquals(List.of(0L, 2L, 4L), taken());
        queue.take(batch, new ArrayList<>(), 10);
        assertEquals(List.of(1L), taken());
        queue.take(batch, new ArrayList<>(), 10);
        assertEquals(List.of(3L), taken());
        assertEquals(0, queue.size());
    }

    @Test
    void batchEndsBeforeTheDispatchThatDoesNotFit() {
        DispatchQueue queue = new DispatchQueue(10, 1 << 20, 0);
        int[] rows = {4, 20, 3, 2};
        for (int i = 0; i < rows.length; i++) {
            assertEquals(Optional.empty(), queue.offer(dispatch(0, i, rows[i])));
        }
        queue.take(batch, new ArrayList<>(), 8);
        assertEquals(List.of(0L), taken());
        queue.take(batch, new ArrayList<>(), 8);
        assertEquals(List.of(1L), taken(), "too large for any batch, so alone");
        queue.take(batch, new ArrayList<>(), 8);
        assertEquals(List.of(2L, 3L), taken());
    }

    @Test
    void closedQueueRefusesAndIsEmptiedFirst() {
        DispatchQueue queue = new DispatchQueue(10, 1 << 20, 0);
        assertEquals(Optional.empty(), queue.offer(dispatch(0, 1, 1)));
        queue.close();
        assertEquals(ErrorCode.NOT_READY, queue.offer(dispatch(0, 2, 1)).orElseThrow().code());
        assertTrue(queue.take(batch, new ArrayList<>(), 10));
        assertEquals(List.of(1L), taken());
        assertFalse(queue.take(batch, new ArrayList<>(), 10));
    }
}
