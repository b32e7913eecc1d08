package io.atoll.cluster.security;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

final class WatchedFilesTest {
    @TempDir private Path directory;
    private Path file;

    @BeforeEach
    void oneFile() throws IOException {
        file = Files.writeString(directory.resolve("f"), "1");
    }

    @Test
    void aChangeIsReadAndNothingElse() throws IOException {
        WatchedFiles<Integer> files = numbers();
        assertEquals(1, files.current());
        assertFalse(files.check());
        Files.writeString(file, "2"); // as long as before, perhaps within a tick of the clock
        assertTrue(files.check());
        assertEquals(2, files.current());
        assertFalse(files.check());
    }

    @Test
    void whatMakesNoSenseChangesNothingAndIsToldOnce() throws IOException {
        WatchedFiles<Integer> files = numbers();
        Logger logger = (Logger) LoggerFactory.getLogger(WatchedFiles.class);
        ListAppender<ILoggingEvent> log = new ListAppender<>();
        log.start();
        logger.addAppender(log);
        try {
            Files.writeString(file, "x");
            assertFalse(files.check());
            assertFalse(files.check());
            Files.delete(file);
            assertFalse(files.check());
            assertFalse(files.check());
            assertEquals(1, files.current());
            List<String> lines = log.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
            assertEquals(2, lines.size(), lines.toString());
            assertTrue(lines.get(0).contains("no number: x"), lines.toString());
            assertTrue(lines.get(1).contains(file + ": there is no such file"), lines.toString());
            Files.writeString(file, "3");
            assertTrue(files.check());
            List<ILoggingEvent> last = log.list;
            assertEquals("read again: [" + file + "]", last.getLast().getFormattedMessage());
            assertEquals(3, files.current());
        } finally {
            logger.detachAppender(log);
        }
    }

    @Test
    void aFileThatIsMissingAtFirstOrHugeStopsTheStart() throws IOException {
        Path huge = Files.write(directory.resolve("huge"), new byte[(1 << 20) + 1]);
        for (Path bad : List.of(huge, directory.resolve("none"))) {
            IOException refused =
                    assertThrows(IOException.class, () -> new WatchedFiles<>(List.of(bad), _ -> 0));
            assertTrue(refused.getMessage().startsWith(bad + ": "), refused.getMessage());
        }
    }

    private WatchedFiles<Integer> numbers() throws IOException {
        return new WatchedFiles<>(
                List.of(file),
                contents -> {
                    String text = new String(contents.getFirst(), StandardCharsets.UTF_8);
                    try {
                        return Integer.valueOf(text);
                    } catch (NumberFormatException e) {
                        throw new IOException("no number: " + text, e);
                    }
                });
    }
}
