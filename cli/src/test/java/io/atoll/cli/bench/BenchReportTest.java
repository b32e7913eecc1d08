package io.atoll.cli.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.cli.bench.BenchReport.MessageTime;
import io.atoll.cli.bench.BenchReport.Range;
import io.atoll.cli.bench.BenchReport.Row;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class BenchReportTest {
    private static final BenchReport REPORT =
            new BenchReport(
                    "small",
                    "/models/small.gguf",
                    "kernels c, 2 threads",
                    2,
                    3,
                    1,
                    1.5,
                    4,
                    true,
                    Range.of(10e9, 12e9, 20e9),
                    OptionalLong.of(2_000_000_000L),
                    300,
                    200,
                    List.of(
                            new Row(
                                    4,
                                    32,
                                    64,
                                    3,
                                    Range.of(100, 300, 200),
                                    Range.of(30, 30),
                                    2e8,
                                    Map.of(Stage.HEAD, 3e6, Stage.ROUTER, 1e6),
                                    List.of(new MessageTime("w2", 90e3, 5e3, 60e3)))));

    @Test
    void jsonHasEveryNumberWithItsUnit() throws IOException {
        JsonNode json = new ObjectMapper().readTree(REPORT.json());
        assertEquals("small", json.at("/model").textValue());
        assertEquals(3, json.at("/workers").intValue());
        assertEquals(12e9, json.at("/read_bytes_per_second/median").doubleValue());
        assertEquals(2_000_000_000L, json.at("/peak_resident_bytes").longValue());
        JsonNode row = json.at("/rows/0");
        assertEquals(4, row.at("/batch").intValue());
        assertEquals(32, row.at("/prompt_tokens").intValue());
        assertEquals(100, row.at("/prompt_tokens_per_second/low").doubleValue());
        assertEquals(200, row.at("/prompt_tokens_per_second/median").doubleValue());
        assertEquals(300, row.at("/prompt_tokens_per_second/high").doubleValue());
        assertEquals(30, row.at("/generated_tokens_per_second/median").doubleValue());
        assertEquals(6e9, row.at("/weight_bytes_per_second").doubleValue());
        assertEquals(0.5, row.at("/share_of_read_speed").doubleValue());
        assertEquals(3e6, row.at("/step_nanos/head").doubleValue());
        assertEquals("w2", row.at("/worker_messages/0/worker").textValue());
        assertEquals(90e3, row.at("/worker_messages/0/round_trip_nanos").doubleValue());
    }

    @Test
    void textSaysHowNearToTheMemoryItIs() {
        String text = REPORT.text(false);
        assertTrue(text.contains("experts in 3 workers, compute threads of each: 1"), text);
        assertTrue(text.contains("peak memory 2.00 GB"), text);
        assertTrue(text.contains("200.0 (100.0 to 300.0)"), text);
        assertTrue(text.contains("6.0 GB/s, 50 % of plain reading"), text);
        assertFalse(text.contains("A generation step"), text);
    }

    @Test
    void stagesAddUpToTheStep() {
        String text = REPORT.text(true);
        assertTrue(text.contains("A generation step at batch 4 after 32 tokens: 4.00 ms"), text);
        assertTrue(text.contains("3.000 ms  75.0 %"), text);
        assertTrue(text.contains("a message to w2: 90 us, of which it computed 60"), text);
    }
}
