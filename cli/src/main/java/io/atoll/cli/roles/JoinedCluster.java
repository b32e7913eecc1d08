package io.atoll.cli.roles;

import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.HostPort;
import io.atoll.cluster.membership.ClusterNode;
import io.atoll.cluster.membership.Membership;
import io.atoll.cluster.membership.NodeRole;
import io.atoll.coordinator.cluster.ClusterMembers;
import io.atoll.coordinator.cluster.ClusterSettings.WorkerAddress;
import io.atoll.coordinator.cluster.PlacementFile;
import io.atoll.coordinator.cluster.PlacementTable;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// A process's membership in its cluster, as its parts need it. Where the cluster file has no `membership` section, everything is
/// as that file lists it.
final class JoinedCluster implements ClusterMembers, AutoCloseable {
    private final ClusterFile file;
    private final Optional<Membership> membership;

    private JoinedCluster(ClusterFile file, Optional<Membership> membership) {
        this.file = file;
        this.membership = membership;
    }

    /// Joins, if the file has a section for it.
    ///
    /// @param name of this node; empty takes the host's and the port
    /// @param address where others reach it
    /// @throws IOException if that fails
    static JoinedCluster join(
            ClusterFile file,
            NodeRole role,
            Optional<String> name,
            HostPort address,
            Map<String, String> labels)
            throws IOException {
        if (file.membership().isEmpty()) {
            return alone(file);
        }
        ClusterNode self =
                new ClusterNode(
                        role,
                        name.orElseGet(() -> hostName() + ":" + address.port()),
                        address,
                        ProcessHandle.current().info().startInstant().orElseGet(Instant::now),
                        labels);
        return new JoinedCluster(
                file,
                Optional.of(Membership.join(file.clusterId(), file.membership().get(), self)));
    }

    /// Without others that could join.
    static JoinedCluster alone(ClusterFile file) {
        return new JoinedCluster(file, Optional.empty());
    }

    private static String hostName() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException _) {
            return "localhost";
        }
    }

    private List<ClusterNode> joinedExpertWorkers() {
        return membership.map(joined -> joined.nodes(NodeRole.EXPERT_WORKER)).orElse(List.of());
    }

    /// Where every expert worker is, by name: as it says itself if it has joined, else as the file says.
    Map<String, HostPort> allExpertWorkers() {
        Map<String, HostPort> all = new LinkedHashMap<>();
        file.expertWorkers().forEach(worker -> all.put(worker.name(), worker.address()));
        joinedExpertWorkers().forEach(node -> all.put(node.name(), node.address()));
        return all;
    }

    @Override
    public List<Node> nodes() {
        if (membership.isEmpty()) {
            return List.of();
        }
        Optional<ClusterNode> leader = membership.get().leader();
        return membership.get().nodes().stream()
                .map(
                        node ->
                                new Node(
                                        node.role().label(),
                                        node.name(),
                                        node.address().toString(),
                                        node.started(),
                                        leader.filter(node::equals).isPresent(),
                                        node.labels()))
                .toList();
    }

    @Override
    public List<WorkerAddress> expertWorkers() {
        return joinedExpertWorkers().stream()
                .map(
                        node ->
                                new WorkerAddress(
                                        node.name(), node.address().host(), node.address().port()))
                .toList();
    }

    @Override
    public boolean isLeading() {
        return membership.map(Membership::isLeading).orElse(true);
    }

    @Override
    public Optional<String> leader() {
        return membership.flatMap(Membership::leader).map(ClusterNode::toString);
    }

    @Override
    public long nextEpoch() throws IOException {
        return membership.isPresent()
                ? membership.get().nextEpoch()
                : ClusterMembers.none().nextEpoch();
    }

    @Override
    public void onChange(Runnable listener) {
        membership.ifPresent(joined -> joined.onChange(listener));
    }

    /// Where it is kept what workers should hold: with the members while any is left, and in the file that the coordinator's section
    /// names.
    PlacementTable placementTable() {
        Optional<PlacementTable> onDisk =
                file.coordinator().placementFile().map(PlacementFile::new);
        if (membership.isEmpty()) {
            return onDisk.orElseGet(PlacementTable::inMemory);
        }
        Membership joined = membership.get();
        return new PlacementTable() {
            @Override
            public Map<String, String> read() throws IOException {
                Map<String, String> shared = joined.table();
                return shared.isEmpty() && onDisk.isPresent() ? onDisk.get().read() : shared;
            }

            @Override
            public void write(Map<String, String> entries) throws IOException {
                joined.setTable(entries);
                if (onDisk.isPresent()) {
                    onDisk.get().write(entries);
                }
            }
        };
    }

    /// Leaves the cluster.
    @Override
    public void close() {
        membership.ifPresent(Membership::close);
    }
}
