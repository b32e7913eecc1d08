package io.atoll.model.pack;

import io.atoll.kernels.ComputePool;
import io.atoll.kernels.PackedMatrix;
import io.atoll.model.pack.PackDisk.OutputFile;
import io.atoll.model.pack.PackManifest.Region;
import io.atoll.model.pack.PackManifest.WeightFile;
import io.atoll.model.pack.PackPlan.PlannedFile;
import io.atoll.model.pack.PackPlan.PlannedRegion;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Writes a pack, and continues one that was interrupted.
///
/// Each file is written under a temporary name, forced to the disk, and given its own name; then its sums go into the journal.
/// The manifest comes last, so whatever happens there is a finished pack or none. A packer that finds a journal of the same
/// plan keeps the files in it whose bytes still have those sums, and writes the others; the result is the same bytes.
///
/// It holds a few MiB for each thread, and the source's pages are given back after each [#RELEASE_BYTES].
public final class Packer {
    /// Behind the name of a file that is not whole.
    static final String TEMPORARY = ".part";

    /// Bytes that are made at a time, about: what a thread needs in memory.
    private static final long PIECE_BYTES = 4L << 20;

    /// Bytes that are written before the pages of the source that were read for them are given back: a file of experts has several GB.
    private static final long RELEASE_BYTES = 128L << 20;

    /// What becomes of the disk beyond the weights: manifest, journal, texts.
    private static final long SPARE_BYTES = 16L << 20;

    private final PackSource source;
    private final Path directory;
    private final PackDisk disk;
    private final long pieceBytes;
    private final ComputePool pool;
    private final PackProgress progress;
    private final PackPlan plan;

    private Packer(
            PackSource source,
            PackPlan plan,
            Path directory,
            PackDisk disk,
            long pieceBytes,
            ComputePool pool,
            PackProgress progress) {
        this.source = source;
        this.plan = plan;
        this.directory = directory;
        this.disk = disk;
        this.pieceBytes = pieceBytes;
        this.pool = pool;
        this.progress = progress;
    }

    /// How a run ended, if nothing failed.
    ///
    /// @param bytes of all weights
    /// @param keptBytes that an earlier run had written
    public record Outcome(long bytes, long keptBytes) {}

    /// Packs a part of a model into a directory, which is made if it is not there.
    ///
    /// @param pool packs regions in parallel
    /// @throws PackException if the directory holds something else, somebody else is packing into it, the disk is full or cannot
    ///     be written, or the source is another than the one that an interrupted pack was begun with
    /// @throws io.atoll.model.config.ModelFileException if the source is damaged
    public static Outcome pack(
            PackSource source,
            PackSelection selection,
            DenseFormat denseFormat,
            Path directory,
            ComputePool pool,
            PackProgress progress) {
        return pack(
                source,
                selection,
                denseFormat,
                directory,
                PackDisk.REAL,
                PIECE_BYTES,
                pool,
                progress);
    }

    static Outcome pack(
            PackSource source,
            PackSelection selection,
            DenseFormat denseFormat,
            Path directory,
            PackDisk disk,
            long pieceBytes,
            ComputePool pool,
            PackProgress progress) {
        PackPlan plan = PackPlanner.plan(source, selection, denseFormat);
        try {
            Files.createDirectories(directory);
        } catch (IOException e) {
            throw new PackException(directory, "directory", "cannot be made: " + e, e);
        }
        try (PackLock _ = PackLock.take(directory)) {
            return new Packer(source, plan, directory, disk, pieceBytes, pool, progress).run();
        }
    }

    private Outcome run() {
        Path manifest = directory.resolve(ManifestFile.NAME);
        long bytes = plan.manifest().weightBytes();
        try {
            if (Files.exists(manifest)) {
                checkSame(manifest);
                clean();
                return new Outcome(bytes, bytes);
            }
            checkOurs();
            Map<String, WeightFile> finished = finished();
            long kept = finished.values().stream().mapToLong(WeightFile::bytes).sum();
            checkRoom(bytes - kept);
            try (PackJournal journal = beginJournal(finished)) {
                writeTexts();
                progress.begin("packing", bytes - kept);
                for (PlannedFile file : plan.files()) {
                    if (!finished.containsKey(file.entry().name())) {
                        WeightFile written = write(file);
                        finished.put(written.name(), written);
                        journal.add(entry(written));
                    }
                }
            }
            checkSourceUnchanged();
            writeWhole(
                    manifest,
                    ManifestFile.write(
                            plan.manifest()
                                    .withFiles(
                                            plan.files().stream()
                                                    .map(file -> finished.get(file.entry().name()))
                                                    .toList())));
            clean();
            return new Outcome(bytes, kept);
        } catch (IOException e) {
            throw failed(directory, e);
        }
    }

    private static PackException failed(Path file, IOException e) {
        return new PackException(file, "file", "cannot be written: " + e, e);
    }

