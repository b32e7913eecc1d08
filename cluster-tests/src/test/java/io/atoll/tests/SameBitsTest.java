package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.atoll.tests.RecordedRuns.Trace;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Promise 2: the same bits for any number of workers, placement, thread count and batch.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class SameBitsTest {
    private final RecordedRuns runs =
            new RecordedRuns(Path.of(System.getProperty("atoll.root"), "demo-model"));
    private Map<Long, Trace> expected = Map.of();

    @BeforeAll
    void runAloneInOneProcess() throws IOException {
        expected = runs.run("one", 1, 1);
        assertEquals(8, expected.size());
    }

    @AfterAll
    void close() {
        runs.close();
    }

    @ParameterizedTest
    @CsvSource({
        "one, 1, 8",
        "one, 2, 1",
        "one, 2, 8",
        "two, 1, 1",
        "two, 1, 8",
        "two, 2, 8",
        "three uneven, 1, 1",
        "three uneven, 2, 1",
        "three uneven, 2, 8",
        "by layer, 1, 8",
        "overlapping, 2, 8",
    })
    void logitsAndTokensDoNotDependOnWhereAndWithWhomTheyAreComputed(
            String topology, int threads, int batch) throws IOException {
        Map<Long, Trace> found = runs.run(topology, threads, batch);
        RecordedRuns.assertSame(expected, found);
    }
}
