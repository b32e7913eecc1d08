package io.atoll.model.pack;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// A file of weights, mapped when a region of it is first asked for. Borrows the arena of its pack.
final class PackFile {
    private final Path path;
    private final PackManifest.WeightFile entry;
    private final Arena arena;
    private MemorySegment mapped; // set on first use

    PackFile(Path directory, PackManifest.WeightFile entry, Arena arena) {
        this.path = directory.resolve(entry.name());
        this.entry = entry;
        this.arena = arena;
    }

    Path path() {
        return path;
    }

    /// The whole file, which must have the size that the manifest says.
    ///
    /// @throws PackException if it is missing or of another size
    synchronized MemorySegment bytes() {
        if (mapped == null) {
            if (!Files.isRegularFile(path)) {
                throw new PackException(path, "file", "is missing");
            }
            try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
                if (channel.size() != entry.bytes()) {
                    throw new PackException(
                            path,
                            "file",
                            "has "
                                    + channel.size()
                                    + " bytes, the manifest says "
                                    + entry.bytes()
                                    + ": it is torn, or of another pack");
                }
                mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, entry.bytes(), arena);
            } catch (IOException e) {
                throw new PackException(path, "file", "cannot be mapped: " + e, e);
            }
        }
        return mapped;
    }
}
