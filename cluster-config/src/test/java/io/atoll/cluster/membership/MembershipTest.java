package io.atoll.cluster.membership;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.hazelcast.core.Hazelcast;
import io.atoll.cluster.config.ClusterFile.MembershipSection;
import io.atoll.cluster.config.HostPort;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class MembershipTest {
    private static final long PATIENCE_NANOS = Duration.ofSeconds(30).toNanos();

    private final String clusterId = "test-" + UUID.randomUUID();
    private final List<Membership> members = new ArrayList<>();

    @AfterEach
    void leave() {
        members.forEach(Membership::close);
    }

    private Membership join(NodeRole role, String name, int port, int minMembers)
            throws MembershipException {
        Membership membership =
                Membership.join(
                        clusterId,
                        new MembershipSection(
                                List.of("127.0.0.1"), 17_801, null, Optional.empty(), minMembers),
                        new ClusterNode(
                                role,
                                name,
                                new HostPort("0.0.0.0", port),
                                Instant.ofEpochMilli(1),
                                Map.of("rack", "b")),
                        Duration.ofMillis(500));
        members.add(membership);
        return membership;
    }

    private static void await(BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + PATIENCE_NANOS;
        while (!condition.getAsBoolean()) {
            assertTrue(System.nanoTime() < end, "waited in vain");
            Thread.sleep(10);
        }
    }

    /// Two coordinators and a worker: who leads, what outlives whom.
    @Test
    void nextCoordinatorLeadsWhenTheFirstGoes() throws Exception {
        Membership first = join(NodeRole.COORDINATOR, "c1", 8000, 2);
        assertFalse(first.isLeading(), "alone, it must not lead");
        assertThrows(MembershipException.class, first::nextEpoch);
        Membership worker = join(NodeRole.EXPERT_WORKER, "w1", 7001, 2);
        Semaphore changes = new Semaphore(0);
        worker.onChange(changes::release);
        Membership second = join(NodeRole.COORDINATOR, "c2", 8001, 2);
        assertTrue(changes.tryAcquire(30, TimeUnit.SECONDS));
        await(() -> first.nodes().size() == 3);
        assertEquals(first.nodes(), second.nodes());
        ClusterNode seen = first.nodes(NodeRole.EXPERT_WORKER).getFirst();
        assertEquals(new HostPort("127.0.0.1", 7001), seen.address());
        assertEquals(Map.of("rack", "b"), seen.labels());
        assertEquals(Instant.ofEpochMilli(1), seen.started());
        assertTrue(first.isLeading());
        assertFalse(second.isLeading());
        assertFalse(worker.isLeading());
        long epoch = first.nextEpoch();
        assertTrue(epoch >= 1_700_000_000_000L);
        first.setTable(Map.of("w1", "0:0-3", "w2", "0:4-7"));
        first.setTable(Map.of("w1", "0:0-5"));

        Hazelcast.getAllHazelcastInstances().stream()
                .filter(each -> each.getCluster().getMembers().iterator().next().localMember())
                .findFirst()
                .orElseThrow()
                .getLifecycleService()
                .terminate(); // as a crash would
        await(second::isLeading);
        assertEquals("c2", second.leader().orElseThrow().name());
        assertEquals(Map.of("w1", "0:0-5"), second.table());
        assertTrue(second.nextEpoch() > epoch);
        assertEquals(List.of(worker.self().name(), "c2"), names(worker));
    }

    private static List<String> names(Membership membership) {
        return membership.nodes().stream().map(ClusterNode::name).toList();
    }

    /// The older one stays. A later one takes the name over as soon as the older is gone.
    @Test
    void namesakeIsRefusedWhileTheOlderOneLives() throws Exception {
        Membership first = join(NodeRole.EXPERT_WORKER, "w1", 7001, 1);
        MembershipException refused =
                assertThrows(
                        MembershipException.class,
                        () -> join(NodeRole.EXPERT_WORKER, "w1", 7002, 1));
        assertTrue(refused.getMessage().contains("expert-worker w1"), refused.getMessage());
        await(() -> first.nodes().size() == 1);
        join(NodeRole.ATTENTION_WORKER, "w1", 7003, 1); // another role
        await(() -> first.nodes().size() == 2);
    }

    @Test
    void attributesOfStrangersAreNoNode() {
        assertEquals(Optional.empty(), ClusterNode.read(Map.of(), "10.0.0.1"));
        assertEquals(
                Optional.empty(),
                ClusterNode.read(
                        Map.of(
                                "atoll.role", "expert-worker",
                                "atoll.name", "w1",
                                "atoll.address", "nonsense",
                                "atoll.started", "1970-01-01T00:00:00Z"),
                        "10.0.0.1"));
    }
}