    /// A finished pack is left alone: it is this one, or in the way.
    private void checkSame(Path manifest) {
        PackManifest found = ManifestFile.read(manifest);
        if (!found.modelDigest().equals(plan.manifest().modelDigest())) {
            throw otherModel(manifest, found.modelDigest());
        }
        if (!PackPlan.fingerprint(found).equals(plan.fingerprint())) {
            throw otherOptions(
                    manifest,
                    "holds layers %s and experts %s with dense format %s"
                            .formatted(found.layers(), found.experts(), found.denseFormat()));
        }
    }

    private PackException otherModel(Path file, String digest) {
        return new PackException(
                file,
                "modelDigest",
                "is of another model, or the source has changed: the pack has "
                        + digest
                        + ", the source "
                        + plan.manifest().modelDigest()
                        + "; pack into another directory, or delete this one");
    }

    private PackException otherOptions(Path file, String found) {
        return new PackException(
                file,
                "plan",
                found
                        + ", which is not what is asked for: layers "
                        + plan.manifest().layers()
                        + " and experts "
                        + plan.manifest().experts()
                        + " with dense format "
                        + plan.manifest().denseFormat()
                        + "; pack into another directory, or delete this one");
    }

    /// Refuses a directory with files of somebody else, before one of them is overwritten. What a packer leaves that was stopped
    /// before it had a journal is a lock and files that are not whole.
    private void checkOurs() throws IOException {
        if (Files.exists(directory.resolve(PackJournal.NAME))) {
            return;
        }
        try (Stream<Path> files = Files.list(directory)) {
            Optional<String> other =
                    files.map(file -> String.valueOf(file.getFileName()))
                            .filter(
                                    name ->
                                            !name.equals(PackLock.NAME)
                                                    && !name.endsWith(TEMPORARY))
                            .sorted()
                            .findFirst();
            if (other.isPresent()) {
                throw new PackException(
                        directory,
                        other.get(),
                        "stands in the way: a pack needs a directory of its own");
            }
        }
    }

    /// The files of an earlier run that are whole, with their sums.
    private Map<String, WeightFile> finished() throws IOException {
        Map<String, WeightFile> whole = new HashMap<>();
        Optional<PackJournal.Contents> left = PackJournal.read(directory);
        if (left.isEmpty()) {
            return whole;
        }
        PackJournal.Plan begun = left.get().plan();
        Path journal = directory.resolve(PackJournal.NAME);
        if (!begun.modelDigest().equals(plan.manifest().modelDigest())) {
            throw otherModel(journal, begun.modelDigest());
        }
        if (!begun.fingerprint().equals(plan.fingerprint())) {
            throw otherOptions(journal, "was begun with other options");
        }
        Map<String, WeightFile> planned =
                plan.files().stream()
                        .map(PlannedFile::entry)
                        .collect(Collectors.toMap(WeightFile::name, file -> file));
        List<WeightFile> noted = new ArrayList<>();
        for (PackJournal.Finished entry : left.get().finished()) {
            WeightFile file = planned.get(entry.file());
            if (file != null && file.regions().size() == entry.sums().size()) {
                noted.add(withSums(file, entry.sums()));
            }
        }
        progress.begin("checking", noted.stream().mapToLong(WeightFile::bytes).sum());
        for (WeightFile file : noted) {
            if (isWhole(file)) {
                whole.put(file.name(), file);
            }
        }
        return whole;
    }

    private static WeightFile withSums(WeightFile file, List<String> sums) {
        List<Region> regions = new ArrayList<>();
        for (int i = 0; i < sums.size(); i++) {
            regions.add(file.regions().get(i).withSum(Integer.parseUnsignedInt(sums.get(i), 16)));
        }
        return new WeightFile(file.name(), file.bytes(), regions);
    }

    private boolean isWhole(WeightFile file) {
        try (Arena arena = Arena.ofShared()) {
            PackFile opened = new PackFile(directory, file, arena);
            pool.run(
                    file.regions().size(),
                    index -> {
                        Region region = file.regions().get(index);
                        new MappedRegion(opened, region).data();
                        progress.done(region.bytes());
                    });
            return true;
        } catch (PackException _) {
            return false; // it is written again
        }
    }

    private void checkRoom(long bytes) throws IOException {
        long usable = disk.usableBytes(directory);
        if (bytes + SPARE_BYTES > usable) {
            throw new PackException(
                    directory,
                    "disk",
                    "has " + usable + " bytes left, the pack still takes " + (bytes + SPARE_BYTES));
        }
    }

    private PackJournal beginJournal(Map<String, WeightFile> finished) throws IOException {
        return PackJournal.begin(
                disk,
                directory,
                new PackJournal.Plan(plan.manifest().modelDigest(), plan.fingerprint()),
                finished.values().stream().map(Packer::entry).toList());
    }

    private static PackJournal.Finished entry(WeightFile file) {
        return new PackJournal.Finished(
                file.name(), file.regions().stream().map(Region::crc32c).toList());
    }

    private void writeTexts() {
        new TreeMap<>(source.texts())
                .forEach((name, bytes) -> writeWhole(directory.resolve(name), bytes));
    }

