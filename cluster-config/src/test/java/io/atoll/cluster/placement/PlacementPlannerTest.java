package io.atoll.cluster.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.placement.PlacementResult.Placed;
import io.atoll.cluster.placement.PlacementResult.TooFewNodes;
import io.atoll.cluster.placement.PlacementResult.TooLittleMemory;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class PlacementPlannerTest {
    private static final long SEED = Long.getLong("seed", 1000);
    private static final int TRIALS = 60;
    private static final int EXPERTS = 32;
    private static final int LAYERS = 5;
    private static final PlacementGoal ONE = PlacementGoal.DEFAULT;

    /// A cluster that may or may not hold the model.
    private record Case(
            List<ExpertNode> nodes, ExpertSizes sizes, ExpertHeat heat, PlacementGoal goal) {
        PlacementResult plan(Optional<Placement> current) {
            return PlacementPlanner.plan(nodes, sizes, heat, goal, current);
        }

        static Case random(Random random) {
            List<Long> bytes =
                    random.nextBoolean()
                            ? Collections.nCopies(LAYERS, 1000L)
                            : random.longs(LAYERS, 800, 1300).boxed().toList();
            ExpertSizes sizes = new ExpertSizes(EXPERTS, bytes);
            int count = 1 + random.nextInt(6);
            int replication = 1 + random.nextInt(3);
            double fill = 0.8 + random.nextDouble();
            List<ExpertNode> nodes = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                double part = fill * replication / count * (0.5 + random.nextDouble());
                long memory = (long) (sizes.totalBytes() * part);
                double rate = 1e6 * (1 + random.nextInt(8));
                nodes.add(
                        random.nextInt(4) == 0
                                ? new ExpertNode("n" + i, memory, rate, rate, ExpertNode.Device.GPU)
                                : ExpertNode.cpu("n" + i, memory, rate));
            }
            return new Case(nodes, sizes, skewed(random), ONE.withReplication(replication));
        }
    }

    @Test
    void copiesFitTheMemoryAndMeetTheReplicationOrAreRefusedForAReason() {
        int placed = 0;
        for (int trial = 0; trial < TRIALS; trial++) {
            Case one = Case.random(new Random(SEED + trial));
            String seed = "seed=" + (SEED + trial);
            switch (one.plan(Optional.empty())) {
                case Placed(var placement, _) -> {
                    placed++;
                    checkLimits(one, placement, seed);
                }
                case TooFewNodes(int needed, int had) -> {
                    assertEquals(one.goal.replication(), needed, seed);
                    assertEquals(one.nodes.size(), had, seed);
                    assertTrue(had < needed, seed);
                }
                case TooLittleMemory(long needed, long had) -> {
                    assertEquals(one.sizes.totalBytes() * one.goal.replication(), needed, seed);
                    // What nodes may lose: a part of one expert each, and as much a layer where
                    // sizes differ.
                    long lost = one.nodes.size() * 1300L * LAYERS;
                    assertTrue(had - lost < needed, seed + " needed=" + needed + " had=" + had);
                }
            }
        }
        assertTrue(placed > TRIALS / 5, "seed=" + SEED + " placed=" + placed);
    }

    @Test
    void memoryToTheLastCopyIsEnough() {
        for (int trial = 0; trial < TRIALS; trial++) {
            Random random = new Random(SEED + trial);
            int replication = 1 + random.nextInt(3);
            int[] copies = new int[replication + 1 + random.nextInt(3)];
            int full = LAYERS * EXPERTS;
            for (int left = replication * full; left > 0; ) {
                int node = random.nextInt(copies.length);
                int more = Math.min(left, Math.min(full - copies[node], 1 + random.nextInt(40)));
                copies[node] += more;
                left -= more;
            }
            List<ExpertNode> nodes =
                    IntStream.range(0, copies.length)
                            .mapToObj(i -> ExpertNode.cpu("n" + i, copies[i] * 7L, 1 + i))
                            .toList();
            Case one =
                    new Case(
                            nodes,
                            ExpertSizes.uniform(LAYERS, EXPERTS, 7),
                            skewed(random),
                            ONE.withReplication(replication));
            checkLimits(one, placed(one.plan(Optional.empty())), "seed=" + (SEED + trial));
        }
    }

    @Test
    void losingAnyNodeLeavesACopyOfEveryExpert() {
        Random random = new Random(SEED);
        ExpertSizes sizes = ExpertSizes.uniform(LAYERS, EXPERTS, 10);
        List<ExpertNode> nodes = nodes(4, sizes.totalBytes() * 6 / 10);
        Placement placement =
                placed(
                        new Case(nodes, sizes, skewed(random), ONE.withReplication(2))
                                .plan(Optional.empty()));
        for (ExpertNode lost : nodes) {
            for (int layer = 0; layer < LAYERS; layer++) {
                for (int expert = 0; expert < EXPERTS; expert++) {
                    List<String> left = new ArrayList<>(placement.holders(layer, expert));
                    left.remove(lost.name());
                    assertTrue(!left.isEmpty(), "seed=" + SEED + " lost=" + lost.name());
                }
            }
        }
    }

    @Test
    void orderOfTheNodesDoesNotMatter() {
        for (int trial = 0; trial < TRIALS; trial++) {
            Random random = new Random(SEED + trial);
            Case one = Case.random(random);
            List<ExpertNode> shuffled = new ArrayList<>(one.nodes);
            Collections.shuffle(shuffled, random);
            assertEquals(
                    one.plan(Optional.empty()),
                    new Case(shuffled, one.sizes, one.heat, one.goal).plan(Optional.empty()),
                    "seed=" + (SEED + trial));
        }
    }

    @Test
    void spareMemoryTakesTheHottestExperts() {
        double[][] chosen = new double[1][EXPERTS];
        for (int expert = 0; expert < EXPERTS; expert++) {
            chosen[0][expert] = expert < 4 ? 0.5 : 0.01;
        }
        ExpertSizes sizes = ExpertSizes.uniform(1, EXPERTS, 10);
        List<ExpertNode> nodes = nodes(4, 90); // 36 copies of 32 experts
        Placement placement =
                placed(new Case(nodes, sizes, ExpertHeat.of(chosen), ONE).plan(Optional.empty()));
        for (int expert = 0; expert < EXPERTS; expert++) {
            assertEquals(
                    expert < 4 ? 2 : 1, placement.holders(0, expert).size(), "expert=" + expert);
        }
    }

    @Test
    void fasterNodeGetsMoreOfWhatIsTouched() {
        double[][] chosen = {new Random(SEED).doubles(EXPERTS, 0.01, 0.2).toArray()};
        ExpertSizes sizes = ExpertSizes.uniform(1, EXPERTS, 10);
        List<ExpertNode> nodes =
                List.of(ExpertNode.cpu("fast", 240, 300), ExpertNode.cpu("slow", 240, 100));
        ExpertHeat heat = ExpertHeat.of(chosen);
        Placement placement = placed(new Case(nodes, sizes, heat, ONE).plan(Optional.empty()));
        double[] first = new double[2];
        for (int expert = 0; expert < EXPERTS; expert++) {
            boolean fast = placement.holders(0, expert).getFirst().equals("fast");
            first[fast ? 0 : 1] += heat.touched(0, expert, ONE.stepRows());
        }
        double ratio = first[0] / first[1];
        assertTrue(ratio > 2.5 && ratio < 3.6, "seed=" + SEED + " ratio=" + ratio);
    }

    @Test
    void expertsThatFireTogetherAreSpread() {
        double[][] chosen = new double[1][EXPERTS];
        float[][][] together = new float[1][EXPERTS][EXPERTS];
        List<Integer> shuffled = new ArrayList<>(IntStream.range(0, EXPERTS).boxed().toList());
        Collections.shuffle(shuffled, new Random(SEED));
        for (int i = 0; i < EXPERTS; i++) {
            chosen[0][i] = 0.1;
        }
        for (int i = 0; i < EXPERTS; i += 2) {
            together[0][shuffled.get(i)][shuffled.get(i + 1)] = 0.1f;
            together[0][shuffled.get(i + 1)][shuffled.get(i)] = 0.1f;
        }
        Case one =
                new Case(
                        nodes(2, 160),
                        ExpertSizes.uniform(1, EXPERTS, 10),
                        ExpertHeat.of(chosen, together),
                        ONE);
        Placement placement = placed(one.plan(Optional.empty()));
        for (int i = 0; i < EXPERTS; i += 2) {
            assertTrue(
                    !placement
                            .holders(0, shuffled.get(i))
                            .equals(placement.holders(0, shuffled.get(i + 1))),
                    "seed=" + SEED + " pair=" + i / 2);
        }
    }

    @Test
    void nothingMovesWhenNothingChanged() {
        for (int trial = 0; trial < TRIALS; trial++) {
            Case one = Case.random(new Random(SEED + trial));
            if (one.plan(Optional.empty()) instanceof Placed(var placement, _)) {
                assertEquals(
                        0,
                        assertInstanceOf(Placed.class, one.plan(Optional.of(placement)))
                                .copiesToMove(),
                        "seed=" + (SEED + trial));
            }
        }
    }

    @Test
    void lostNodeMovesItsOwnCopiesOnly() {
        ExpertSizes sizes = ExpertSizes.uniform(LAYERS, EXPERTS, 10);
        List<ExpertNode> nodes = nodes(4, sizes.totalBytes() * 7 / 10);
        Case whole = new Case(nodes, sizes, skewed(new Random(SEED)), ONE.withReplication(2));
        Placement before = placed(whole.plan(Optional.empty()));
        Case rest = new Case(nodes.subList(1, 4), sizes, whole.heat, whole.goal);
        Placed after = assertInstanceOf(Placed.class, rest.plan(Optional.of(before)));
        checkLimits(rest, after.placement(), "seed=" + SEED);
        int lost = before.shard("n0").size();
        assertTrue(
                after.copiesToMove() <= lost,
                "seed=" + SEED + " moved=" + after.copiesToMove() + " lost=" + lost);
    }

    @Test
    void keptPlacementsStayWithinEveryLimit() {
        for (int trial = 0; trial < TRIALS; trial++) {
            Case before = Case.random(new Random(SEED + trial));
            Case after = Case.random(new Random(SEED + trial + 1));
            if (before.plan(Optional.empty()) instanceof Placed(var old, _)
                    && after.plan(Optional.of(old)) instanceof Placed(var placement, int moved)) {
                checkLimits(after, placement, "seed=" + (SEED + trial));
                assertEquals(placement.copiesAddedTo(old), moved);
            }
        }
    }

    @Test
    void refusalNamesWhatIsMissing() {
        ExpertSizes sizes = ExpertSizes.uniform(2, EXPERTS, 10);
        ExpertHeat heat = ExpertHeat.uniform(2, EXPERTS, 4);
        assertEquals(
                new TooLittleMemory(1280, 640 + 630),
                new Case(
                                List.of(ExpertNode.cpu("a", 9999, 1), ExpertNode.cpu("b", 630, 1)),
                                sizes,
                                heat,
                                ONE.withReplication(2))
                        .plan(Optional.empty()));
        assertEquals(
                new TooFewNodes(2, 1),
                new Case(nodes(1, 9999), sizes, heat, ONE.withReplication(2))
                        .plan(Optional.empty()));
        String twice =
                assertThrows(
                                IllegalArgumentException.class,
                                () ->
                                        new Case(
                                                        List.of(
                                                                ExpertNode.cpu("a", 1, 1),
                                                                ExpertNode.cpu("a", 1, 1)),
                                                        sizes,
                                                        heat,
                                                        ONE)
                                                .plan(Optional.empty()))
                        .getMessage();
        assertTrue(twice.contains("a"), twice);
    }

    private static void checkLimits(Case one, Placement placement, String seed) {
        for (ExpertNode node : one.nodes) {
            long bytes = placement.bytes(node.name(), one.sizes);
            assertTrue(bytes <= node.memoryBytes(), seed + " " + node + " holds " + bytes);
        }
        List<String> names = one.nodes.stream().map(ExpertNode::name).toList();
        for (int layer = 0; layer < LAYERS; layer++) {
            for (int expert = 0; expert < EXPERTS; expert++) {
                List<String> holders = placement.holders(layer, expert);
                assertTrue(holders.size() >= one.goal.replication(), seed + " holders=" + holders);
                assertTrue(names.containsAll(holders), seed + " holders=" + holders);
            }
        }
    }

    private static List<ExpertNode> nodes(int count, long memoryBytes) {
        return IntStream.range(0, count)
                .mapToObj(i -> ExpertNode.cpu("n" + i, memoryBytes, 1e6))
                .toList();
    }

    /// Skewed: each layer has a few experts that are chosen often.
    private static ExpertHeat skewed(Random random) {
        double[][] chosen = new double[LAYERS][EXPERTS];
        for (double[] layer : chosen) {
            for (int expert = 0; expert < EXPERTS; expert++) {
                layer[expert] = Math.pow(random.nextDouble(), 4);
            }
        }
        return ExpertHeat.of(chosen);
    }

    private static Placement placed(PlacementResult result) {
        return assertInstanceOf(Placed.class, result, result.toString()).placement();
    }
}
