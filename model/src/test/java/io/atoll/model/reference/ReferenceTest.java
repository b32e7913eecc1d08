package io.atoll.model.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.kernels.scalar.ScalarKernels;
import io.atoll.model.ModelDirectory;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.config.RopeParameters;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.trace.Recording;
import io.atoll.model.weights.ExpertWeights;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The reference against intermediates and logits of another implementation (transformers, f32), and against itself.
///
/// The golden files are the conformance set's `forward/`, the larger ones cut down: `prompt_rows` has rows 0, 13 and 39 of the prompt,
/// `prompts` and `yarn` the last logits of some prompts. `atoll conformance` compares the whole set.
class ReferenceTest {
    private static final double TOLERANCE = 1e-4; // relative to the largest
    private static final Path DEMO = Path.of(System.getProperty("atoll.root"), "demo-model");

    private static ModelDirectory model;
    private static Reference reference;
    private static JsonNode trace;

    @BeforeAll
    static void open() throws IOException {
        model = ModelDirectory.open(DEMO);
        reference = Reference.open(model, new ScalarKernels());
        trace = new JsonMapper().readTree(Files.readAllBytes(golden("trace.json")));
    }

    @AfterAll
    static void close() {
        reference.close();
        model.close();
    }

    @Test
    void promptRowsAgreeWithTheGoldenFile() {
        Recording recording = new Recording();
        try (Session session = reference.session()) {
            session.feed(ids("prompt_ids"), recording);
        }
        try (Checkpoint rows = Checkpoint.open(golden("prompt_rows.safetensors"))) {
            int[] chosen = ints(rows.require("rows"));
            for (String name : rows.names()) {
                Tensor expected = rows.require(name);
                int cols = (int) expected.dim(expected.rank() - 1);
                if (name.endsWith("topk_ids")) {
                    int[] all = recording.ints(name).orElseThrow();
                    assertArrayEquals(
                            ints(expected),
                            Arrays.stream(chosen)
                                    .flatMap(
                                            row -> Arrays.stream(all, row * cols, (row + 1) * cols))
                                    .toArray(),
                            name);
                } else if (!name.equals("rows")) {
                    float[] all = recording.floats(name).orElseThrow();
                    float[] found = new float[chosen.length * cols];
                    for (int i = 0; i < chosen.length; i++) {
                        System.arraycopy(all, chosen[i] * cols, found, i * cols, cols);
                    }
                    assertClose(name, expected.floats(), found);
                }
            }
        }
    }

