package io.atoll.cluster.membership;

import io.atoll.cluster.config.HostPort;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/// A process of a cluster, as it describes itself to the others. Does not change while the process runs.
///
/// @param role what it is
/// @param name unique among those of its role, the same after a restart
/// @param address where others reach it; a wildcard host stands for the address at which it is a member
/// @param started when its process started
/// @param labels what its operator says of it: `rack=b`
public record ClusterNode(
        NodeRole role, String name, HostPort address, Instant started, Map<String, String> labels) {
    private static final String ROLE = "atoll.role";
    private static final String NAME = "atoll.name";
    private static final String ADDRESS = "atoll.address";
    private static final String STARTED = "atoll.started";
    private static final String LABEL = "atoll.label.";

    public ClusterNode {
        labels = Map.copyOf(labels);
    }

    /// Whether both would be the same node of the cluster file, so that only one of them can be.
    boolean isNamesake(ClusterNode other) {
        return role == other.role && name.equals(other.name);
    }

    /// As attributes of a member.
    Map<String, String> attributes() {
        Map<String, String> attributes = new HashMap<>();
        attributes.put(ROLE, role.label());
        attributes.put(NAME, name);
        attributes.put(ADDRESS, address.toString());
        attributes.put(STARTED, started.toString());
        labels.forEach((label, value) -> attributes.put(LABEL + label, value));
        return attributes;
    }

    /// What a member's attributes say, or nothing if it is no node of ours.
    ///
    /// @param memberHost stands for a wildcard
    static Optional<ClusterNode> read(Map<String, String> attributes, String memberHost) {
        Optional<NodeRole> role = NodeRole.parse(attributes.getOrDefault(ROLE, ""));
        String name = attributes.get(NAME);
        if (role.isEmpty() || name == null) {
            return Optional.empty();
        }
        Map<String, String> labels = new TreeMap<>();
        attributes.forEach(
                (key, value) -> {
                    if (key.startsWith(LABEL)) {
                        labels.put(key.substring(LABEL.length()), value);
                    }
                });
        try {
            HostPort address = HostPort.parse(attributes.getOrDefault(ADDRESS, ""));
            return Optional.of(
                    new ClusterNode(
                            role.get(),
                            name,
                            address.isWildcard()
                                    ? new HostPort(memberHost, address.port())
                                    : address,
                            Instant.parse(attributes.getOrDefault(STARTED, "")),
                            labels));
        } catch (IllegalArgumentException | DateTimeException _) {
            return Optional.empty();
        }
    }

    @Override
    public String toString() {
        return "%s %s at %s, started %s".formatted(role.label(), name, address, started);
    }
}
