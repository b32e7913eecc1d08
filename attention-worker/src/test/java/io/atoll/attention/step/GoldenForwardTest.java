package io.atoll.attention.step;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.attention.DemoModel;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.config.RopeParameters;
import io.atoll.model.config.TextConfig;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.weights.TextWeights;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;

/// The worker against the reference implementation's intermediates, states and logits.
class GoldenForwardTest {
    private static final float TOLERANCE = 1e-4f;

    private final JsonNode trace = readTrace();
    private final int[] prompt = ints(trace.get("prompt_ids"));
    private final int[] decoded = ints(trace.get("decoded_ids"));

    @Test
    void promptIntermediatesAgreeWithTheReference() {
        try (TestWorker test = new TestWorker();
                Checkpoint golden = DemoModel.golden("prompt-rows.safetensors")) {
            int[] goldenRows = ints(golden.require("rows"));
            Set<String> compared = new HashSet<>();
            test.open(1, prompt.length, 64);
            test.step(
                    (name, layer, data, rows, cols) -> {
                        assertEquals(prompt.length, rows, name);
                        Tensor expected = golden.require(goldenName(name, layer));
                        compared.add(expected.name());
                        int[] bits =
                                data.asSlice(0, 4L * rows * cols).toArray(ValueLayout.JAVA_INT);
                        for (int i = 0; i < goldenRows.length; i++) {
                            compareRow(expected, i, bits, goldenRows[i] * cols, cols);
                        }
                    },
                    TestWorker.piece(1, prompt, 0, prompt.length));
            Set<String> all = new HashSet<>(golden.names());
            all.remove("rows");
            assertEquals(all, compared);
        }
    }

    @Test
    void decodeIntermediatesAndStatesAgreeWithTheReference() {
        try (TestWorker test = new TestWorker();
                Checkpoint golden = DemoModel.golden("decode.safetensors")) {
            test.open(1, prompt.length, 64);
            int token = test.prefill(1, prompt, 64).token();
            for (int i = 0; i < decoded.length; i++) {
                assertEquals(decoded[i], token, "token " + i);
                int step = i;
                Set<String> compared = new HashSet<>();
                ForwardObserver compare =
                        (name, layer, data, rows, cols) -> {
                            assertEquals(1, rows, name);
                            Tensor expected = golden.require(goldenName(name, layer));
                            compared.add(expected.name());
                            compareRow(
                                    expected,
                                    step,
                                    data.asSlice(0, 4L * cols).toArray(ValueLayout.JAVA_INT),
                                    0,
                                    cols);
                        };
                token =
                        test.step(
                                        compare,
                                        new SequenceRows(
                                                1, prompt.length + i, new int[] {token}, true))
                                .getFirst()
                                .token();
                assertEquals(new HashSet<>(golden.names()), compared);
            }
            compareStates(test);
        }
    }

    @Test
    void lastLogitsOfALongPromptAgreeWithTheReference() {
        compareLastLogits("plain", DemoModel.directory().textWeights());
    }

    @Test
    void yarnLogitsAgreeWithTheReference() {
        TextConfig config = DemoModel.directory().config().text();
        RopeParameters trained = config.rope();
        RopeParameters yarn =
                new RopeParameters(
                        RopeParameters.Type.YARN,
                        trained.theta(),
                        trained.partialRotaryFactor(),
                        trained.mropeSection(),
                        true,
                        4,
                        256,
                        32,
                        1,
                        OptionalDouble.empty());
        compareLastLogits(
                "yarn", new TextWeights(DemoModel.directory().weights(), config.withRope(yarn)));
    }

    /// Prompts of several attention segments.
    private static void compareLastLogits(String name, TextWeights weights) {
        Kernels kernels = KernelLibrary.select(Optional.empty());
        AttentionSettings settings = TestWorker.settings(1024, 1, 0, 1024, 1024);
        try (TestWorker test = new TestWorker(weights, kernels, 2, settings, DemoModel.experts());
                Checkpoint golden = DemoModel.golden("long-prompts.safetensors")) {
            int[] ids = ints(golden.require(name + ".ids"));
            float[] last = new float[2048];
            test.open(1, ids.length, ids.length);
            test.step(
                    (tensor, layer, data, rows, cols) -> {
                        if (tensor.equals("logits")) {
                            assertEquals(ids.length, rows);
                            MemorySegment row = data.asSlice(4L * cols * (rows - 1));
                            MemorySegment.copy(row, ValueLayout.JAVA_FLOAT, 0, last, 0, cols);
                        }
                    },
                    TestWorker.piece(1, ids, 0, ids.length));
            assertClose(name, golden.require(name + ".last_logits").floats(), last);
        }
    }

    private static void compareStates(TestWorker test) {
        try (Checkpoint golden = DemoModel.golden("state_after_decode.safetensors")) {
            Map<String, float[]> states = new TreeMap<>();
            test.worker.showState(
                    1,
                    (name, layer, data, rows, cols) -> {
                        float[] values =
                                data.asSlice(0, 4L * rows * cols).toArray(ValueLayout.JAVA_FLOAT);
                        states.put(
                                goldenName(name, layer),
                                name.equals("conv_state")
                                        ? transposed(values, rows, cols)
                                        : values);
                    });
            assertEquals(golden.names(), states.keySet());
            states.forEach(
                    (name, values) -> assertClose(name, golden.require(name).floats(), values));
        }
    }

    private static String goldenName(String name, int layer) {
        return layer < 0 ? name : "layer." + layer + "." + name;
    }

    /// Compares one row: ids exactly, floats relative to the largest of the whole tensor.
    private static void compareRow(Tensor expected, int row, int[] bits, int offset, int cols) {
        if (expected.name().endsWith("topk_ids")) {
            int[] ids = ints(expected);
            for (int i = 0; i < cols; i++) {
                assertEquals(ids[row * cols + i], bits[offset + i], expected.name());
            }
            return;
        }
        float[] all = expected.floats();
        float limit = TOLERANCE * largest(all);
        for (int i = 0; i < cols; i++) {
            float actual = Float.intBitsToFloat(bits[offset + i]);
            assertEquals(all[row * cols + i], actual, limit, expected.name() + " column " + i);
        }
    }

    private static void assertClose(String name, float[] expected, float[] actual) {
        assertTrue(largest(expected) > 0, name);
        assertArrayEquals(expected, actual, TOLERANCE * largest(expected), name);
    }

    private static float largest(float[] values) {
        float largest = 0;
        for (float value : values) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }

    private static float[] transposed(float[] values, int rows, int cols) {
        float[] result = new float[values.length];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < cols; c++) {
                result[c * rows + r] = values[r * cols + c];
            }
        }
        return result;
    }

    private static int[] ints(Tensor tensor) {
        return tensor.data().toArray(ValueLayout.JAVA_INT_UNALIGNED);
    }

    private static int[] ints(JsonNode array) {
        return StreamSupport.stream(array.spliterator(), false)
                .mapToInt(JsonNode::intValue)
                .toArray();
    }

    private static JsonNode readTrace() {
        try {
            return new JsonMapper().readTree(DemoModel.goldenFile("trace.json").toFile());
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
