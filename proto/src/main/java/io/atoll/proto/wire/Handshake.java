package io.atoll.proto.wire;

import io.atoll.proto.v1.Hello;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Whether two processes belong together, by what their hellos say.
public final class Handshake {
    /// The version of everything in this package. Any change to the bytes raises it. Version 2 added [HeldUpdate].
    public static final int WIRE_VERSION = 2;

    /// The oldest version that is still spoken, so that a cluster can be upgraded one process after the other.
    public static final int OLDEST_WIRE_VERSION = 1;

    /// The first version whose streams carry a [HeldUpdate].
    public static final int HELD_UPDATES_VERSION = 2;

    private Handshake() {}

    /// Whether this build speaks a version.
    public static boolean speaks(int wireVersion) {
        return wireVersion >= OLDEST_WIRE_VERSION && wireVersion <= WIRE_VERSION;
    }

    /// What differs between the two sides, both values of each; empty if they belong together. The epochs may differ, but the
    /// other side's may not be older.
    ///
    /// @param ours the answering side
    /// @param theirs the side that said hello
    public static Optional<String> mismatch(Hello ours, Hello theirs) {
        List<String> differences = new ArrayList<>();
        String us = ours.getSender();
        String them = theirs.getSender();
        differ(
                differences,
                "wire version",
                us,
                ours.getWireVersion(),
                them,
                theirs.getWireVersion());
        differ(differences, "cluster id", us, ours.getClusterId(), them, theirs.getClusterId());
        differ(
                differences,
                "model digest",
                us,
                ours.getModelDigest(),
                them,
                theirs.getModelDigest());
        differ(differences, "arithmetic", us, ours.getArithmetic(), them, theirs.getArithmetic());
        differ(differences, "row type", us, ours.getRowType(), them, theirs.getRowType());
        differ(differences, "hidden size", us, ours.getHiddenSize(), them, theirs.getHiddenSize());
        differ(
                differences,
                "combine fraction bits",
                us,
                ours.getCombineFractionBits(),
                them,
                theirs.getCombineFractionBits());
        if (Long.compareUnsigned(theirs.getPlacementEpoch(), ours.getPlacementEpoch()) < 0) {
            differ(
                    differences,
                    "placement epoch (older)",
                    us,
                    Long.toUnsignedString(ours.getPlacementEpoch()),
                    them,
                    Long.toUnsignedString(theirs.getPlacementEpoch()));
        }
        return differences.isEmpty()
                ? Optional.empty()
                : Optional.of(String.join("; ", differences));
    }

    private static void differ(
            List<String> differences,
            String what,
            String us,
            Object ours,
            String them,
            Object theirs) {
        if (!ours.equals(theirs)) {
            differences.add("%s: %s has '%s', %s has '%s'".formatted(what, us, ours, them, theirs));
        }
    }
}
