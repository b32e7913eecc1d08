package io.atoll.model.pack;

import io.atoll.model.pack.PackManifest.Region;
import io.atoll.model.pack.PackManifest.WeightFile;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/// Where every byte of a pack will go, before one is written. It depends on the model and the options only, so a pack that was
/// interrupted is continued as it was begun.
///
/// @param manifest complete but for the sums of regions, which are 0
/// @param files in the manifest's order
record PackPlan(PackManifest manifest, List<PlannedFile> files) {
    /// @param regions in the entry's order
    record PlannedFile(WeightFile entry, List<PlannedRegion> regions) {}

    record PlannedRegion(Region entry, List<PlannedItem> items) {}

    /// Identifies the plan: packs of equal plans are equal.
    String fingerprint() {
        return fingerprint(manifest);
    }

    /// Of a finished pack, that of its plan.
    static String fingerprint(PackManifest finished) {
        PackManifest planned =
                finished.withFiles(
                        finished.files().stream()
                                .map(
                                        file ->
                                                new WeightFile(
                                                        file.name(),
                                                        file.bytes(),
                                                        file.regions().stream()
                                                                .map(region -> region.withSum(0))
                                                                .toList()))
                                .toList());
        return sha256(ManifestFile.write(planned));
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /// A short form of [#fingerprint()] for the names of directories.
    String key() {
        return sha256(fingerprint().getBytes(StandardCharsets.US_ASCII)).substring(0, 16);
    }
}
