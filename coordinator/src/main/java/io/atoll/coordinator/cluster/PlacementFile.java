package io.atoll.coordinator.cluster;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.TreeMap;

/// The table as a JSON file, replaced as a whole: whoever reads it sees one state or the next.
public final class PlacementFile implements PlacementTable {
    private static final ObjectMapper JSON =
            new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
    private static final long MOST_BYTES = 64 << 20;

    private final Path file;

    public PlacementFile(Path file) {
        this.file = file;
    }

    @Override
    public Map<String, String> read() throws IOException {
        try {
            long size = Files.size(file);
            if (size > MOST_BYTES) {
                throw new IOException(file + " has " + size + " bytes, at most " + MOST_BYTES);
            }
            Map<String, String> entries =
                    JSON.readValue(Files.readAllBytes(file), new TypeReference<>() {});
            if (entries == null || entries.containsValue(null)) {
                throw new IOException(file + " has null where text should be");
            }
            return entries;
        } catch (NoSuchFileException _) {
            return Map.of();
        } catch (JacksonException e) {
            throw new IOException(
                    "%s is damaged: %s. Without it the cluster is taken as it is found"
                            .formatted(file, e.getOriginalMessage()),
                    e);
        }
    }

    @Override
    public void write(Map<String, String> entries) throws IOException {
        Path parent = file.toAbsolutePath().getParent();
        Files.createDirectories(parent);
        Path fresh = parent.resolve(file.getFileName() + ".new");
        ByteBuffer bytes = ByteBuffer.wrap(JSON.writeValueAsBytes(new TreeMap<>(entries)));
        try (FileChannel channel =
                FileChannel.open(
                        fresh,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        StandardOpenOption.WRITE)) {
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.force(true);
        }
        Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
    }
}
