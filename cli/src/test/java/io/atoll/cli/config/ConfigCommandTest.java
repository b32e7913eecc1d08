package io.atoll.cli.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cli.Main;
import io.atoll.cluster.config.ClusterFile;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigCommandTest {
    @TempDir private Path directory;
    private final StringWriter out = new StringWriter();
    private final StringWriter errors = new StringWriter();

    private int config(String... arguments) {
        return Main.commandLine()
                .setOut(new PrintWriter(out))
                .setErr(new PrintWriter(errors))
                .execute(arguments);
    }

    @Test
    void fileIsCheckedAndItsMistakesAreNamed() throws Exception {
        Path file = directory.resolve("cluster.yaml");
        Files.writeString(
                file, "cluster-id: lab\nexpert-workers:\n  - {name: w1, address: \"h:7001\"}\n");
        assertEquals(0, config("config", "check", file.toString()));
        assertTrue(out.toString().contains("cluster lab, API at"), out.toString());
        assertTrue(out.toString().contains("1 expert worker"), out.toString());
        Files.writeString(file, "cluster-id: lab\nreplicas: 2\n");
        assertEquals(1, config("config", "check", file.toString()));
        assertTrue(errors.toString().contains("unknown key"), errors.toString());
        assertTrue(errors.toString().contains("replicas"), errors.toString());
    }

    @Test
    void defaultsAreShownAsAFileThatCanBeRead() throws Exception {
        assertEquals(0, config("config", "show"));
        assertEquals(ClusterFile.defaults().toYaml(), out.toString());
        Path file = directory.resolve("all.yaml");
        Files.writeString(file, out.toString());
        assertEquals(0, config("config", "check", file.toString()));
    }
}