    @Test
    void decodeStepsAndStatesAgreeWithTheGoldenFiles() {
        Recording recording = new Recording();
        try (Session session = reference.session();
                Checkpoint decode = Checkpoint.open(golden("decode.safetensors"));
                Checkpoint states = Checkpoint.open(golden("state_after_decode.safetensors"))) {
            float[][] logits = session.feed(ids("prompt_ids"), ForwardObserver.NONE);
            for (int token : ids("decoded_ids")) {
                assertEquals(token, largest(logits[logits.length - 1]), "greedy token");
                logits = session.feed(new int[] {token}, recording);
            }
            for (String name : decode.names()) {
                Tensor expected = decode.require(name);
                if (name.endsWith("topk_ids")) {
                    assertArrayEquals(ints(expected), recording.ints(name).orElseThrow(), name);
                } else {
                    assertClose(name, expected.floats(), recording.floats(name).orElseThrow());
                }
            }
            for (int layer = 0; layer < reference.config().layerCount(); layer++) {
                String prefix = "layer." + layer + ".";
                switch (session.state(layer)) {
                    case LayerState.Delta delta -> {
                        assertClose(
                                prefix + "recurrent_state",
                                states.require(prefix + "recurrent_state").floats(),
                                delta.recurrent().toArray(ValueLayout.JAVA_FLOAT));
                        Tensor conv = states.require(prefix + "conv_state"); // [channels, taps]
                        float[] ours = delta.conv().toArray(ValueLayout.JAVA_FLOAT);
                        assertClose(
                                prefix + "conv_state",
                                conv.floats(),
                                transposed(ours, (int) conv.dim(1), (int) conv.dim(0)));
                    }
                    case LayerState.KeyValues cache -> {
                        assertClose(
                                prefix + "k", states.require(prefix + "k").floats(), cache.keys());
                        assertClose(
                                prefix + "v",
                                states.require(prefix + "v").floats(),
                                cache.values());
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 3, 4, 8, 9}) // 4, 64, 65, 200 and 333 tokens
    void lastLogitsOfOtherPromptsAgreeWithTheGoldenFile(int prompt) {
        try (Session session = reference.session();
                Checkpoint prompts = Checkpoint.open(golden("prompts.safetensors"))) {
            int[] ids = ints(prompts.require("prompt." + prompt + ".ids"));
            float[][] logits = session.feed(ids, ForwardObserver.NONE);
            assertClose(
                    "prompt " + prompt,
                    prompts.require("prompt." + prompt + ".last_logits").floats(),
                    logits[ids.length - 1]);
        }
    }

    @Test
    void yarnStretchesTheAnglesAsTheGoldenFileDoes(@TempDir Path directory) throws IOException {
        JsonNode yarn = new JsonMapper().readTree(Files.readAllBytes(golden("yarn.json")));
        RewrittenModel.write(
                DEMO,
                directory,
                config -> {
                    ((ObjectNode) config.get("text_config"))
                            .set("rope_parameters", yarn.get("rope_parameters"));
                    return config;
                },
                _ -> List.of());
        RopeParameters rope;
        try (ModelDirectory configured = ModelDirectory.open(directory)) {
            rope = configured.config().text().rope();
        }
        try (Reference stretched = reference.withRope(rope);
                Session session = stretched.session();
                Checkpoint golden = Checkpoint.open(golden("yarn.safetensors"))) {
            int[] ids = ints(golden.require("prompt.0.ids"));
            float[][] logits = session.feed(ids, ForwardObserver.NONE);
            assertClose(
                    "yarn",
                    golden.require("prompt.0.last_logits").floats(),
                    logits[ids.length - 1]);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 7, 39})
    void cuttingThePromptDoesNotChangeABit(int rows) {
        int[] prompt = ids("prompt_ids");
        Recording whole = new Recording();
        Recording cut = new Recording();
        try (Session session = reference.session()) {
            session.feed(prompt, whole);
        }
        try (Session session = reference.session()) {
            for (int from = 0; from < prompt.length; from += rows) {
                int to = Math.min(prompt.length, from + rows);
                session.feed(Arrays.copyOfRange(prompt, from, to), cut);
            }
            assertEquals(prompt.length, session.tokens());
        }
        assertEquals(whole.names(), cut.names());
        for (String name : whole.names()) {
            assertArrayEquals(whole.ints(name).orElseThrow(), cut.ints(name).orElseThrow(), name);
        }
    }

    @Test
    void textOnlyExportWithAnExpertPerTensorGivesTheSameBits(@TempDir Path directory)
            throws IOException {
        RewrittenModel.writeTextOnly(DEMO, directory);
        assertArrayEquals(
                promptLogits(DEMO, ForwardObserver.NONE),
                promptLogits(directory, ForwardObserver.NONE));
    }

    @Test
    void routingToEveryExpertSumsThemAll(@TempDir Path directory) throws IOException {
        int experts = reference.config().experts();
        RewrittenModel.write(
                DEMO, directory, text(t -> t.put("num_experts_per_tok", experts)), List::of);
        Recording recording = new Recording();
        promptLogits(directory, recording);

        int layer = reference.config().layerCount() - 1;
        String prefix = "layer." + layer + ".";
        int hidden = reference.config().hiddenSize();
        int[] chosen = recording.ints(prefix + "topk_ids").orElseThrow();
        float[] weights = recording.floats(prefix + "topk_weights").orElseThrow();
        float[] logits = recording.floats(prefix + "router_logits").orElseThrow();
        float[] inputs = recording.floats(prefix + "moe_input").orElseThrow();
        float[] outputs = recording.floats(prefix + "routed_output").orElseThrow();
        for (int row : new int[] {0, 17}) {
            int[] rowIds = Arrays.copyOfRange(chosen, row * experts, (row + 1) * experts);
            assertArrayEquals(
                    IntStream.range(0, experts).toArray(),
                    Arrays.stream(rowIds).sorted().toArray());
            double[] expected = new double[hidden];
            double partition = 0;
            for (int e = 0; e < experts; e++) {
                partition += Math.exp(logits[row * experts + e]);
            }
            for (int i = 0; i < experts; i++) {
                double weight = Math.exp(logits[row * experts + rowIds[i]]) / partition;
                assertEquals(weight, weights[row * experts + i], 1e-6);
                float[] x = Arrays.copyOfRange(inputs, row * hidden, (row + 1) * hidden);
                addExpert(expected, weight, model.textWeights().expert(layer, rowIds[i]), x);
            }
            float[] plain = new float[hidden];
            for (int c = 0; c < hidden; c++) {
                plain[c] = (float) expected[c];
            }
            assertClose(
                    "row " + row,
                    plain,
                    Arrays.copyOfRange(outputs, row * hidden, (row + 1) * hidden));
        }
    }

    @Test
    void negativeRouterLogitsStillRouteToTheLargest(@TempDir Path directory) throws IOException {
        // Router rows are multiples of the first token's own vector, so that its logits are -1,
        // -1.25, -1.5, ...
        int experts = reference.config().experts();
        int hidden = reference.config().hiddenSize();
        Recording usual = new Recording();
        promptLogits(DEMO, usual);
        float[] x = usual.floats("layer.0.moe_input").orElseThrow();
        double square = 0;
        for (int c = 0; c < hidden; c++) {
            square += (double) x[c] * x[c];
        }
        float[] router = new float[experts * hidden];
        for (int e = 0; e < experts; e++) {
            for (int c = 0; c < hidden; c++) {
                router[e * hidden + c] = (float) (-(1 + 0.25 * e) * x[c] / square);
            }
        }
        RewrittenModel.write(
                DEMO,
                directory,
                UnaryOperator.identity(),
                tensor ->
                        tensor.name().endsWith("layers.0.mlp.gate.weight")
                                ? List.of(floats(tensor, router))
                                : List.of(tensor));
        Recording recording = new Recording();
        promptLogits(directory, recording);

        int k = reference.config().expertsPerToken();
        float[] logits = recording.floats("layer.0.router_logits").orElseThrow();
        for (int e = 0; e < experts; e++) {
            assertEquals(-(1 + 0.25 * e), logits[e], 1e-5);
        }
        assertArrayEquals(
                IntStream.range(0, k).toArray(),
                Arrays.copyOf(recording.ints("layer.0.topk_ids").orElseThrow(), k));
        double partition = 0;
        for (int i = 0; i < k; i++) {
            partition += Math.exp(-0.25 * i);
        }
        float[] weights = recording.floats("layer.0.topk_weights").orElseThrow();
        for (int i = 0; i < k; i++) {
            assertEquals(Math.exp(-0.25 * i) / partition, weights[i], 1e-6);
        }
    }

    @Test
    void tokensOutsideTheVocabularyAreRefused() {
        try (Session session = reference.session()) {
            int[] outside = {reference.config().vocabSize()};
            assertThrows(
                    IndexOutOfBoundsException.class,
                    () -> session.feed(outside, ForwardObserver.NONE));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> session.feed(new int[0], ForwardObserver.NONE));
        }
    }

    private static float[][] promptLogits(Path directory, ForwardObserver observer) {
        try (ModelDirectory opened = ModelDirectory.open(directory);
                Reference engine = Reference.open(opened, new ScalarKernels());
                Session session = engine.session()) {
            return session.feed(ids("prompt_ids"), observer);
        }
    }

    /// `sum += weight * down(silu(gate x) * (up x))` in double precision.
    private static void addExpert(double[] sum, double weight, ExpertWeights expert, float[] x) {
        int inner = expert.gate().rows();
        float[] gate = expert.gate().floats();
        float[] up = expert.up().floats();
        float[] down = expert.down().floats();
        double[] activated = new double[inner];
        for (int i = 0; i < inner; i++) {
            double g = 0;
            double u = 0;
            for (int c = 0; c < x.length; c++) {
                g += (double) gate[i * x.length + c] * x[c];
                u += (double) up[i * x.length + c] * x[c];
            }
            activated[i] = g / (1 + Math.exp(-g)) * u;
        }
        for (int c = 0; c < sum.length; c++) {
            double y = 0;
            for (int i = 0; i < inner; i++) {
                y += down[c * inner + i] * activated[i];
            }
            sum[c] += weight * y;
        }
    }

    @Test
    void predictionModuleAgreesWithTheGoldenFileHoweverThePromptIsCut() {
        try (Checkpoint tensors = Checkpoint.open(golden("mtp_prompt.safetensors"))) {
            int[] prompt = ints(tensors.require("ids"));
            Recording whole = new Recording();
            try (Session session = reference.draftingSession()) {
                session.feed(prompt, whole);
            }
            float[] hidden = whole.floats("mtp_hidden").orElseThrow();
            assertClose("mtp_hidden", tensors.require("mtp_hidden").floats(), hidden);
            float[] last = tensors.require("last_logits").floats();
            float[] logits = whole.floats("mtp_logits").orElseThrow();
            assertClose(
                    "last_logits",
                    last,
                    Arrays.copyOfRange(logits, logits.length - last.length, logits.length));

            Recording pieces = new Recording();
            try (Session session = reference.draftingSession()) {
                for (int begin = 0; begin < prompt.length; begin += 5) {
                    int end = Math.min(prompt.length, begin + 5);
                    session.feed(Arrays.copyOfRange(prompt, begin, end), pieces);
                    session.draft(prompt[0], 2, 2036); // leaves nothing behind
                }
            }
            assertArrayEquals(hidden, pieces.floats("mtp_hidden").orElseThrow());
            assertArrayEquals(logits, pieces.floats("mtp_logits").orElseThrow());
        }
    }

    @Test
    void draftsAreThoseOfTheGoldenFile() throws IOException {
        JsonNode generation =
                new JsonMapper().readTree(Files.readAllBytes(golden("mtp_generation.json")));
        int[] answer = integers(generation.get("generated_ids"));
        int count = generation.get("drafts").intValue();
        try (Session session = reference.draftingSession()) {
            int[] next = integers(generation.get("prompt_ids"));
            for (int i = 0; i < generation.get("steps").size(); i++) {
                session.feed(next, ForwardObserver.NONE);
                assertArrayEquals(
                        integers(generation.get("steps").get(i).get("drafts")),
                        session.draft(answer[i], count, 2036),
                        "step " + i);
                next = new int[] {answer[i]};
            }
        }
    }

    private static void assertClose(String name, float[] expected, float[] found) {
        assertEquals(expected.length, found.length, name);
        double largest = 0;
        for (float value : expected) {
            largest = Math.max(largest, Math.abs(value));
        }
        for (int i = 0; i < expected.length; i++) {
            double error = Math.abs((double) expected[i] - found[i]) / largest;
            int at = i;
            assertTrue(
                    error <= TOLERANCE,
                    () -> name + "[" + at + "]: " + expected[at] + " and " + found[at]);
        }
    }

    private static UnaryOperator<ObjectNode> text(Consumer<ObjectNode> change) {
        return config -> {
            change.accept((ObjectNode) config.get("text_config"));
            return config;
        };
    }

    private static Tensor floats(Tensor like, float[] values) {
        byte[] bytes = new byte[4 * values.length];
        MemorySegment data = MemorySegment.ofArray(bytes);
        for (int i = 0; i < values.length; i++) {
            data.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i, values[i]);
        }
        return new Tensor(like.name(), DType.F32, like.shape(), data, like.file());
    }

    private static float[] transposed(float[] values, int rows, int cols) {
        float[] result = new float[values.length];
        for (int row = 0; row < rows; row++) {
            for (int col = 0; col < cols; col++) {
                result[col * rows + row] = values[row * cols + col];
            }
        }
        return result;
    }

    private static int largest(float[] values) {
        int best = 0;
        for (int i = 1; i < values.length; i++) {
            if (values[i] > values[best]) {
                best = i;
            }
        }
        return best;
    }

    private static int[] ints(Tensor tensor) {
        assertEquals(DType.I32, tensor.dtype());
        int[] values = new int[(int) tensor.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = tensor.data().get(ValueLayout.JAVA_INT_UNALIGNED, 4L * i);
        }
        return values;
    }

    private static int[] ids(String field) {
        return integers(trace.get(field));
    }

    private static int[] integers(JsonNode list) {
        return IntStream.range(0, list.size()).map(i -> list.get(i).intValue()).toArray();
    }

    private static Path golden(String name) {
        try {
            return Path.of(ReferenceTest.class.getResource(name).toURI());
        } catch (URISyntaxException e) {
            throw new UncheckedIOException(new IOException(e));
        }
    }
}
