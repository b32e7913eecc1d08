package io.atoll.model.gguf;

import io.atoll.kernels.nativecode.PageAdvice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A GGUF model in one file, or in parts named `NAME-00001-of-0000N.gguf`: its metadata and all its tensors by name.
///
/// Files are mapped, never read into the heap. `close()` unmaps them and makes every [GgufTensor] and [GgufArray] unusable.
public final class GgufFile implements AutoCloseable {
    private static final String SPLIT_NUMBER = "split.no";
    private static final String SPLIT_COUNT = "split.count";
    private static final String SPLIT_TENSORS = "split.tensors.count";
    private static final int MAX_PARTS = 9999;
    private static final Pattern PART_NAME = Pattern.compile("(.*)-(\\d{5})-of-(\\d{5})\\.gguf");

    private final Path path;
    private final Arena arena;
    private final int version;
    private final GgufMetadata metadata;
    private final Map<String, GgufTensor> tensors;
    private final List<MemorySegment> mapped;

    private GgufFile(
            Path path,
            Arena arena,
            int version,
            GgufMetadata metadata,
            Map<String, GgufTensor> tensors,
            List<MemorySegment> mapped) {
        this.path = path;
        this.arena = arena;
        this.version = version;
        this.metadata = metadata;
        this.tensors = tensors;
        this.mapped = List.copyOf(mapped);
    }

    /// Opens a file, or all parts of a split model when given any of them.
    ///
    /// @throws GgufException if a part is missing or damaged, or has tensors of a type that is not supported
    public static GgufFile open(Path path) {
        Arena arena = Arena.ofShared();
        try {
            return open(path, arena);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    private static GgufFile open(Path given, Arena arena) {
        GgufPart opened = GgufPart.open(given, arena);
        int parts = opened.metadata().integer(SPLIT_COUNT, 0, MAX_PARTS, 0);
        Map<String, GgufTensor> tensors = new LinkedHashMap<>();
        if (parts <= 1) {
            addAll(tensors, opened);
            return new GgufFile(
                    given,
                    arena,
                    opened.version(),
                    opened.metadata(),
                    tensors,
                    List.of(opened.bytes()));
        }
        GgufMetadata first = null;
        List<MemorySegment> mapped = new ArrayList<>(List.of(opened.bytes()));
        for (int number = 0; number < parts; number++) {
            Path file = partPath(given, number, parts);
            GgufPart part = GgufPart.open(file, arena);
            checkPart(part.metadata(), number, parts);
            if (first == null) {
                first = part.metadata();
            }
            addAll(tensors, part);
            mapped.add(part.bytes());
        }
        int expected = first.integer(SPLIT_TENSORS, 0, Integer.MAX_VALUE);
        if (tensors.size() != expected) {
            throw new GgufException(
                    first.file(),
                    SPLIT_TENSORS,
                    "says " + expected + " tensors, the parts have " + tensors.size());
        }
        return new GgufFile(given, arena, opened.version(), first, tensors, mapped);
    }

    /// The file this was opened from.
    public Path path() {
        return path;
    }

    /// Version of the format, 2 or 3.
    public int version() {
        return version;
    }

    /// The metadata; of a split model that of its first part.
    public GgufMetadata metadata() {
        return metadata;
    }

    /// All tensors by name, in the order of the files.
    public Map<String, GgufTensor> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    /// A tensor, if there is one of that name.
    public Optional<GgufTensor> find(String name) {
        return Optional.ofNullable(tensors.get(name));
    }

    /// A tensor, which must be there.
    ///
    /// @throws GgufException if it is not
    public GgufTensor require(String name) {
        return find(name).orElseThrow(() -> new GgufException(path, name, "tensor is missing"));
    }

    /// Takes the files' pages out of this process's memory; they can be read again.
    public void releasePages() {
        mapped.forEach(PageAdvice::release);
    }

    @Override
    public void close() {
        arena.close();
    }

    private static void addAll(Map<String, GgufTensor> tensors, GgufPart part) {
        for (GgufTensor tensor : part.tensors()) {
            if (tensors.put(tensor.name(), tensor) != null) {
                throw new GgufException(
                        tensor.file(), tensor.name(), "tensor stands in another part, too");
            }
        }
    }

    private static Path partPath(Path given, int number, int parts) {
        Path last = given.getFileName();
        Matcher name = PART_NAME.matcher(last == null ? "" : last.toString());
        if (!name.matches() || Integer.parseInt(name.group(3)) != parts) {
            throw new GgufException(
                    given,
                    SPLIT_COUNT,
                    String.format(
                            Locale.ROOT,
                            "is %d, so the file must be named like NAME-00001-of-%05d.gguf",
                            parts,
                            parts));
        }
        return given.resolveSibling(
                String.format(
                        Locale.ROOT, "%s-%05d-of-%05d.gguf", name.group(1), number + 1, parts));
    }

    private static void checkPart(GgufMetadata metadata, int number, int parts) {
        int foundNumber = metadata.integer(SPLIT_NUMBER, 0, MAX_PARTS);
        int foundParts = metadata.integer(SPLIT_COUNT, 0, MAX_PARTS);
        if (foundNumber != number || foundParts != parts) {
            throw new GgufException(
                    metadata.file(),
                    SPLIT_NUMBER,
                    "expected part "
                            + number
                            + " of "
                            + parts
                            + ", the file says part "
                            + foundNumber
                            + " of "
                            + foundParts);
        }
    }
}
