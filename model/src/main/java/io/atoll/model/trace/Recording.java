package io.atoll.model.trace;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;

/// Keeps everything a forward pass shows, under the names of the golden files: `layer.3.mixer_output`, `final_norm`.
///
/// Rows of a later call are appended to those of an earlier one, so a prompt fed in pieces and one fed whole give the same recording.
/// One thread at a time.
public final class Recording implements ForwardObserver {
    private final Map<String, List<MemorySegment>> pieces = new HashMap<>();

    @Override
    public void tensor(String name, int layer, MemorySegment data, int rows, int cols) {
        long bytes = 4L * rows * cols;
        MemorySegment copy = MemorySegment.ofArray(new int[Math.multiplyExact(rows, cols)]);
        MemorySegment.copy(data, 0, copy, 0, bytes);
        String key = layer < 0 ? name : "layer." + layer + "." + name;
        pieces.computeIfAbsent(key, _ -> new ArrayList<>()).add(copy);
    }

    /// Names of all tensors shown so far.
    public SortedSet<String> names() {
        return Collections.unmodifiableSortedSet(new TreeSet<>(pieces.keySet()));
    }

    /// All rows of an f32 tensor, if it was shown.
    public Optional<float[]> floats(String name) {
        return joined(name).map(all -> all.toArray(ValueLayout.JAVA_FLOAT));
    }

    /// All rows of an int32 tensor, if it was shown.
    public Optional<int[]> ints(String name) {
        return joined(name).map(all -> all.toArray(ValueLayout.JAVA_INT));
    }

    private Optional<MemorySegment> joined(String name) {
        List<MemorySegment> parts = pieces.get(name);
        if (parts == null) {
            return Optional.empty();
        }
        long bytes = parts.stream().mapToLong(MemorySegment::byteSize).sum();
        MemorySegment all = MemorySegment.ofArray(new int[Math.toIntExact(bytes / 4)]);
        long at = 0;
        for (MemorySegment part : parts) {
            MemorySegment.copy(part, 0, all, at, part.byteSize());
            at += part.byteSize();
        }
        return Optional.of(all);
    }
}
