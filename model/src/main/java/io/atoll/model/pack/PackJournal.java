package io.atoll.model.pack;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.model.pack.PackDisk.OutputFile;
import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// What a packer has finished so far: a line for the plan, and one for each file of weights that is whole. Each line begins with its
/// own checksum, so a line that was cut off counts for nothing.
final class PackJournal implements Closeable {
    static final String NAME = "atoll-pack.journal";

    private static final JsonMapper MAPPER =
            JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

    /// @param modelDigest of the source
    /// @param fingerprint of the plan ([PackPlan#fingerprint])
    record Plan(String modelDigest, String fingerprint) {}

    /// @param sums of the file's regions, in order
    record Finished(String file, List<String> sums) {
        Finished {
            sums = List.copyOf(sums);
        }
    }

    /// What an earlier run has left.
    record Contents(Plan plan, List<Finished> finished) {}

    private final OutputFile output;
    private long end;

    private PackJournal(OutputFile output, long end) {
        this.output = output;
        this.end = end;
    }

    /// What the journal in a directory says, up to the first line that is not whole.
    static Optional<Contents> read(Path directory) throws IOException {
        Path file = directory.resolve(NAME);
        if (!Files.exists(file)) {
            return Optional.empty();
        }
        String text = Files.readString(file, StandardCharsets.ISO_8859_1);
        Plan plan = null;
        List<Finished> finished = new ArrayList<>();
        for (int at = 0, newline; (newline = text.indexOf('\n', at)) >= 0; at = newline + 1) {
            String line = text.substring(at, newline);
            byte[] json =
                    line.substring(Math.min(9, line.length()))
                            .getBytes(StandardCharsets.ISO_8859_1);
            if (!line.startsWith(Crc32c.hex(Crc32c.of(json)) + " ")) {
                break;
            }
            try {
                if (plan == null) {
                    plan = MAPPER.readValue(json, Plan.class);
                } else {
                    finished.add(MAPPER.readValue(json, Finished.class));
                }
            } catch (JacksonException _) {
                break;
            }
        }
        return plan == null ? Optional.empty() : Optional.of(new Contents(plan, finished));
    }

    /// Begins a journal with what is known to be finished, in place of the old one.
    static PackJournal begin(PackDisk disk, Path directory, Plan plan, List<Finished> finished)
            throws IOException {
        Path file = directory.resolve(NAME);
        Path temporary = directory.resolve(NAME + Packer.TEMPORARY);
        StringBuilder lines = new StringBuilder(line(plan));
        finished.forEach(one -> lines.append(line(one)));
        byte[] bytes = lines.toString().getBytes(StandardCharsets.ISO_8859_1);
        try (OutputFile output = disk.create(temporary)) {
            output.write(0, MemorySegment.ofArray(bytes));
            output.force();
        }
        disk.rename(temporary, file);
        return new PackJournal(disk.append(file), bytes.length);
    }

    /// Notes a file that is on the disk under its name.
    void add(Finished finished) throws IOException {
        byte[] bytes = line(finished).getBytes(StandardCharsets.ISO_8859_1);
        output.write(end, MemorySegment.ofArray(bytes));
        output.force();
        end += bytes.length;
    }

    /// Only ASCII is written, so a character is a byte.
    private static String line(Object entry) {
        try {
            String json = MAPPER.writeValueAsString(entry);
            return Crc32c.hex(Crc32c.of(json.getBytes(StandardCharsets.ISO_8859_1)))
                    + " "
                    + json
                    + "\n";
        } catch (JacksonException e) {
            throw new IllegalStateException("a record does not print: " + entry, e);
        }
    }

    @Override
    public void close() throws IOException {
        output.close();
    }
}
