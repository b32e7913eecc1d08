package io.atoll.model.pack;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/// What a pack holds: `atoll-pack.json`. A directory with one is a finished pack, because it is written last.
///
/// Weights lie in files of **regions**. A region is what is checked and moved as a whole: a layer's dense part, or one expert. It
/// begins and ends at a page, and its sum covers every byte, so the sums of a file cover the file. Regions of the same contents (the
/// experts of a layer) share one entry of `layouts`.
///
/// @param version of the format: [#VERSION]
/// @param modelDigest of the model it was made from ([io.atoll.model.ModelDirectory#modelDigest()]), which stays its own
/// @param source what it was made from, for people
/// @param layers the layers whose dense part is here, for people
/// @param experts the routed experts that are here, for people
/// @param denseFormat what was done to the dense matrices
/// @param expertRows what rows the gate and up projections of all experts meet
/// @param combineFractionBits binary digits behind the point of the combine's grid
/// @param namePrefix what the names of the text model's weights begin with
/// @param texts configuration, tokenizer and template: small files under the names that a release gives them
/// @param layouts what regions consist of
/// @param files of weights
record PackManifest(
        int version,
        String modelDigest,
        String source,
        String layers,
        String experts,
        DenseFormat denseFormat,
        ExpertRows expertRows,
        int combineFractionBits,
        String namePrefix,
        List<TextFile> texts,
        List<List<StoredWeight>> layouts,
        List<WeightFile> files) {
    static final int VERSION = 1;

    /// The only grid that workers compute on so far.
    static final int FRACTION_BITS = 20;

    /// Where regions begin.
    static final long PAGE = 4096;

    private static final Pattern FILE_NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,99}");
    private static final Pattern CRC = Pattern.compile("[0-9a-f]{8}");

    /// What rows meet the gate and up projections of the experts.
    enum ExpertRows {
        @JsonProperty("int8")
        INT8,
        @JsonProperty("f32")
        F32
    }

    /// A small file, whole.
    record TextFile(String name, long bytes, String crc32c) {
        TextFile {
            checkFile(name, bytes);
            checkSum(name, crc32c);
        }
    }

    /// A file of weights.
    record WeightFile(String name, long bytes, List<Region> regions) {
        WeightFile {
            checkFile(name, bytes);
            regions = List.copyOf(regions);
            long end = 0;
            for (Region region : regions) {
                if (region.offset != end) {
                    throw new IllegalArgumentException(
                            "%s: %s begins at %d, the region before it ends at %d"
                                    .formatted(name, region.prefix, region.offset, end));
                }
                end += region.bytes;
            }
            if (end != bytes) {
                throw new IllegalArgumentException(
                        name + ": regions end at " + end + ", the file at " + bytes);
            }
        }
    }

    /// A run of whole pages of a file.
    ///
    /// @param prefix what the names of its weights begin with
    /// @param layout index into `layouts`
    record Region(String prefix, long offset, long bytes, String crc32c, int layout) {
        Region {
            checkSum(prefix, crc32c);
            if (offset < 0 || bytes <= 0 || offset % PAGE != 0 || bytes % PAGE != 0) {
                throw new IllegalArgumentException(
                        prefix + ": no whole pages: offset " + offset + ", bytes " + bytes);
            }
        }

        Region withSum(int crc) {
            return new Region(prefix, offset, bytes, Crc32c.hex(crc), layout);
        }
    }

    PackManifest {
        if (version != VERSION) {
            throw new IllegalArgumentException(
                    "version "
                            + version
                            + " is not supported, only "
                            + VERSION
                            + ": pack the model again");
        }
        if (combineFractionBits != FRACTION_BITS) {
            throw new IllegalArgumentException(
                    "combineFractionBits must be " + FRACTION_BITS + ": " + combineFractionBits);
        }
        texts = List.copyOf(texts);
        layouts = layouts.stream().map(List::copyOf).toList();
        files = List.copyOf(files);
        Set<String> names = new HashSet<>();
        texts.forEach(text -> addOnce(names, text.name));
        for (WeightFile file : files) {
            addOnce(names, file.name);
            for (Region region : file.regions) {
                checkLayout(region, layouts);
            }
        }
    }

    private static void checkLayout(Region region, List<List<StoredWeight>> layouts) {
        if (region.layout < 0 || region.layout >= layouts.size()) {
            throw new IllegalArgumentException(
                    region.prefix + ": there is no layout " + region.layout);
        }
        long end = 0;
        for (StoredWeight weight : layouts.get(region.layout)) {
            if (weight.offset() < end || weight.bytes() > region.bytes - weight.offset()) {
                throw new IllegalArgumentException(
                        region.prefix + weight.name() + ": overlaps another, or the region's end");
            }
            end = weight.offset() + weight.bytes();
        }
    }

    private static void addOnce(Set<String> names, String name) {
        if (!names.add(name)) {
            throw new IllegalArgumentException("file stands twice in the manifest: " + name);
        }
    }

    private static void checkFile(String name, long bytes) {
        if (name == null || !FILE_NAME.matcher(name).matches()) {
            throw new IllegalArgumentException("not the name of a file: " + name);
        }
        if (bytes < 0) {
            throw new IllegalArgumentException(name + ": bytes must not be negative: " + bytes);
        }
    }

    private static void checkSum(String of, String crc32c) {
        if (crc32c == null || !CRC.matcher(crc32c).matches()) {
            throw new IllegalArgumentException(of + ": not a checksum: " + crc32c);
        }
    }

    /// Bytes of all weights on disk.
    long weightBytes() {
        return files.stream().mapToLong(WeightFile::bytes).sum();
    }

    /// The same pack with these files of weights.
    PackManifest withFiles(List<WeightFile> others) {
        return new PackManifest(
                version,
                modelDigest,
                source,
                layers,
                experts,
                denseFormat,
                expertRows,
                combineFractionBits,
                namePrefix,
                texts,
                layouts,
                others);
    }
}
