package io.atoll.model.pack;

import io.atoll.kernels.ComputePool;
import io.atoll.kernels.PackedMatrix;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.quant.GgmlMatrix;
import io.atoll.model.quant.ReorderedMatrix;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.quant.WeightStore;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The weights of a pack, mapped. Whatever is given out has been checked against the manifest: a region when the first weight of
/// it is asked for, a small file when it is read.
///
/// Owns the mapped files: `close()` unmaps them, and with them every matrix that was given out.
public final class PackWeights implements WeightStore, AutoCloseable {
    private final Path directory;
    private final PackManifest manifest;
    private final Arena arena = Arena.ofShared();
    private final List<MappedRegion> regions = new ArrayList<>();
    private final Map<String, Place> places = new HashMap<>();

    private boolean closed;

    private record Place(MappedRegion region, StoredWeight stored) {}

    private PackWeights(Path directory, PackManifest manifest) {
        this.directory = directory;
        this.manifest = manifest;
        for (PackManifest.WeightFile entry : manifest.files()) {
            PackFile file = new PackFile(directory, entry, arena);
            for (PackManifest.Region region : entry.regions()) {
                MappedRegion mapped = new MappedRegion(file, region);
                regions.add(mapped);
                for (StoredWeight stored : manifest.layouts().get(region.layout())) {
                    String name = region.prefix() + stored.name();
                    if (places.put(name, new Place(mapped, stored)) != null) {
                        throw new PackException(
                                directory.resolve(ManifestFile.NAME), name, "stands twice");
                    }
                }
            }
        }
    }

    /// Whether a directory is a pack, finished or not.
    public static boolean isPack(Path directory) {
        return Files.exists(directory.resolve(ManifestFile.NAME))
                || Files.exists(directory.resolve(PackJournal.NAME));
    }

    /// Opens a pack and reads its manifest. Weights are mapped and checked as they are asked for.
    ///
    /// @throws PackException if there is no finished pack, or its manifest is damaged
    public static PackWeights open(Path directory) {
        Path manifest = directory.resolve(ManifestFile.NAME);
        if (!Files.exists(manifest)) {
            throw new PackException(
                    manifest,
                    "file",
                    Files.exists(directory.resolve(PackJournal.NAME))
                            ? "is missing: the pack was not finished, run `atoll pack` again"
                            : "is missing");
        }
        return new PackWeights(directory, ManifestFile.read(manifest));
    }

    @Override
    public Path source() {
        return directory;
    }

    @Override
    public TensorNames names() {
        return new TensorNames(manifest.namePrefix());
    }

    PackManifest manifest() {
        return manifest;
    }

    /// Digest of the model that was packed.
    public String modelDigest() {
        return manifest.modelDigest();
    }

    /// What was done to the dense matrices.
    public DenseFormat denseFormat() {
        return manifest.denseFormat();
    }

    @Override
    public Optional<Boolean> expertsTakeQuantizedRows() {
        return Optional.of(manifest.expertRows() == PackManifest.ExpertRows.INT8);
    }

    /// Bytes of all weights on disk.
    public long bytes() {
        return manifest.weightBytes();
    }

    @Override
    public boolean contains(String name) {
        return places.containsKey(name);
    }

    @Override
    public WeightMatrix matrix(String name, int rows, int cols) {
        Place place = require(name);
        Path file = place.region.file().path();
        WeightMatrix found =
                switch (place.stored) {
                    case StoredWeight.Packed packed -> packed(name, packed, bytes(place));
                    case StoredWeight.Rows stored ->
                            new GgmlMatrix(
                                    name,
                                    stored.type(),
                                    stored.rows(),
                                    stored.cols(),
                                    bytes(place),
                                    file,
                                    1f);
                    case StoredWeight.Vector vector ->
                            throw new PackException(
                                    file, name, "expected a matrix, found " + vector.shape());
                };
        if (found.rows() != rows || found.cols() != cols) {
            throw new PackException(
                    file,
                    name,
                    "expected a matrix [%d, %d], found %s".formatted(rows, cols, found));
        }
        return found;
    }

    private static WeightMatrix packed(
            String name, StoredWeight.Packed packed, MemorySegment bytes) {
        WeightMatrix matrix =
                new MappedMatrix(
                        name,
                        new PackedMatrix(bytes, packed.format(), packed.rows(), packed.cols()));
        return packed.columnOrder().isEmpty()
                ? matrix
                : new ReorderedMatrix(
                        matrix,
                        ReorderedMatrix.Axis.COLUMNS,
                        0,
                        packed.columnUnit(),
                        packed.columnOrder().stream().mapToInt(Integer::intValue).toArray());
    }

    @Override
    public Tensor tensor(String name, long... shape) {
        Place place = require(name);
        Path file = place.region.file().path();
        if (place.stored instanceof StoredWeight.Vector vector) {
            long[] stored = vector.shape().stream().mapToLong(Long::longValue).toArray();
            return new Tensor(name, vector.dtype(), stored, bytes(place), file)
                    .expectShape(shape)
                    .expectFloats();
        }
        throw new PackException(file, name, "expected a small tensor, found a matrix");
    }

    private static MemorySegment bytes(Place place) {
        return place.region.data().asSlice(place.stored.offset(), place.stored.bytes());
    }

    private Place require(String name) {
        Place place = places.get(name);
        if (place == null) {
            throw new PackException(
                    directory,
                    name,
                    "is not in this pack, which holds layers "
                            + manifest.layers()
                            + " and experts "
                            + manifest.experts());
        }
        return place;
    }

    /// A small file, checked against the manifest: the path to read it from.
    ///
    /// @throws PackException if the pack has none of that name, or it is damaged
    public Path text(String name) {
        PackManifest.TextFile entry =
                manifest.texts().stream()
                        .filter(text -> text.name().equals(name))
                        .findFirst()
                        .orElseThrow(
                                () -> new PackException(directory, name, "is not in this pack"));
        return check(entry);
    }

    /// Whether the pack has a small file of this name.
    public boolean hasText(String name) {
        return manifest.texts().stream().anyMatch(text -> text.name().equals(name));
    }

    private Path check(PackManifest.TextFile entry) {
        Path file = directory.resolve(entry.name());
        if (!Files.isRegularFile(file)) {
            throw new PackException(file, "file", "is missing");
        }
        try {
            long size = Files.size(file);
            if (size != entry.bytes()) {
                throw new PackException(
                        file, "file", "has " + size + " bytes, the manifest says " + entry.bytes());
            }
            String found = Crc32c.hex(Crc32c.of(Files.readAllBytes(file)));
            if (!found.equals(entry.crc32c())) {
                throw new PackException(
                        file,
                        "file",
                        "has the checksum "
                                + found
                                + ", the manifest says "
                                + entry.crc32c()
                                + ": it is damaged");
            }
        } catch (IOException e) {
            throw new PackException(file, "file", "cannot be read: " + e, e);
        }
        return file;
    }

    /// Checks everything: each region and each small file.
    ///
    /// @param pool checks regions in parallel
    /// @param progress is told of the bytes of each region that was found right
    /// @throws PackException naming the first file and region found damaged
    public void verify(ComputePool pool, PackProgress progress) {
        manifest.texts().forEach(this::check);
        progress.begin("verifying", manifest.weightBytes());
        pool.run(
                regions.size(),
                index -> {
                    regions.get(index).data();
                    progress.done(regions.get(index).bytes());
                });
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            arena.close();
        }
    }
}