    private void writeWhole(Path file, byte[] bytes) {
        Path temporary = file.resolveSibling(file.getFileName() + TEMPORARY);
        try {
            try (OutputFile output = disk.create(temporary)) {
                output.write(0, MemorySegment.ofArray(bytes));
                output.force();
            }
            disk.rename(temporary, file);
        } catch (IOException e) {
            throw failed(file, e);
        }
    }

    /// Some bytes of a file: a piece of a weight, or zeros between weights.
    private record Piece(
            long offset, long bytes, Optional<PlannedItem> item, int firstRow, int rows) {}

    private WeightFile write(PlannedFile file) {
        Path path = directory.resolve(file.entry().name());
        Path temporary = directory.resolve(file.entry().name() + TEMPORARY);
        List<List<Piece>> pieces = file.regions().stream().map(this::pieces).toList();
        List<Piece> all = pieces.stream().flatMap(List::stream).toList();
        int[] sums = new int[all.size()];
        try {
            try (OutputFile output = disk.create(temporary)) {
                for (int first = 0, end; first < all.size(); first = end) {
                    int from = first;
                    end = batchEnd(all, first);
                    pool.run(
                            end - first,
                            index -> sums[from + index] = write(output, all.get(from + index)));
                    source.weights().releasePages();
                }
                output.force();
            }
            disk.rename(temporary, path);
        } catch (IOException e) {
            throw failed(path, e);
        } catch (UncheckedIOException e) {
            throw failed(path, e.getCause());
        }
        List<Region> regions = new ArrayList<>();
        int next = 0;
        for (int i = 0; i < pieces.size(); i++) {
            int sum = Crc32c.of(new byte[0]);
            for (Piece piece : pieces.get(i)) {
                sum = Crc32c.join(sum, sums[next++], piece.bytes);
            }
            regions.add(file.regions().get(i).entry().withSum(sum));
        }
        return new WeightFile(file.entry().name(), file.entry().bytes(), regions);
    }

    /// Where the pieces end that make [#RELEASE_BYTES], beginning with one of them.
    private static int batchEnd(List<Piece> pieces, int first) {
        int end = first;
        long bytes = 0;
        while (end < pieces.size() && bytes < RELEASE_BYTES) {
            bytes += pieces.get(end++).bytes;
        }
        return end;
    }

    /// The bytes of a region in order, without a gap.
    private List<Piece> pieces(PlannedRegion region) {
        List<Piece> pieces = new ArrayList<>();
        long base = region.entry().offset();
        long end = 0;
        for (PlannedItem item : region.items()) {
            zeros(pieces, base + end, item.stored().offset() - end);
            end = item.stored().offset() + item.stored().bytes();
            int rows = item.pieceRows(pieceBytes);
            for (int first = 0; first < item.rows(); first += rows) {
                boolean last = item.rows() - first <= rows;
                long from = item.rowOffset(first);
                long to = last ? end : item.rowOffset(first + rows);
                pieces.add(
                        new Piece(
                                base + from,
                                to - from,
                                Optional.of(item),
                                first,
                                last ? item.rows() - first : rows));
            }
        }
        zeros(pieces, base + end, region.entry().bytes() - end);
        return pieces;
    }

    private static void zeros(List<Piece> pieces, long offset, long bytes) {
        if (bytes > 0) {
            pieces.add(new Piece(offset, bytes, Optional.empty(), 0, 0));
        }
    }

    /// Makes a piece, writes it, and gives its sum.
    private int write(OutputFile output, Piece piece) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes =
                    piece.item.isPresent()
                            ? piece.item.get().bytes().make(piece.firstRow, piece.rows, arena)
                            : arena.allocate(piece.bytes, PackedMatrix.ALIGNMENT);
            if (bytes.byteSize() != piece.bytes) {
                throw new IllegalStateException(
                        "%s has %d bytes, planned are %d"
                                .formatted(
                                        piece.item.map(PlannedItem::stored),
                                        bytes.byteSize(),
                                        piece.bytes));
            }
            output.write(piece.offset, bytes);
            progress.done(piece.bytes);
            return Crc32c.of(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void checkSourceUnchanged() {
        String now = source.digest().get();
        if (!now.equals(plan.manifest().modelDigest())) {
            throw new PackException(
                    source.weights().source(),
                    "modelDigest",
                    "has changed while it was packed: was "
                            + plan.manifest().modelDigest()
                            + ", is "
                            + now
                            + "; delete "
                            + directory
                            + " and pack again");
        }
    }

    /// Removes what a finished pack does not need. The lock stays: whoever waits for it has it open.
    private void clean() throws IOException {
        List<Path> left;
        try (Stream<Path> files = Files.list(directory)) {
            left =
                    files.filter(
                                    file -> {
                                        String name = String.valueOf(file.getFileName());
                                        return name.equals(PackJournal.NAME)
                                                || name.endsWith(TEMPORARY);
                                    })
                            .toList();
        }
        for (Path file : left) {
            disk.delete(file);
        }
    }
}
