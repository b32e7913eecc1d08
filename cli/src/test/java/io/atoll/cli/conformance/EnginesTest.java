package io.atoll.cli.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.atoll.cli.conformance.ConformanceCommand.EngineKind;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.model.config.ModelFileException;
import io.atoll.model.trace.Recording;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// The engines against each other: what serves must give the bits of the oracle.
class EnginesTest {
    private static final Path DEMO = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final Kernels KERNELS = KernelLibrary.select(Optional.empty());
    private static final int PROMPT_TOKENS =
            300; // more than one attention segment, and than one step of an engine

    private static final Map<KvFormat, Run> ORACLES = new EnumMap<>(KvFormat.class);

    /// All that one engine shows of a prompt and two tokens after it.
    private record Run(Recording intermediates, float[][] logits, List<float[]> states) {
        static Run of(Engine engine) {
            int[] prompt = new int[PROMPT_TOKENS];
            Arrays.setAll(prompt, i -> (i * 37 + 11) % 2000);
            Recording recording = new Recording();
            List<float[]> states = new ArrayList<>();
            try (Engine.Sequence sequence = engine.open(PROMPT_TOKENS + 2)) {
                sequence.feed(prompt, recording);
                sequence.feed(new int[] {5}, recording);
                float[][] logits = sequence.feed(new int[] {6}, recording);
                for (int layer = 0; layer < engine.config().layerCount(); layer++) {
                    switch (sequence.state(layer)) {
                        case Engine.State.Recurrent(float[] conv, float[] recurrent) ->
                                states.addAll(List.of(conv, recurrent));
                        case Engine.State.KeyValues(float[] keys, float[] values) ->
                                states.addAll(List.of(keys, values));
                    }
                }
                return new Run(recording, logits, states);
            }
        }
    }

    @BeforeAll
    static void runOracle() {
        for (KvFormat kvFormat : KvFormat.values()) {
            ORACLES.put(kvFormat, run(EngineKind.REFERENCE, DEMO, kvFormat));
        }
    }

    @ParameterizedTest
    @CsvSource({"SERVE, F32", "SERVE, BF16", "CLUSTER, F32", "CLUSTER, BF16"})
    void engineGivesTheBitsOfTheReference(EngineKind kind, KvFormat kvFormat) {
        assertSame(ORACLES.get(kvFormat), run(kind, DEMO, kvFormat));
    }

    @Test
    void keysAndValuesInBf16AreRoundedAndShowInTheLogits() {
        Run exact = ORACLES.get(KvFormat.F32);
        Run rounded = ORACLES.get(KvFormat.BF16);
        assertFalse(Arrays.deepEquals(exact.logits(), rounded.logits()), "nothing was rounded");
        assertArrayEquals(exact.logits()[0], rounded.logits()[0], 0.1f);
    }

    private static Run run(EngineKind kind, Path model, KvFormat kvFormat) {
        try (Engine engine = kind.open(model, KERNELS, kvFormat)) {
            return Run.of(engine);
        }
    }

    private static void assertSame(Run oracle, Run run) {
        assertArrayEquals(oracle.logits(), run.logits());
        assertEquals(oracle.intermediates().names(), run.intermediates().names());
        for (String name : oracle.intermediates().names()) {
            assertArrayEquals(
                    oracle.intermediates().ints(name).orElseThrow(),
                    run.intermediates().ints(name).orElseThrow(),
                    name);
        }
        assertEquals(oracle.states().size(), run.states().size());
        for (int i = 0; i < oracle.states().size(); i++) {
            assertArrayEquals(oracle.states().get(i), run.states().get(i), "state " + i);
        }
    }

    @ParameterizedTest
    @EnumSource(EngineKind.class)
    void modelThatIsNotThereIsRefused(EngineKind kind, @TempDir Path empty) {
        assertThrows(
                ModelFileException.class,
                () -> kind.open(empty.resolve("nowhere"), KERNELS, KvFormat.BF16));
    }

    @Test
    void sequenceLongerThanTheContextIsRefusedByTheWorker() {
        try (Engine engine = EngineKind.SERVE.open(DEMO, KERNELS, KvFormat.BF16)) {
            assertThrows(
                    EngineException.class, () -> engine.open(engine.config().contextLength() + 1));
        }
    }
}
