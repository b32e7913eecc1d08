package io.atoll.cli.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.ModelDirectory;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class BenchCommandTest {
    private final StringWriter errors = new StringWriter();

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "bench | which measurement? One of run, serve, synth",
                "bench synth x.gguf | Missing required option: '--shape=NAME'",
                "bench synth --shape 7b x.gguf | --shape must be 35b, 122b or 397b, not 7b",
                "bench synth --shape 35b --layers 0 x.gguf | layers must be in [1, 1024]: 0",
                "bench synth --shape 397b --experts 9 x.gguf | experts must be in [10, 65536]: 9",
                "bench synth --shape 35b /nowhere/x.gguf | the directory /nowhere does not exist",
                "bench serve http://h --users 0 | --users must be in [1, 10000]: 0",
                "bench serve http://h --rate 0 | --rate must be in [0.001, 10000.0]: 0.0",
                "bench serve http://h --rate 1 --users 2 | give --rate or --users, not both",
                "bench serve http://h --turns 0 | --turns must be in [1, 1000]: 0",
                "bench serve http://h --duration 1x | a duration such as 500ms, 30s or 5m, not"
                        + " '1x'",
                "bench run /nowhere | the model /nowhere does not exist",
                "bench run . --batches 0 | --batches must be in [1, 1024]: 0",
                "bench run . --batches 1,x | 'x' is not an int",
                "bench run . --threads 0 | --threads must be in [1, 1024]: 0",
                "bench run . --workers -1 | --workers must be in [0, 64]: -1",
            })
    void usageProblemIsOneLineAndAHint(String arguments, String problem) {
        assertEquals(2, run(arguments.split(" ")));
        assertTrue(errors.toString().contains(problem), errors.toString());
        assertEquals(2, errors.toString().lines().count(), errors.toString());
    }

    @Test
    void synthWritesAModelThatOpensAndLeavesNothingElse(@TempDir Path directory)
            throws IOException {
        Path file = directory.resolve("cut.gguf");
        String[] arguments = {
            "bench",
            "synth",
            "--shape",
            "35b",
            "--layers",
            "1",
            "--vocab",
            "1024",
            "--experts",
            "8",
            file.toString()
        };
        assertEquals(0, run(arguments), errors.toString());
        try (ModelDirectory model = ModelDirectory.open(file)) {
            assertEquals(2048, model.config().text().hiddenSize());
            assertEquals(1024, model.config().text().vocabSize());
        }
        try (Stream<Path> left = Files.list(directory)) {
            assertEquals(1, left.count());
        }
        long written = Files.getLastModifiedTime(file).toMillis();
        assertEquals(2, run(arguments));
        assertTrue(errors.toString().contains("exists; remove it"), errors.toString());
        assertEquals(written, Files.getLastModifiedTime(file).toMillis());
    }

    @Test
    void synthSaysWhenTheDiskIsTooSmall(@TempDir Path directory) throws IOException {
        // Petabytes: 1024 layers of 65536 experts.
        Path file = directory.resolve("huge.gguf");
        assertEquals(
                2,
                run(
                        "bench",
                        "synth",
                        "--shape",
                        "397b",
                        "--layers",
                        "1024",
                        "--experts",
                        "65536",
                        "--vocab",
                        "1024",
                        file.toString()));
        assertTrue(errors.toString().contains("GB left"), errors.toString());
        assertFalse(Files.exists(file));
    }

    private int run(String... arguments) {
        CommandLine command = io.atoll.cli.Main.commandLine();
        return command.setErr(new PrintWriter(errors, true)).execute(arguments);
    }
}
