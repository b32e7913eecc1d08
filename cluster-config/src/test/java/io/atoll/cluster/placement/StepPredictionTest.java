package io.atoll.cluster.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.placement.StepPrediction.Network;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class StepPredictionTest {
    private static final int LAYERS = 3;
    private static final long DENSE = 4_000_000_000L;
    private static final long EXPERT = 5_000_000;
    private static final double SPEED = 40e9;
    private static final Network NETWORK = new Network(200e-6, 1.25e9);

    private static ModelWork work(int experts, int perToken) {
        return new ModelWork(
                4096, perToken, DENSE, EXPERT, ExpertSizes.uniform(LAYERS, experts, EXPERT));
    }

    private static Placement on(List<String> nodes, int experts) {
        return new Placement(
                Collections.nCopies(
                        LAYERS,
                        java.util.stream.IntStream.range(0, experts)
                                .mapToObj(expert -> List.of(nodes.get(expert % nodes.size())))
                                .toList()));
    }

    private static ExpertNode node(String name) {
        return ExpertNode.cpu(name, 1L << 40, SPEED);
    }

    @Test
    void oneMachineReadsItsBytesAndSendsNothing() {
        StepPrediction step =
                StepPrediction.of(
                        work(8, 8), List.of(node("a")), on(List.of("a"), 8), node("a"), NETWORK, 1);
        assertEquals(DENSE / SPEED, step.denseSeconds(), 1e-12);
        assertEquals(LAYERS * 8 * EXPERT / SPEED, step.expertSeconds(), 1e-12);
        assertEquals(0, step.roundTripSeconds() + step.linkSeconds(), 0);
        assertEquals(1 / (0.1 + 0.003), step.tokensPerSecond(), 1e-9);
    }

    @Test
    void twoWorkersShareTheReadingAndEachGetsTheRowOnce() {
        StepPrediction step =
                StepPrediction.of(
                        work(8, 8),
                        List.of(node("a"), node("b")),
                        on(List.of("a", "b"), 8),
                        node("coordinator"),
                        NETWORK,
                        1);
        assertEquals(LAYERS * 4 * EXPERT / SPEED, step.expertSeconds(), 1e-12);
        assertEquals(LAYERS * 200e-6, step.roundTripSeconds(), 1e-12);
        double row = 4096 + 4096 / 32.0 * 4 + 4 * 8 + 4096 * 4;
        assertEquals(LAYERS * 2 * row / 1.25e9, step.linkSeconds(), 1e-12);
    }

    @Test
    void moreRowsCostLessEachAndAFasterNodeHelps() {
        List<ExpertNode> nodes = List.of(node("a"), node("b"));
        Placement placement = on(List.of("a", "b"), 64);
        double before = 0;
        for (int rows : new int[] {1, 8, 32}) {
            StepPrediction step =
                    StepPrediction.of(work(64, 4), nodes, placement, node("a"), NETWORK, rows);
            assertTrue(step.tokensPerSecond() > before, rows + " rows: " + step);
            before = step.tokensPerSecond();
        }
        StepPrediction faster =
                StepPrediction.of(
                        work(64, 4),
                        List.of(ExpertNode.cpu("a", 1L << 40, 2 * SPEED), node("b")),
                        placement,
                        ExpertNode.cpu("a", 1L << 40, 2 * SPEED),
                        NETWORK,
                        32);
        assertTrue(faster.tokensPerSecond() > before);
        assertEquals("b", faster.slowest());
    }

    @Test
    void manyRowsTakeTheTimeOfTheirArithmetic() {
        // Weights of one byte, and as many operations a second as the memory gives bytes: one row
        // takes twice as long to compute as
        // its weights take to read.
        ModelWork work = work(8, 8);
        ExpertNode slow =
                new ExpertNode(
                        "a", 1L << 40, SPEED, work.rowsPerSecond(SPEED), ExpertNode.Device.CPU);
        StepPrediction step =
                StepPrediction.of(work, List.of(slow), on(List.of("a"), 8), slow, NETWORK, 16);
        assertEquals(16 * 2 * DENSE / SPEED, step.denseSeconds(), 1e-9);
        assertEquals(16 * 2 * LAYERS * 8 * EXPERT / SPEED, step.expertSeconds(), 1e-9);
    }

    @Test
    void longestPartComesFirstAndPartsAddUp() {
        StepPrediction step =
                StepPrediction.of(
                        work(8, 2),
                        List.of(node("a"), node("b")),
                        on(List.of("a", "b"), 8),
                        node("a"),
                        new Network(0.5, 1e9),
                        1);
        List<StepPrediction.Part> parts = step.parts("a");
        assertEquals("round trips", parts.getFirst().what());
        assertEquals(
                step.seconds(),
                parts.stream().mapToDouble(StepPrediction.Part::seconds).sum(),
                1e-12);
    }

    @Test
    void whatCannotBeIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> work(8, 9));
        assertThrows(IllegalArgumentException.class, () -> new Network(-1, 1));
        assertThrows(IllegalArgumentException.class, () -> new Network(1, 0));
    }
}
