package io.atoll.cli.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.atoll.cli.Main;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class PlanCommandTest {
    private final StringWriter out = new StringWriter();
    private final StringWriter errors = new StringWriter();

    private int plan(String... options) {
        CommandLine command =
                Main.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(errors));
        String[] arguments = new String[options.length + 1];
        arguments[0] = "plan";
        System.arraycopy(options, 0, arguments, 1, options.length);
        return command.execute(arguments);
    }

    @Test
    void saysWhereBytesGoAndWhatEachMachineMeans() {
        assertEquals(0, plan("--model", "35b", "--nodes", "big=16GB@80GB/s,2x8GB@40GB/s"));
        String text = out.toString();
        for (String expected :
                List.of(
                        "35b as Q4_K_M: 19.6 GB of routed experts (40 layers of 256, 8 a token)",
                        "of dense weights on big",
                        "attention, experts",
                        "LIMITED BY",
                        "one more machine like n2: ",
                        "without big: nothing runs",
                        "without n3: ")) {
            assertTrue(text.contains(expected), expected + " is not in:\n" + text);
        }
    }

    @Test
    void withTwoCopiesAnyOtherMachineMayBeLost() {
        assertEquals(0, plan("--model", "35b", "--nodes", "3x24GB@40GB/s", "--replication", "2"));
        String text = out.toString();
        assertTrue(text.contains("without n2: "), text);
        assertTrue(text.contains("every expert has another copy"), text);
    }

    @Test
    void whatDoesNotFitIsSaidWithWhatIsNeededAndEndsWithOne() {
        assertEquals(1, plan("--model", "397b", "--nodes", "2x64GB@40GB/s"));
        assertTrue(out.toString().contains("does not fit: too little memory"), out.toString());
    }

    @Test
    void modelOnDiskIsMeasuredByItsHeaders() throws Exception {
        Path model = Path.of(System.getProperty("atoll.root"), "demo-model");
        assertEquals(
                0, plan("--model", model.toString(), "--nodes", "1GB@10GB/s,1GB@10GB/s", "--json"));
        JsonNode tree = new ObjectMapper().readTree(out.toString());
        // 8 layers of 32 experts with three matrices of 32 x 256 in BF16.
        assertEquals(8 * 32 * 3 * 32 * 256 * 2, tree.path("expert_bytes").asLong());
        assertTrue(tree.path("dense_bytes").asLong() > 0);
        assertEquals(3, tree.path("steps").size());
        JsonNode one = tree.path("steps").path(0);
        double milliseconds =
                one.path("dense_ms").asDouble()
                        + one.path("experts_ms").asDouble()
                        + one.path("round_trips_ms").asDouble()
                        + one.path("link_ms").asDouble();
        assertEquals(1000 / milliseconds, one.path("tokens_per_second").asDouble(), 1);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "9b | 64GB@40GB/s | 1 | --model: '9b' is neither",
                "35b | 64GB | 1 | --nodes: '64GB' is not like 64GB@40GB/s",
                "35b | 64@40GB/s | 1 | '64' is not an amount of memory",
                "35b | 64GB@40 | 1 | '40' is not a speed",
                "35b | 64GB@40GB/s@600 | 1 | '600' is not a rate of arithmetic",
                "35b | 0x64GB@40GB/s | 1 | 1 to 1000 machines",
                "35b | a=64GB@40GB/s,a=64GB@40GB/s | 1 | two machines are named 'a'",
                "35b | 64GB@40GB/s | 2 | --replication must be 1 to 1: 2",
            })
    void mistakesAreNamed(String model, String nodes, String replication, String expected) {
        assertEquals(2, plan("--model", model, "--nodes", nodes, "--replication", replication));
        assertTrue(errors.toString().contains(expected), errors.toString());
    }
}
