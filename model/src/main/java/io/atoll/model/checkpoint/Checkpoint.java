package io.atoll.model.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.kernels.nativecode.PageAdvice;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.stream.Stream;

/// All tensors of a model, found by name over one or several safetensors files.
///
/// Files are mapped, never read into the heap, and each only when a tensor of it is first asked for: a worker that
/// asks for some experts reads only their bytes. Safe for use by several threads. `close()` unmaps everything and
/// makes every [Tensor] unusable.
public final class Checkpoint implements AutoCloseable {
    private static final String INDEX = "model.safetensors.index.json";
    private static final String SINGLE = "model.safetensors";
    private static final String SUFFIX = ".safetensors";
    private static final long MAX_INDEX_BYTES = 256L << 20;

    private final Path source;
    private final NavigableMap<String, Path> fileOfTensor;
    private final Arena arena;
    private final Map<Path, SafetensorsFile> opened;
    private boolean closed;

    private Checkpoint(
            Path source,
            NavigableMap<String, Path> fileOfTensor,
            Arena arena,
            Map<Path, SafetensorsFile> opened) {
        this.source = source;
        this.fileOfTensor = fileOfTensor;
        this.arena = arena;
        this.opened = opened;
    }

    /// Opens a directory (by its index, or its only safetensors file) or one safetensors file.
    ///
    /// @throws CheckpointException if there are no weights, or the index or the only file is damaged
    public static Checkpoint open(Path path) {
        if (!Files.isDirectory(path)) {
            return openFile(path, path);
        }
        Path index = path.resolve(INDEX);
        if (Files.exists(index)) {
            return new Checkpoint(path, readIndex(path, index), Arena.ofShared(), new HashMap<>());
        }
        return openFile(path, onlyFile(path));
    }

    /// The directory or file this was opened from.
    public Path source() {
        return source;
    }

    /// Names of all tensors, sorted.
    public SortedSet<String> names() {
        return Collections.unmodifiableSortedSet(fileOfTensor.navigableKeySet());
    }

    /// Whether there is such a tensor. Opens no file.
    public boolean contains(String name) {
        return fileOfTensor.containsKey(name);
    }

    /// The tensor, if the checkpoint has it.
    ///
    /// @throws CheckpointException if its file is missing, damaged, or lacks the tensor that the index puts there
    public Optional<Tensor> find(String name) {
        Path file = fileOfTensor.get(name);
        if (file == null) {
            return Optional.empty();
        }
        Tensor tensor = shard(file).tensors().get(name);
        if (tensor == null) {
            throw new CheckpointException(file, name, "is in the index but not in this file");
        }
        return Optional.of(tensor);
    }

    /// The tensor, which must be there.
    ///
    /// @throws CheckpointException if it is not, or as [#find]
    public Tensor require(String name) {
        return find(name)
                .orElseThrow(() -> new CheckpointException(source, name, "tensor is missing"));
    }

    /// The tensor, which must be there, have plain float elements and exactly this shape.
    public Tensor require(String name, long... shape) {
        return require(name).expectShape(shape).expectFloats();
    }

    /// Takes the files' pages out of this process's memory; they can be read again.
    public synchronized void releasePages() {
        opened.values().forEach(file -> PageAdvice.release(file.bytes()));
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            opened.clear();
            arena.close();
        }
    }

    private synchronized SafetensorsFile shard(Path file) {
        if (closed) {
            throw new IllegalStateException("checkpoint is closed: " + source);
        }
        return opened.computeIfAbsent(file, missing -> SafetensorsFile.open(missing, arena));
    }

    private static Checkpoint openFile(Path source, Path file) {
        Arena arena = Arena.ofShared();
        try {
            SafetensorsFile opened = SafetensorsFile.open(file, arena);
            NavigableMap<String, Path> fileOfTensor = new TreeMap<>();
            opened.tensors().keySet().forEach(name -> fileOfTensor.put(name, file));
            return new Checkpoint(source, fileOfTensor, arena, new HashMap<>(Map.of(file, opened)));
        } catch (CheckpointException e) {
            arena.close();
            throw e;
        }
    }

    private static Path onlyFile(Path directory) {
        if (Files.exists(directory.resolve(SINGLE))) {
            return directory.resolve(SINGLE);
        }
        List<Path> candidates;
        try (Stream<Path> files = Files.list(directory)) {
            candidates = files.filter(file -> file.toString().endsWith(SUFFIX)).sorted().toList();
        } catch (IOException e) {
            throw new CheckpointException(directory, "directory", "cannot be listed: " + e, e);
        }
        if (candidates.size() != 1) {
            throw new CheckpointException(
                    directory,
                    "weights",
                    "expected "
                            + INDEX
                            + " or one *"
                            + SUFFIX
                            + " file, found "
                            + candidates.size()
                            + " such files");
        }
        return candidates.getFirst();
    }

    private static NavigableMap<String, Path> readIndex(Path directory, Path index) {
        JsonMapper mapper =
                JsonMapper.builder()
                        .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                        .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                        .build();
        if (!Files.isRegularFile(index)) {
            throw new CheckpointException(index, "file", "is not a regular file");
        }
        JsonNode root;
        try {
            long bytes = Files.size(index);
            if (bytes > MAX_INDEX_BYTES) {
                throw new CheckpointException(
                        index,
                        "file",
                        "is too large: " + bytes + " bytes, at most " + MAX_INDEX_BYTES);
            }
            root = mapper.readTree(Files.readAllBytes(index));
        } catch (JsonProcessingException e) {
            throw new CheckpointException(
                    index, "file", "is not valid JSON: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new CheckpointException(index, "file", "cannot be read: " + e, e);
        }
        JsonNode weightMap = root == null ? null : root.get("weight_map");
        if (weightMap == null || !weightMap.isObject()) {
            throw new CheckpointException(index, "weight_map", "is missing or not an object");
        }
        Map<String, Path> shards = new HashMap<>();
        NavigableMap<String, Path> fileOfTensor = new TreeMap<>();
        for (Map.Entry<String, JsonNode> entry : weightMap.properties()) {
            String name = entry.getKey();
            if (!entry.getValue().isTextual()) {
                throw new CheckpointException(index, "weight_map." + name, "must be a file name");
            }
            String fileName = entry.getValue().textValue();
            fileOfTensor.put(
                    name,
                    shards.computeIfAbsent(
                            fileName, given -> inside(directory, index, name, given)));
        }
        return fileOfTensor;
    }

    /// The file an index names, which must not lead out of the model's directory.
    private static Path inside(Path directory, Path index, String name, String given) {
        try {
            Path relative = Path.of(given);
            Path root = directory.normalize();
            boolean climbs = false;
            for (Path part : relative) {
                climbs |= part.toString().equals("..");
            }
            if (!given.isBlank() && !relative.isAbsolute() && !climbs && given.endsWith(SUFFIX)) {
                return root.resolve(relative);
            }
        } catch (InvalidPathException e) {
            throw new CheckpointException(
                    index, "weight_map." + name, "is not a file name: " + e.getReason(), e);
        }
        throw new CheckpointException(
                index,
                "weight_map." + name,
                "must be a "
                        + SUFFIX
                        + " file inside the model's directory, found \""
                        + given
                        + "\"");
    }
}
