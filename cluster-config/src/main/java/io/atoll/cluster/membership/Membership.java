package io.atoll.cluster.membership;

import com.hazelcast.cluster.Member;
import com.hazelcast.cluster.MembershipAdapter;
import com.hazelcast.cluster.MembershipEvent;
import com.hazelcast.config.AdvancedNetworkConfig;
import com.hazelcast.config.ClassFilter;
import com.hazelcast.config.Config;
import com.hazelcast.config.JavaSerializationFilterConfig;
import com.hazelcast.config.JoinConfig;
import com.hazelcast.config.MapConfig;
import com.hazelcast.config.MemberAttributeConfig;
import com.hazelcast.config.ServerSocketEndpointConfig;
import com.hazelcast.config.SplitBrainProtectionConfig;
import com.hazelcast.core.Hazelcast;
import com.hazelcast.core.HazelcastException;
import com.hazelcast.core.HazelcastInstance;
import com.hazelcast.core.HazelcastInstanceNotActiveException;
import com.hazelcast.splitbrainprotection.SplitBrainProtectionException;
import com.hazelcast.splitbrainprotection.SplitBrainProtectionOn;
import io.atoll.cluster.config.ClusterFile.MembershipSection;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// This process as a member of its cluster: who else is in it, which coordinator has the say, and a table of text that lives for as
/// long as any member does.
///
/// The oldest coordinator has the say; when it goes, the next one does. Who is cut off from too many others has none
/// (`min-members`). A coordinator that was cut off and does not know it yet is fenced by its epoch at the workers.
///
/// What it sends is not encrypted, and whoever reaches its port can join: it listens on the loopback interface, or on the
/// interfaces that the cluster file names. Of Java objects it reads no others from the network than exceptions.
public final class Membership implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Membership.class);

    static {
        // What Hazelcast logs before it has read a configuration.
        System.setProperty("hazelcast.logging.type", "slf4j");
    }

    private static final String PROTECTION = "atoll-min-members";
    private static final String TABLES = "atoll-tables";
    private static final String TABLE = "placement";
    private static final String EPOCHS = "atoll-epochs";
    private static final String LAST_EPOCH = "last";

    /// A namesake that was killed is a member until its heartbeats are missed.
    private static final Duration GHOST_PATIENCE = Duration.ofSeconds(12);

    private static final long GHOST_POLL_MILLIS = 200;

    /// Exceptions travel between members as Java objects, and are all that does; these are what they are made of.
    private static final List<String> EXCEPTIONS =
            List.of(
                    "com.hazelcast.",
                    "java.lang.",
                    "[Ljava.lang.StackTraceElement;",
                    "java.util.Collections$",
                    "java.util.concurrent.",
                    "java.io.IOException",
                    "java.io.EOFException",
                    "java.net.");

    private static final Duration COPY_PATIENCE = Duration.ofSeconds(10);
    private static final long COPY_POLL_MILLIS = 10;

    private final HazelcastInstance hazelcast;
    private final ClusterNode self;
    private final List<Runnable> listeners = new CopyOnWriteArrayList<>();

    private Membership(HazelcastInstance hazelcast) {
        this.hazelcast = hazelcast;
        self = node(hazelcast.getCluster().getLocalMember()).orElseThrow();
        hazelcast
                .getCluster()
                .addMembershipListener(
                        new MembershipAdapter() {
                            @Override
                            public void memberAdded(MembershipEvent event) {
                                changed();
                            }

                            @Override
                            public void memberRemoved(MembershipEvent event) {
                                changed();
                            }
                        });
    }

    /// Joins the cluster of this name, or begins it if none of the section's members answers.
    ///
    /// @param self what the others see of this process
    /// @throws MembershipException if no port is free, or another node of the same role and name is there and stays
    public static Membership join(String clusterId, MembershipSection section, ClusterNode self)
            throws MembershipException {
        return join(clusterId, section, self, GHOST_PATIENCE);
    }

    static Membership join(
            String clusterId, MembershipSection section, ClusterNode self, Duration patience)
            throws MembershipException {
        HazelcastInstance hazelcast;
        try {
            hazelcast = Hazelcast.newHazelcastInstance(config(clusterId, section, self));
        } catch (HazelcastException | IllegalStateException e) {
            throw new MembershipException(
                    "cannot become a member of cluster " + clusterId + ": " + e.getMessage(), e);
        }
        Membership membership = new Membership(hazelcast);
        try {
            membership.outlastGhosts(patience);
        } catch (MembershipException | RuntimeException e) {
            membership.close();
            throw e;
        }
        LOG.info(
                "{} is a member of cluster {} with {}",
                self.name(),
                clusterId,
                membership.nodes().stream().map(ClusterNode::name).toList());
        return membership;
    }

    private static Config config(String clusterId, MembershipSection section, ClusterNode self) {
        Config config = new Config();
        config.setClusterName(clusterId);
        config.setProperty("hazelcast.phone.home.enabled", "false");
        config.setProperty("hazelcast.shutdownhook.enabled", "false"); // a role closes in order
        config.setProperty("hazelcast.heartbeat.failuredetector.type", "deadline");
        config.setProperty("hazelcast.heartbeat.interval.seconds", "1");
        config.setProperty("hazelcast.max.no.heartbeat.seconds", "5");
        config.setProperty("hazelcast.wait.seconds.before.join", "0");
        config.setProperty("hazelcast.socket.bind.any", "false");
        // A table of a few entries: fewer threads than Hazelcast takes for a machine of its own.
        config.setProperty("hazelcast.partition.count", "13");
        config.setProperty("hazelcast.io.thread.count", "1");
        config.setProperty("hazelcast.event.thread.count", "1");
        config.setProperty("hazelcast.operation.thread.count", "2");
        config.setProperty("hazelcast.operation.generic.thread.count", "2");
        config.getSerializationConfig()
                .setJavaSerializationFilterConfig(
                        new JavaSerializationFilterConfig()
                                .setDefaultsDisabled(true)
                                .setWhitelist(
                                        new ClassFilter()
                                                .addPrefixes(EXCEPTIONS.toArray(String[]::new))));
        config.setMemberAttributeConfig(
                new MemberAttributeConfig().setAttributes(self.attributes()));
        config.setAdvancedNetworkConfig(network(section)); // members only: no clients, no REST
        config.addSplitBrainProtectionConfig(
                new SplitBrainProtectionConfig(PROTECTION, true, section.minMembers())
                        .setProtectOn(SplitBrainProtectionOn.WRITE));
        for (String map : List.of(TABLES, EPOCHS)) {
            config.addMapConfig(
                    new MapConfig(map).setBackupCount(2).setSplitBrainProtectionName(PROTECTION));
        }
        return config;
    }

    private static AdvancedNetworkConfig network(MembershipSection section) {
        ServerSocketEndpointConfig endpoint = new ServerSocketEndpointConfig();
        endpoint.setPort(section.port())
                .setPortAutoIncrement(true)
                .setPortCount(MembershipSection.PORTS);
        endpoint.getInterfaces().setEnabled(true).setInterfaces(section.interfaces());
        JoinConfig join = new JoinConfig();
        join.getAutoDetectionConfig().setEnabled(false);
        join.getMulticastConfig().setEnabled(false);
        if (section.kubernetesService().isPresent()) {
            join.getKubernetesConfig()
                    .setEnabled(true)
                    .setProperty("service-dns", section.kubernetesService().get());
        } else {
            join.getTcpIpConfig()
                    .setEnabled(true)
                    .setConnectionTimeoutSeconds(2)
                    .setMembers(section.members());
        }
        AdvancedNetworkConfig network = new AdvancedNetworkConfig();
        return network.setEnabled(true).setMemberEndpointConfig(endpoint).setJoin(join);
    }

    /// Waits for older namesakes to go: one that was killed is still a member for a few seconds.
    private void outlastGhosts(Duration patience) throws MembershipException {
        long end = System.nanoTime() + patience.toNanos();
        while (true) {
            Optional<ClusterNode> older = olderNamesake();
            if (older.isEmpty()) {
                return;
            }
            if (System.nanoTime() - end >= 0) {
                throw new MembershipException(
                        "the cluster has a node of this name already: %s. Stop it, or give this"
                                        .formatted(older.get())
                                + " one another name");
            }
            pause(GHOST_POLL_MILLIS);
        }
    }

    private Optional<ClusterNode> olderNamesake() {
        for (Member member : hazelcast.getCluster().getMembers()) {
            if (member.localMember()) {
                break; // members come in the order in which they joined
            }
            Optional<ClusterNode> node = node(member);
            if (node.isPresent() && node.get().isNamesake(self)) {
                return node;
            }
        }
        return Optional.empty();
    }

    private static Optional<ClusterNode> node(Member member) {
        return ClusterNode.read(member.getAttributes(), member.getAddress().getHost());
    }

    /// Every node, this one too, in the order in which they joined. Of namesakes only the oldest counts.
    public List<ClusterNode> nodes() {
        List<ClusterNode> nodes = new ArrayList<>();
        try {
            for (Member member : hazelcast.getCluster().getMembers()) {
                Optional<ClusterNode> node = node(member);
                if (node.isPresent() && nodes.stream().noneMatch(node.get()::isNamesake)) {
                    nodes.add(node.get());
                }
            }
        } catch (HazelcastInstanceNotActiveException _) {
            nodes.add(self); // closed, or closing
        }
        return nodes;
    }

    /// The nodes of one role.
    public List<ClusterNode> nodes(NodeRole role) {
        return nodes().stream().filter(node -> node.role() == role).toList();
    }

    /// This node, as the others see it.
    public ClusterNode self() {
        return self;
    }

    /// The coordinator that has the say: the oldest.
    public Optional<ClusterNode> leader() {
        return nodes(NodeRole.COORDINATOR).stream().findFirst();
    }

    /// Whether this node is the coordinator that has the say, and sees enough others to use it.
    public boolean isLeading() {
        return leader().filter(self::equals).isPresent() && hasMinMembers();
    }

    private boolean hasMinMembers() {
        try {
            return hazelcast
                    .getSplitBrainProtectionService()
                    .getSplitBrainProtection(PROTECTION)
                    .hasMinimumSize();
        } catch (HazelcastInstanceNotActiveException _) {
            return false;
        }
    }

    /// Has something done after each change of the nodes. It must not block.
    public void onChange(Runnable listener) {
        listeners.add(listener);
    }

    private void changed() {
        for (Runnable listener : listeners) {
            listener.run();
        }
    }

    /// An epoch above every one that was given out before, and not below the clock in milliseconds, since the table of them is
    /// gone when no member is left.
    ///
    /// @throws MembershipException if too few members are there
    public long nextEpoch() throws MembershipException {
        return change(
                () ->
                        hazelcast
                                .<String, Long>getMap(EPOCHS)
                                .merge(
                                        LAST_EPOCH,
                                        System.currentTimeMillis(),
                                        (last, now) -> Math.max(last + 1, now)));
    }

    /// The table; empty if there is none.
    public Map<String, String> table() {
        try {
            Map<String, String> table = tables().get(TABLE);
            return table == null ? Map.of() : Map.copyOf(table);
        } catch (HazelcastInstanceNotActiveException _) {
            return Map.of();
        }
    }

    /// Makes the table have these entries and no others, all at once. Returns when other members have it too: just after one has
    /// joined or left, that takes a moment.
    ///
    /// @throws MembershipException if too few members are there, or they do not get to it
    public void setTable(Map<String, String> entries) throws MembershipException {
        var _ = change(() -> tables().put(TABLE, new HashMap<>(entries)));
        awaitCopies();
    }

    private void awaitCopies() throws MembershipException {
        long end = System.nanoTime() + COPY_PATIENCE.toNanos();
        while (!change(() -> hazelcast.getPartitionService().isClusterSafe())) {
            if (System.nanoTime() - end >= 0) {
                throw new MembershipException(
                        "the other members have not copied the table in " + COPY_PATIENCE);
            }
            pause(COPY_POLL_MILLIS);
        }
    }

    private static void pause(long millis) throws MembershipException {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MembershipException("interrupted", e);
        }
    }

    private Map<String, Map<String, String>> tables() {
        return hazelcast.getMap(TABLES);
    }

    private interface Writing<T> {
        T run();
    }

    private static <T> T change(Writing<T> writing) throws MembershipException {
        try {
            return writing.run();
        } catch (SplitBrainProtectionException e) {
            throw new MembershipException("too few members of the cluster are reached", e);
        } catch (HazelcastException | IllegalStateException e) {
            throw new MembershipException("the cluster's table: " + e.getMessage(), e);
        }
    }

    /// Leaves the cluster. What it kept for others is on them before this returns.
    @Override
    public void close() {
        hazelcast.shutdown();
    }
}
