package io.atoll.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MainTest {
    private final StringWriter out = new StringWriter();
    private final StringWriter errors = new StringWriter();

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "serve | atoll serve: which model?",
                "serve /nowhere | /nowhere",
                "serve --kernel c | Unknown option: '--kernel'",
                "coordinator --config /nowhere.yaml | atoll coordinator: /nowhere.yaml: there is no"
                        + " such file",
                "coordinator --listen x | --listen: not an address: 'x'",
                "expert-worker | Missing required option: '--name=NAME'",
                "expert-worker --name a --model . | no expert worker is named 'a'",
                "attention-worker | the cluster file names no expert workers",
                "generate | Missing required option: '--prompt=TEXT'",
                "chat a --url http://b | give a MODEL or --url, not both",
                "conformance /nowhere | not a directory: /nowhere",
                "keys | what to do with keys? One of new",
                "keys new | Missing required parameter: 'NAME'",
                "nonsense | Unmatched argument at index 0: 'nonsense'",
            })
    void usageProblemIsOneLineAndAHint(String arguments, String problem) {
        assertEquals(2, run(arguments.split(" ")));
        assertTrue(errors.toString().contains(problem), errors.toString());
        assertEquals(2, errors.toString().lines().count(), errors.toString());
        assertTrue(errors.toString().contains(" --help'."), errors.toString());
    }

    @Test
    void damagedModelIsOneLine(@TempDir Path directory) throws IOException {
        Files.writeString(directory.resolve("config.json"), "{\"architectures\": [\"Other\"]}");
        assertEquals(1, run("serve", directory.toString(), "--listen", "127.0.0.1:0"));
        assertTrue(errors.toString().contains("architectures"), errors.toString());
        assertEquals(1, errors.toString().lines().count(), errors.toString());
    }

    @Test
    void everyCommandHasHelp() {
        for (String command : Main.commandLine().getSubcommands().keySet()) {
            if (!command.equals("help")) {
                assertEquals(0, run(command, "--help"), command);
                assertTrue(out.toString().contains("Usage: atoll " + command), command);
            }
        }
    }

    private int run(String... arguments) {
        return Main.commandLine()
                .setOut(new PrintWriter(out, true))
                .setErr(new PrintWriter(errors, true))
                .execute(arguments);
    }
}
