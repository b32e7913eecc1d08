package io.atoll.cluster.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.placement.Reconciler.Life;
import io.atoll.cluster.placement.Reconciler.Node;
import io.atoll.cluster.placement.Reconciler.Plan;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ReconcilerTest {
    private static final int LAYERS = 2;
    private static final int EXPERTS = 4;
    private static final ExpertSizes SIZES = ExpertSizes.uniform(LAYERS, EXPERTS, 10);
    private static final long ROOM_FOR_ALL = 10L * LAYERS * EXPERTS;

    private static ExpertShard shard(String text) {
        return ExpertShard.parse(text, LAYERS, EXPERTS);
    }

    private static Node live(String name, String held, String wanted) {
        return new Node(
                name, Life.LIVE, true, true, false, shard(held), shard(wanted), ROOM_FOR_ALL);
    }

    private static Node as(Life life, Node node) {
        return new Node(
                node.name(),
                life,
                node.reached(),
                node.takesNew(),
                node.leaves(),
                node.held(),
                node.wanted(),
                node.memoryBytes());
    }

    private static Node leaving(Node node) {
        return new Node(
                node.name(),
                node.life(),
                node.reached(),
                false,
                true,
                node.held(),
                node.wanted(),
                node.memoryBytes());
    }

    @Test
    void nothingToDoWhenAllHoldWhatTheyShould() {
        Plan plan =
                Reconciler.plan(
                        List.of(live("a", "0-1", "0-1"), live("b", "2-3", "2-3")), 1, SIZES);
        assertTrue(plan.isSettled());
    }

    @Test
    void moveLoadsFirstAndReleasesWhenTheNewCopyIsHeld() {
        Plan before =
                Reconciler.plan(List.of(live("a", "0-1", "0"), live("b", "2-3", "1-3")), 1, SIZES);
        assertEquals(Map.of("b", shard("1")), before.loads());
        assertEquals(Map.of(), before.releases());
        Plan after =
                Reconciler.plan(List.of(live("a", "0-1", "0"), live("b", "1-3", "1-3")), 1, SIZES);
        assertEquals(Map.of(), after.loads());
        assertEquals(Map.of("a", shard("1")), after.releases());
    }

    @Test
    void onlyWhatHasNoLiveCopyIsLoadedWhileANodeMayComeBack() {
        Node a = live("a", "0-1", "0-1");
        Node b = as(Life.AWAY, live("b", "1-3", "1-3"));
        Plan plan = Reconciler.plan(List.of(a, b, live("c", "0,2", "0,2")), 2, SIZES);
        assertEquals(Map.of(), plan.releases());
        ExpertShard loaded =
                plan.loads().values().stream().reduce(shard("none"), ExpertShard::plus);
        assertEquals(
                shard("3"), loaded, "experts 1 and 2 have a live copy and one that may come back");
    }

    @Test
    void goneNodeIsReplacedAndItsReturnReleasesWhatWasLoadedForIt() {
        Node a = live("a", "0-1", "0-1");
        Node b = live("b", "2-3", "2-3");
        Plan lost = Reconciler.plan(List.of(a, as(Life.GONE, b)), 1, SIZES);
        assertEquals(Map.of("a", shard("2-3")), lost.loads());
        Plan back = Reconciler.plan(List.of(live("a", "*", "0-1"), b), 1, SIZES);
        assertEquals(Map.of("a", shard("2-3")), back.releases());
        assertEquals(Map.of(), back.loads());
    }

    @Test
    void leavingNodeKeepsItsCopiesUntilOthersHoldThem() {
        Node a = live("a", "0-1", "0-1");
        Node b = leaving(live("b", "2-3", "2-3"));
        Plan first = Reconciler.plan(List.of(a, b), 1, SIZES);
        assertEquals(Map.of("a", shard("2-3")), first.loads());
        assertEquals(Map.of(), first.releases());
        Plan second = Reconciler.plan(List.of(live("a", "*", "0-1"), b), 1, SIZES);
        assertEquals(Map.of("b", shard("2-3")), second.releases());
    }

    @Test
    void whatFitsNowhereIsCountedAndNothingIsReleasedForIt() {
        Node a =
                new Node(
                        "a",
                        Life.LIVE,
                        true,
                        true,
                        false,
                        shard("0-1"),
                        shard("0-1"),
                        10L * 2 * LAYERS);
        Node b = leaving(live("b", "2-3", "2-3"));
        Plan plan = Reconciler.plan(List.of(a, b), 1, SIZES);
        assertEquals(2 * LAYERS, plan.homeless());
        assertEquals(Map.of(), plan.loads());
        assertEquals(Map.of(), plan.releases());
        assertFalse(plan.isSettled());
    }

    @Test
    void copyOnANodeThatRowsCannotReachYetLetsNoOtherGo() {
        Node a = live("a", "*", "0-1");
        Node b = live("b", "2-3", "2-3");
        Node unreached =
                new Node("b", Life.LIVE, false, true, false, b.held(), b.wanted(), ROOM_FOR_ALL);
        assertTrue(Reconciler.plan(List.of(a, unreached), 1, SIZES).releases().isEmpty());
        assertEquals(
                Map.of("a", shard("2-3")), Reconciler.plan(List.of(a, b), 1, SIZES).releases());
    }

    @Test
    void cordonedNodeTakesNothingThatNobodyAskedFor() {
        Node a =
                new Node(
                        "a",
                        Life.LIVE,
                        true,
                        false,
                        false,
                        shard("0-1"),
                        shard("0-1"),
                        ROOM_FOR_ALL);
        Plan plan =
                Reconciler.plan(
                        List.of(
                                a,
                                as(Life.GONE, live("b", "2-3", "2-3")),
                                live("c", "none", "none")),
                        1,
                        SIZES);
        assertEquals(Map.of("c", shard("2-3")), plan.loads());
    }

    /// Nodes die, come back with what they should hold or with nothing, leave and stay, in any order; each plan is carried out in
    /// part only. No release ever takes a last copy, and once all is quiet the cluster settles with its copies in place.
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void noReleaseTakesALastCopyAndQuietClustersSettle(int replication) {
        for (int seed = 0; seed < 200; seed++) {
            Random random = new Random(1000L * replication + seed);
            List<Node> nodes = new ArrayList<>();
            int count = 3 + random.nextInt(3);
            for (int i = 0; i < count; i++) {
                ExpertShard part = ExpertShard.part(LAYERS, EXPERTS, i % EXPERTS, EXPERTS);
                nodes.add(
                        new Node("n" + i, Life.LIVE, true, true, false, part, part, ROOM_FOR_ALL));
            }
            for (int step = 0; step < 40; step++) {
                disturb(nodes, random);
                carryOut(nodes, replication, random, true);
            }
            for (int i = 0; i < count; i++) {
                Node node = nodes.get(i);
                nodes.set(
                        i,
                        new Node(
                                node.name(),
                                Life.LIVE,
                                true,
                                true,
                                false,
                                node.held(),
                                node.wanted(),
                                node.memoryBytes()));
            }
            int rounds = 0;
            while (!Reconciler.plan(nodes, replication, SIZES).isSettled()) {
                carryOut(nodes, replication, random, false);
                rounds++;
                assertTrue(rounds < 100, "seed " + seed + " does not settle");
            }
            for (int layer = 0; layer < LAYERS; layer++) {
                for (int expert = 0; expert < EXPERTS; expert++) {
                    assertTrue(
                            holders(nodes, layer, expert) >= Math.min(replication, count),
                            "seed " + seed);
                }
            }
        }
    }

    private static void disturb(List<Node> nodes, Random random) {
        int i = random.nextInt(nodes.size());
        Node node = nodes.get(i);
        Life life = List.of(Life.LIVE, Life.AWAY, Life.GONE).get(random.nextInt(3));
        boolean leaves = random.nextInt(6) == 0;
        ExpertShard held = node.held();
        if (node.life() != Life.LIVE && life == Life.LIVE) {
            held = random.nextBoolean() ? node.wanted() : ExpertShard.none(LAYERS, EXPERTS);
        }
        nodes.set(
                i,
                new Node(
                        node.name(),
                        life,
                        random.nextInt(4) != 0,
                        random.nextInt(6) != 0,
                        leaves,
                        held,
                        node.wanted(),
                        node.memoryBytes()));
    }

    private static void carryOut(List<Node> nodes, int replication, Random random, boolean inPart) {
        Plan plan = Reconciler.plan(nodes, replication, SIZES);
        for (int i = 0; i < nodes.size(); i++) {
            Node node = nodes.get(i);
            ExpertShard released = plan.releases().getOrDefault(node.name(), shard("none"));
            for (ExpertShard.LayerRange range : released.ranges()) {
                for (int expert = range.first(); expert <= range.last(); expert++) {
                    assertTrue(
                            reachedHolders(nodes, range.layer(), expert) > (node.reached() ? 1 : 0),
                            "the last copy would go: " + range);
                }
            }
            ExpertShard loaded = plan.loads().getOrDefault(node.name(), shard("none"));
            if (inPart && random.nextBoolean()) {
                continue;
            }
            nodes.set(
                    i,
                    new Node(
                            node.name(),
                            node.life(),
                            node.reached(),
                            node.takesNew(),
                            node.leaves(),
                            node.held().plus(loaded).without(released),
                            node.wanted(),
                            node.memoryBytes()));
        }
    }

    private static long holders(List<Node> nodes, int layer, int expert) {
        return nodes.stream()
                .filter(node -> node.life() == Life.LIVE && node.held().holds(layer, expert))
                .count();
    }

    private static long reachedHolders(List<Node> nodes, int layer, int expert) {
        return nodes.stream()
                .filter(Node::reached)
                .filter(node -> node.life() == Life.LIVE && node.held().holds(layer, expert))
                .count();
    }
}
