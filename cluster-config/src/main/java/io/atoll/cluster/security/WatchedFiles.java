package io.atoll.cluster.security;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// What some small files say, for as long as a process runs: whoever calls [#check] now and then has it follow the files.
///
/// Contents that can't be used change nothing and are complained of once. Files are compared by their bytes, since a change need
/// not show in time or size: an edit within a clock tick, a link that points elsewhere.
///
/// @param <T> what they say
public final class WatchedFiles<T> {
    private static final Logger log = LoggerFactory.getLogger(WatchedFiles.class);
    private static final long MAX_FILE_BYTES = 1 << 20;

    private final List<Path> files;
    private final Reader<T> reader;
    private List<byte[]> seen;
    private String complaint = "";
    private volatile T current;

    /// Makes something of the contents of the files.
    ///
    /// @param <T> what they say
    public interface Reader<T> {
        /// @throws IOException if they can't be used, with a message that names the file
        T read(List<byte[]> contents) throws IOException;
    }

    /// Reads the files for the first time.
    ///
    /// @throws IOException naming the file, if that fails
    public WatchedFiles(List<Path> files, Reader<T> reader) throws IOException {
        this.files = List.copyOf(files);
        this.reader = reader;
        seen = contents();
        current = reader.read(seen);
    }

    /// What the files said when they last made sense.
    public T current() {
        return current;
    }

    /// Looks at the files.
    ///
    /// @return whether [#current] is new
    public synchronized boolean check() {
        try {
            List<byte[]> now = contents();
            if (same(now, seen)) {
                complaint = ""; // a file that was gone is back
                return false;
            }
            seen = now;
            current = reader.read(now);
            complaint = "";
            log.info("read again: {}", files);
            return true;
        } catch (IOException e) {
            if (!complaint.equals(e.getMessage())) {
                complaint = String.valueOf(e.getMessage());
                log.error("what was read before stays in force: {}", complaint);
            }
            return false;
        } catch (RuntimeException e) { // a bug; not met again until the files change
            log.error("what was read before stays in force: {}", files, e);
            return false;
        }
    }

    private List<byte[]> contents() throws IOException {
        List<byte[]> contents = new ArrayList<>(files.size());
        for (Path file : files) {
            try {
                long size = Files.size(file);
                if (size > MAX_FILE_BYTES) {
                    throw new IOException("has " + size + " bytes, at most " + MAX_FILE_BYTES);
                }
                contents.add(Files.readAllBytes(file));
            } catch (NoSuchFileException e) {
                throw new IOException(file + ": there is no such file", e);
            } catch (IOException e) {
                throw new IOException(file + ": " + e.getMessage(), e);
            }
        }
        return contents;
    }

    private static boolean same(List<byte[]> some, List<byte[]> others) {
        for (int i = 0; i < some.size(); i++) {
            if (!Arrays.equals(some.get(i), others.get(i))) {
                return false;
            }
        }
        return true;
    }
}
