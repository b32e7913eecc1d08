package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.Reconciler.Life;
import io.atoll.coordinator.cluster.ClusterControl;
import io.atoll.coordinator.cluster.ClusterEvents.Event;
import io.atoll.coordinator.cluster.ClusterMembers;
import io.atoll.coordinator.cluster.ClusterSettings;
import io.atoll.coordinator.cluster.ClusterSettings.WorkerAddress;
import io.atoll.coordinator.cluster.ClusterStatus;
import io.atoll.coordinator.cluster.ClusterStatus.NodeStatus;
import io.atoll.coordinator.cluster.PlacementTable;
import io.atoll.coordinator.cluster.RefusedException;
import io.atoll.expert.DeviceChoice;
import io.atoll.expert.ExpertWorker;
import io.atoll.expert.ExpertWorkerSettings;
import io.grpc.InsecureChannelCredentials;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// What a coordinator makes of workers that come, go and run out of memory. Nobody sends rows here.
class ClusterControlTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final int LAYERS = 9; // with the prediction module's
    private static final int EXPERTS = 32;
    private static final long EXPERT_BYTES = 49_152;

    private final Deque<AutoCloseable> opened = new ArrayDeque<>();
    private final AtomicLong epochs = new AtomicLong();
    private final PlacementTable table = PlacementTable.inMemory();

    /// Members as a test has them.
    private final class Members implements ClusterMembers {
        private volatile List<WorkerAddress> joined = List.of();
        private volatile boolean leading = true;
        private volatile Runnable listener = () -> {};

        void change(boolean leads, WorkerAddress... workers) {
            joined = List.of(workers);
            leading = leads;
            listener.run();
        }

        @Override
        public List<Node> nodes() {
            return List.of();
        }

        @Override
        public List<WorkerAddress> expertWorkers() {
            return joined;
        }

        @Override
        public boolean isLeading() {
            return leading;
        }

        @Override
        public Optional<String> leader() {
            return Optional.of("the other one");
        }

        @Override
        public long nextEpoch() {
            return epochs.incrementAndGet();
        }

        @Override
        public void onChange(Runnable told) {
            listener = told;
        }
    }

    @AfterEach
    void close() throws Exception {
        while (!opened.isEmpty()) {
            opened.pop().close();
        }
    }

    private static ExpertShard shard(String text) {
        return ExpertShard.parse(text, LAYERS, EXPERTS);
    }

    private ExpertWorker worker(String name, String held, int port, long memoryExperts)
            throws Exception {
        ExpertWorkerSettings usual =
                ExpertWorkerSettings.of(name, "test", MODEL, shard(held), "127.0.0.1", port);
        ExpertWorker worker =
                ExpertWorker.open(
                        new ExpertWorkerSettings(
                                name,
                                "test",
                                MODEL,
                                shard(held),
                                "127.0.0.1",
                                port,
                                Optional.empty(),
                                1,
                                Optional.empty(),
                                usual.maxQueueMessages(),
                                usual.maxQueueBytes(),
                                Duration.ZERO,
                                Duration.ZERO,
                                DeviceChoice.CPU,
                                MODEL,
                                memoryExperts * EXPERT_BYTES,
                                0));
        opened.push(worker);
        worker.start();
        return worker;
    }

    private ExpertWorker worker(String name, String held) throws Exception {
        return worker(name, held, 0, LAYERS * EXPERTS);
    }

    private static WorkerAddress at(String name, ExpertWorker worker) {
        return new WorkerAddress(name, "127.0.0.1", worker.port());
    }

    private ClusterControl control(int replication, ExpertWorker... workers) {
        return control(new Members(), replication, workers);
    }

    private ClusterControl control(
            ClusterMembers members, int replication, ExpertWorker... workers) {
        List<WorkerAddress> addresses = new ArrayList<>();
        for (ExpertWorker worker : workers) {
            addresses.add(at("w" + (addresses.size() + 1), worker));
        }
        ClusterControl control =
                new ClusterControl(
                        new ClusterSettings(
                                "test",
                                addresses,
                                4,
                                replication,
                                Duration.ofMillis(20),
                                Duration.ofMillis(300),
                                InsecureChannelCredentials.create(),
                                members,
                                table));
        opened.push(control);
        control.start();
        return control;
    }

    private static ClusterStatus await(ClusterControl control, Predicate<ClusterStatus> condition)
            throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        ClusterStatus status = control.status();
        while (!condition.test(status)) {
            assertTrue(System.nanoTime() < end, "not within 30 s: " + status);
            TimeUnit.MILLISECONDS.sleep(10);
            status = control.status();
        }
        return status;
    }

    private static NodeStatus node(ClusterStatus status, String name) {
        return status.nodes().stream()
                .filter(node -> node.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private static List<String> kinds(ClusterControl control) throws Exception {
        return control.events().after(0, 1000, 0).stream().map(Event::kind).toList();
    }

    @Test
    void copiesOfAWorkerThatStaysAwayAreMadeElsewhereAndGoWhenItIsBack() throws Exception {
        ExpertWorker first = worker("w1", "0-15");
        ExpertWorker second = worker("w2", "0-15");
        ExpertWorker third = worker("w3", "16-31");
        ExpertWorker fourth = worker("w4", "16-31");
        ClusterControl control = control(2, first, second, third, fourth);
        await(control, ClusterStatus::settled);
        int port = fourth.port();
        fourth.close();
        ClusterStatus repaired =
                await(
                        control,
                        status ->
                                node(status, "w4").life() == Life.GONE
                                        && status.belowReplication() == 0
                                        && status.settled());
        assertFalse(repaired.alarms().isEmpty(), "a worker is down");
        ExpertShard loaded =
                node(repaired, "w1").held().plus(node(repaired, "w2").held()).and(shard("16-31"));
        assertEquals(shard("16-31"), loaded);
        worker("w4", "16-31", port, LAYERS * EXPERTS);
        ClusterStatus back =
                await(
                        control,
                        status ->
                                status.settled()
                                        && node(status, "w4").life() == Life.LIVE
                                        && node(status, "w1").held().equals(shard("0-15"))
                                        && node(status, "w2").held().equals(shard("0-15")));
        assertEquals(List.of(), back.alarms());
        List<String> kinds = kinds(control);
        assertTrue(
                kinds.containsAll(
                        List.of("worker-up", "worker-away", "worker-gone", "loaded", "released")),
                kinds.toString());
    }

    @Test
    void drainThatTheOthersHaveNoMemoryForIsRefused() throws Exception {
        ExpertWorker first = worker("w1", "0-15", 0, LAYERS * 20);
        ExpertWorker second = worker("w2", "16-31");
        ClusterControl control = control(1, first, second);
        await(control, ClusterStatus::settled);
        RefusedException refusal = assertThrows(RefusedException.class, () -> control.drain("w2"));
        assertTrue(
                refusal.getMessage().contains("lack the memory for " + LAYERS * 12),
                refusal.getMessage());
        assertFalse(node(control.status(), "w2").draining());
        RefusedException move =
                assertThrows(RefusedException.class, () -> control.move("16-23", "w2", "w1"));
        assertTrue(move.getMessage().startsWith("w1 lacks memory"), move.getMessage());
        control.move("16-19", "w2", "w1");
        ClusterStatus moved = await(control, ClusterStatus::settled);
        assertEquals(shard("0-19"), node(moved, "w1").held());
        assertEquals(shard("20-31"), node(moved, "w2").held());
    }

    @Test
    void workerOfAnotherNameAtAnAddressIsNotTakenForTheRightOne() throws Exception {
        ExpertWorker first = worker("w1", "*");
        ExpertWorker stranger = worker("x", "*");
        ClusterControl control = control(1, first, stranger);
        ClusterStatus status =
                await(control, now -> node(now, "w2").reason().contains("answers as 'x'"));
        assertEquals(Life.LIVE, node(status, "w1").life());
        assertEquals(1, status.alarms().size(), status.alarms().toString());
    }

    @Test
    void workersObeyTheNewestCoordinatorOnly() throws Exception {
        ExpertWorker first = worker("w1", "0-15");
        ExpertWorker second = worker("w2", "16-31");
        ClusterControl old = control(1, first, second);
        await(old, ClusterStatus::settled);
        ClusterControl successor = control(1, first, second);
        await(successor, ClusterStatus::settled);
        ClusterStatus replaced =
                await(old, status -> node(status, "w1").reason().contains("epoch"));
        assertTrue(node(replaced, "w1").reason().contains("has heard of 2, the caller has 1"));
        await(old, status -> node(status, "w2").life() != Life.LIVE);
        assertEquals(
                List.of(),
                kinds(old).stream().filter(kind -> kind.startsWith("load")).toList(),
                "it makes no copies of workers that it may not command");
        assertEquals(shard("0-15"), node(successor.status(), "w1").held());
    }

    @Test
    void joinedWorkerTakesCopiesAndIsForgottenOnceItHasLeft() throws Exception {
        ExpertWorker first = worker("w1", "*");
        Members members = new Members();
        ClusterControl control = control(members, 2, first);
        await(control, ClusterStatus::settled);
        ExpertWorker second = worker("w2", "none");
        members.change(true, at("w2", second));
        ClusterStatus joined =
                await(control, status -> status.settled() && status.belowReplication() == 0);
        assertEquals(shard("*"), node(joined, "w2").held());

        members.change(true);
        await(control, status -> node(status, "w2").life() == Life.LIVE); // it still answers
        second.close();
        ClusterStatus left = await(control, status -> status.nodes().size() == 1);
        assertEquals(List.of(), left.alarms().stream().filter(a -> a.contains("w2")).toList());
        assertTrue(kinds(control).contains("worker-retired"));
    }

    @Test
    void nextLeaderKnowsWhatWasWanted() throws Exception {
        ExpertWorker first = worker("w1", "0-15");
        ExpertWorker second = worker("w2", "16-31");
        ExpertWorker third = worker("w3", "none");
        Members ofFirst = new Members();
        Members ofSecond = new Members();
        ofSecond.change(false);
        ClusterControl leader = control(ofFirst, 1, first, second, third);
        ClusterControl standby = control(ofSecond, 1, first, second, third);
        await(leader, ClusterStatus::settled);
        assertEquals(Optional.of("the other one"), standby.standsByFor());
        RefusedException refused =
                assertThrows(RefusedException.class, () -> standby.cordon("w1", true));
        assertTrue(refused.getMessage().contains("the other one"), refused.getMessage());
        leader.move("0-3", "w1", "w3");
        leader.cordon("w2", true);
        await(leader, ClusterStatus::settled);
        int port = third.port();
        third.close(); // so that what it holds cannot be what the next leader goes by
        while (!table.read().getOrDefault("w3", "").contains("0-3")) {
            Thread.onSpinWait();
        }
        ofFirst.change(false);
        await(leader, status -> status.standsByFor().isPresent());
        worker("w3", "none", port, LAYERS * EXPERTS);
        ofSecond.change(true);
        ClusterStatus taken =
                await(
                        standby,
                        status ->
                                status.settled()
                                        && status.nodes().size() == 3
                                        && node(status, "w3").held().equals(shard("0-3")));
        assertEquals(shard("0-3"), node(taken, "w3").wanted());
        assertEquals(shard("4-15"), node(taken, "w1").wanted());
        assertTrue(node(taken, "w2").cordoned());
        assertEquals(2, taken.epoch());
        assertEquals(Optional.empty(), standby.standsByFor());
    }

    /// Then the file was changed since, and what was wanted before is not.
    @Test
    void workerStartedWithOtherExpertsThanBeforeKeepsThem() throws Exception {
        table.write(
                Map.of("w1", shard("0-15") + " " + shard("0-7"), "w2", "none " + shard("8-31")));
        ExpertWorker first = worker("w1", "*");
        ExpertWorker second = worker("w2", "none");
        ClusterControl control = control(1, first, second);
        ClusterStatus status =
                await(
                        control,
                        now -> now.settled() && node(now, "w2").held().equals(shard("8-31")));
        assertEquals(shard("*"), node(status, "w1").held());
    }
}
