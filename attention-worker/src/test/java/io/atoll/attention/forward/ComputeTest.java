package io.atoll.attention.forward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import io.atoll.attention.DemoModel;
import io.atoll.attention.forward.StepBatch.Logits;
import io.atoll.attention.state.SequenceStates;
import io.atoll.attention.state.SequenceStates.Reservation;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KvFormat;
import io.atoll.kernels.scalar.ScalarKernels;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ComputeTest {
    private static final long MUCH = 1L << 40;

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5})
    void everyItemIsRunOnce(int threads) {
        try (ComputePool pool = new ComputePool(threads)) {
            Compute compute = new Compute(new ScalarKernels(), pool);
            for (int items : new int[] {1, 2, 7, 8, 9, 100, 1023}) {
                AtomicIntegerArray runs = new AtomicIntegerArray(items);
                compute.split(items, MUCH, (begin, end) -> count(runs, begin, end));
                assertAllOnce(runs);
            }
        }
    }

    @Test
    void littleWorkWakesNobody() {
        try (ComputePool pool = new ComputePool(4)) {
            Compute compute = new Compute(new ScalarKernels(), pool);
            List<Thread> threads = new ArrayList<>();
            compute.split(100, 1000, (begin, end) -> threads.add(Thread.currentThread()));
            assertEquals(List.of(Thread.currentThread()), threads);
            assertEquals(16, compute.tasks(100, MUCH));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void everyHeadOfEverySequenceIsRunOnce(int threads) {
        try (ComputePool pool = new ComputePool(threads);
                SequenceStates states =
                        new SequenceStates(
                                DemoModel.directory().config().text(),
                                false,
                                KvFormat.BF16,
                                5,
                                0,
                                32,
                                160,
                                Optional.empty(),
                                "test")) {
            Compute compute = new Compute(new ScalarKernels(), pool);
            List<StepBatch.Piece> pieces = new ArrayList<>();
            for (int i = 1; i <= 5; i++) {
                pieces.add(
                        new StepBatch.Piece(
                                assertInstanceOf(
                                                Reservation.Reserved.class,
                                                states.open(32, new int[1]))
                                        .state(),
                                new int[i],
                                Logits.NONE));
            }
            StepBatch batch = new StepBatch(pieces);
            AtomicIntegerArray runs = new AtomicIntegerArray(5 * 7);
            compute.splitHeads(
                    batch.parts(),
                    7,
                    1 << 30,
                    (part, headBegin, headEnd) -> {
                        int base = 7 * (part.rows() - 1); // the n-th sequence has n rows
                        count(runs, base + headBegin, base + headEnd);
                    });
            assertAllOnce(runs);
        }
    }

    private static void count(AtomicIntegerArray runs, int begin, int end) {
        for (int i = begin; i < end; i++) {
            runs.incrementAndGet(i);
        }
    }

    private static void assertAllOnce(AtomicIntegerArray runs) {
        for (int i = 0; i < runs.length(); i++) {
            assertEquals(1, runs.get(i), "item " + i + " of " + runs.length());
        }
    }
}
