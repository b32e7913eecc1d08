package io.atoll.attention.state;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.DemoModel;
import io.atoll.attention.state.SequenceStates.Reservation;
import io.atoll.kernels.KvFormat;
import io.atoll.proto.ErrorCode;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SequenceStatesTest {
    private final SequenceStates states =
            new SequenceStates(
                    DemoModel.directory().config().text(),
                    false,
                    KvFormat.BF16,
                    3,
                    2,
                    256,
                    320,
                    Optional.empty(),
                    "test");

    @AfterEach
    void close() {
        states.close();
    }

    private SequenceState reserved(int maxTokens) {
        return assertInstanceOf(Reservation.Reserved.class, states.open(maxTokens, new int[1]))
                .state();
    }

    private ErrorCode refused(int maxTokens) {
        return assertInstanceOf(Reservation.Refused.class, states.open(maxTokens, new int[1]))
                .failure()
                .code();
    }

    @Test
    void sequencesNeverShareABlock() {
        Set<Long> offsets = new HashSet<>();
        for (int tokens : new int[] {64, 33, 100}) {
            SequenceState state = reserved(tokens);
            for (int i = 0; i < (tokens + 31) / 32; i++) {
                assertTrue(offsets.add(state.blockTable().offset(i)), "block lent twice");
            }
        }
        assertEquals(2 + 2 + 4, offsets.size());
        assertEquals(2, states.freeBlocks());
    }

    @Test
    void refusedReservationTakesNothing() {
        reserved(256);
        assertEquals(2, states.freeBlocks());
        assertEquals(ErrorCode.OVERLOADED, refused(65));
        assertEquals(2, states.freeBlocks());
        assertEquals(2, states.freeSequences());
        reserved(64);
    }

    @Test
    void closedSequenceGivesEverythingBack() {
        for (int i = 0; i < 100; i++) {
            SequenceState one = reserved(100);
            SequenceState other = reserved(180);
            assertEquals(ErrorCode.OVERLOADED, refused(1));
            states.close(one);
            states.close(other);
        }
        assertEquals(10, states.freeBlocks());
        assertEquals(3, states.freeSequences());
    }

    @Test
    void statesOfAReopenedSlotAreZero() {
        SequenceState first = reserved(32);
        first.recurrent(0).fill((byte) 1);
        first.conv(5).fill((byte) 1);
        states.close(first);
        SequenceState second = reserved(32);
        assertEquals(first.recurrent(0).address(), second.recurrent(0).address());
        assertEquals(-1, zeros(second.recurrent(0)).mismatch(second.recurrent(0)));
        assertEquals(-1, zeros(second.conv(5)).mismatch(second.conv(5)));
    }

    private static MemorySegment zeros(MemorySegment like) {
        return MemorySegment.ofArray(new byte[(int) like.byteSize()]);
    }

    @Test
    void statesOfLayersAndSequencesDoNotOverlap() {
        SequenceState one = reserved(32);
        SequenceState other = reserved(32);
        one.recurrent(2).fill((byte) 1);
        one.conv(2).fill((byte) 2);
        assertEquals(-1, zeros(one.recurrent(3)).mismatch(one.recurrent(3)));
        assertEquals(-1, zeros(one.conv(1)).mismatch(one.conv(1)));
        for (int layer = 0; layer < 6; layer++) {
            assertEquals(-1, zeros(other.recurrent(layer)).mismatch(other.recurrent(layer)));
        }
        assertEquals((byte) 1, one.recurrent(2).get(ValueLayout.JAVA_BYTE, 0));
        assertEquals((byte) 2, one.conv(2).get(ValueLayout.JAVA_BYTE, 0));
    }

    @Test
    void sequenceCannotAdvancePastItsReservation() {
        SequenceState state = reserved(10);
        state.advance(10);
        assertThrows(IllegalStateException.class, () -> state.advance(1));
    }

    @Test
    void sixteenGibibytesOfLazyMemoryAreReadyAtOnce() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = LazyMemory.allocate(1L << 34, "a test", arena);
            assertEquals(0, memory.get(ValueLayout.JAVA_LONG, (1L << 34) - 8));
            memory.set(ValueLayout.JAVA_LONG, 1L << 33, 5);
            assertEquals(5, memory.get(ValueLayout.JAVA_LONG, 1L << 33));
        }
    }
}
