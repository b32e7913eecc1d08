package io.atoll.cluster.membership;

import java.util.Locale;
import java.util.Optional;

/// What a process is in its cluster.
public enum NodeRole {
    COORDINATOR,
    ATTENTION_WORKER,
    EXPERT_WORKER;

    /// As it is written: `expert-worker`.
    public String label() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    static Optional<NodeRole> parse(String label) {
        for (NodeRole role : values()) {
            if (role.label().equals(label)) {
                return Optional.of(role);
            }
        }
        return Optional.empty();
    }
}
