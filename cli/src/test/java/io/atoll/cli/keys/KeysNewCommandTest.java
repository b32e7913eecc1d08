package io.atoll.cli.keys;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.config.ApiKeysFile;
import io.atoll.cluster.config.ApiKeysFile.Entry;
import io.atoll.cluster.config.ApiKeysFile.Scope;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class KeysNewCommandTest {
    private final StringWriter out = new StringWriter();
    private final StringWriter errors = new StringWriter();
    @TempDir private Path directory;

    @Test
    void keyIsPrintedAndOnlyItsHashIsKept() throws Exception {
        Path file = directory.resolve("keys.yaml");
        assertEquals(0, run("new", "alice", "--file", file.toString()));
        String key = out.toString().strip();
        String text = Files.readString(file);
        assertFalse(text.contains(key), text);
        assertEquals(
                "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
        Entry alice = ApiKeysFile.read(file).keys().getFirst();
        assertEquals(ApiKeysFile.hash(key), alice.sha256());
        assertEquals(Set.of(Scope.GENERATE), alice.scopes());
    }

    @Test
    void anotherKeyIsAddedAndTheFileKeepsItsPermissions() throws Exception {
        Path file = directory.resolve("keys.yaml");
        Files.writeString(file, "# ours\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
        assertEquals(0, run("new", "a", "--file", file.toString()), errors.toString());
        assertEquals(
                0,
                run(
                        "new",
                        "b",
                        "--file",
                        file.toString(),
                        "--scopes",
                        "admin,metrics",
                        "--requests-per-minute",
                        "5",
                        "--max-concurrent",
                        "2",
                        "--priority",
                        "-7"));
        assertTrue(Files.readString(file).startsWith("# ours\n"));
        assertEquals(
                "rw-r-----", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
        Entry b = ApiKeysFile.read(file).keys().getLast();
        assertEquals(
                new Entry(
                        "b",
                        b.sha256(),
                        Set.of(Scope.ADMIN, Scope.METRICS),
                        Optional.of(5),
                        Optional.of(2),
                        -7),
                b);
        try (Stream<Path> files = Files.list(directory)) {
            assertEquals(List.of(file), files.toList(), "nothing is left over");
        }
    }

    @Test
    void withoutAFileTheLinesToAddArePrinted() throws Exception {
        assertEquals(0, run("new", "alice"));
        Entry alice = ApiKeysFile.parse(errors.toString(), directory).keys().getFirst();
        assertEquals(ApiKeysFile.hash(out.toString().strip()), alice.sha256());
    }

    @Test
    void whatTheFileWouldRefuseIsAUsageProblem() {
        assertEquals(2, run("new", "a b"));
        assertEquals(2, run("new", "a", "--scopes", "root"));
        assertTrue(errors.toString().contains("generate, metrics, admin: root"), errors.toString());
        assertEquals(2, run("new", "a", "--priority", "101"));
        assertEquals("", out.toString());
    }

    private int run(String... arguments) {
        return new CommandLine(new KeysCommand())
                .setOut(new PrintWriter(out, true))
                .setErr(new PrintWriter(errors, true))
                .execute(arguments);
    }
}
