package io.atoll.model.pack;

import java.lang.foreign.MemorySegment;

/// A region of a mapped file. Nobody sees a byte of it before its sum was found to be the manifest's; that is done once, by
/// whoever asks first, so a pack that is loaded on several threads is checked on all of them.
final class MappedRegion {
    private final PackFile file;
    private final PackManifest.Region entry;
    private MemorySegment checked; // set when the sum has been found right

    MappedRegion(PackFile file, PackManifest.Region entry) {
        this.file = file;
        this.entry = entry;
    }

    PackFile file() {
        return file;
    }

    long bytes() {
        return entry.bytes();
    }

    /// The region's bytes, which are what was packed.
    ///
    /// @throws PackException if they are not, or the file is missing or torn
    synchronized MemorySegment data() {
        if (checked == null) {
            MemorySegment bytes = file.bytes().asSlice(entry.offset(), entry.bytes());
            String found = Crc32c.hex(Crc32c.of(bytes));
            if (!found.equals(entry.crc32c())) {
                throw new PackException(
                        file.path(),
                        "region " + (entry.prefix().isEmpty() ? "of the model" : entry.prefix()),
                        "bytes "
                                + entry.offset()
                                + " to "
                                + (entry.offset() + entry.bytes() - 1)
                                + " have the checksum "
                                + found
                                + ", the manifest says "
                                + entry.crc32c()
                                + ": the file is damaged, pack the model again");
            }
            checked = bytes;
        }
        return checked;
    }
}
