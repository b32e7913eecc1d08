package io.atoll.cli.conformance;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.kernels.KvFormat;
import io.atoll.model.config.RopeParameters;
import io.atoll.model.config.TextConfig;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.trace.Recording;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// `forward/`: every intermediate of a prompt and of the decode after it, the states between, and logits of other prompts.
///
/// Beyond the files: a prompt cut into pieces must give the bits of the whole one.
final class ForwardSuite implements Suite {
    private static final String FORWARD = "forward";
    private static final double RELATIVE = 1e-4; // of a tensor's largest magnitude
    private static final int[] CUTS = {1, 7, 16};
    private static final int CHUNK = 64;
    private static final int LONGEST_CUT_PROMPT =
            256; // longer ones are fed whole only, to save time

    @Override
    public String name() {
        return FORWARD;
    }

    /// F32: rounding keys and values once would show in a tolerance of 1e-4.
    @Override
    public KvFormat kvFormat() {
        return KvFormat.F32;
    }

    @Override
    public void run(FixtureSet fixtures, Engine.Opener engines, Checks checks) {
        checks.note("keys and values are kept in f32");
        Path model = fixtures.model();
        try (Engine engine = engines.open(model)) {
            GoldenJson trace = GoldenJson.read(fixtures.file(FORWARD, "trace.json"));
            checks.equal(
                    "layer_types", trace.get("layer_types").texts(), layerTypes(engine.config()));
            promptAndDecode(fixtures, engine, trace, checks);
            cuts(engine, trace.get("prompt_ids").integers(), checks);
            prompts(fixtures, engine, "prompts", checks);
        }
        yarn(fixtures, model, engines, checks);
    }

    private static List<String> layerTypes(TextConfig config) {
        return config.layers().stream()
                .map(
                        type ->
                                switch (type) {
                                    case LINEAR_ATTENTION -> "linear_attention";
                                    case FULL_ATTENTION -> "full_attention";
                                })
                .toList();
    }

    // The prompt in one call, then the decoded tokens one by one, looking at the states in between.

    private static void promptAndDecode(
            FixtureSet fixtures, Engine engine, GoldenJson trace, Checks checks) {
        int[] prompt = trace.get("prompt_ids").integers();
        int[] decoded = trace.get("decoded_ids").integers();
        try (Engine.Sequence sequence = engine.open(prompt.length + decoded.length)) {
            Recording recording = new Recording();
            float[][] logits = sequence.feed(prompt, recording);
            intermediates(fixtures, engine, "prompt", recording, checks);
            states(fixtures, engine, "state_after_prompt", sequence, checks);

            recording = new Recording();
            int[] chosen = new int[decoded.length];
            for (int i = 0; i < decoded.length; i++) {
                float[] last = logits[logits.length - 1];
                chosen[i] = Logits.largest(last, last.length);
                logits = sequence.feed(new int[] {decoded[i]}, recording);
                if (i == 0) {
                    states(fixtures, engine, "state_after_first_decode", sequence, checks);
                }
            }
            checks.ids("decoded_ids", decoded, chosen);
            intermediates(fixtures, engine, "decode", recording, checks);
            states(fixtures, engine, "state_after_decode", sequence, checks);
        }
    }

    private static void intermediates(
            FixtureSet fixtures, Engine engine, String part, Recording found, Checks checks) {
        try (GoldenTensors golden =
                GoldenTensors.open(fixtures.file(FORWARD, part + ".safetensors"))) {
            for (String name : golden.names()) {
                // The order of a row's experts depends on its router logits: these two are compared
                // together below.
                if (name.endsWith(".topk_ids") || name.endsWith(".topk_weights")) {
                    continue;
                }
                Optional<float[]> values = found.floats(name);
                if (values.isEmpty()) {
                    checks.fail(part + " " + name, "the engine shows no such tensor");
                    continue;
                }
                checks.closeToLargest(
                        part + " " + name, golden.floats(name), values.get(), RELATIVE);
            }
            for (int layer = 0; layer < engine.config().layerCount(); layer++) {
                routes(golden, part, "layer." + layer + ".", found, checks);
            }
        }
    }

    /// The chosen experts of each row and their weights, wherever the router logits leave no doubt.
    private static void routes(
            GoldenTensors golden, String part, String layer, Recording found, Checks checks) {
        Optional<float[]> foundLogits = found.floats(layer + "router_logits");
        Optional<float[]> foundWeights = found.floats(layer + "topk_weights");
        Optional<int[]> foundIds = found.ints(layer + "topk_ids");
        String where = part + " " + layer;
        if (foundLogits.isEmpty() || foundWeights.isEmpty() || foundIds.isEmpty()) {
            checks.fail(where + "topk_ids", "the engine shows no routes");
            return;
        }
        float[] logits = golden.floats(layer + "router_logits");
        float[] weights = golden.floats(layer + "topk_weights");
        int[] ids = golden.ints(layer + "topk_ids");
        int experts = golden.cols(layer + "router_logits");
        int k = golden.cols(layer + "topk_ids");
        if (foundLogits.get().length != logits.length
                || foundWeights.get().length != weights.length
                || foundIds.get().length != ids.length) {
            checks.fail(
                    where + "topk_ids",
                    "expected " + ids.length + " routes, found " + foundIds.get().length);
            return;
        }
        int[] comparableIds = foundIds.get().clone();
        float[] comparableWeights = foundWeights.get().clone();
        for (int row = 0; row < ids.length / k; row++) {
            float[] expected = row(logits, row, experts);
            double off = largestDifference(expected, row(foundLogits.get(), row, experts));
            int[] order = Logits.top(expected, k + 1);
            for (int i = 0; i < k; i++) {
                boolean aboveClear = i == 0 || gap(expected, order, i - 1) > 2 * off;
                boolean belowClear = i + 1 >= order.length || gap(expected, order, i) > 2 * off;
                if (!aboveClear || !belowClear) {
                    comparableIds[row * k + i] = ids[row * k + i];
                    comparableWeights[row * k + i] = weights[row * k + i];
                }
            }
        }
        checks.ids(where + "topk_ids", ids, comparableIds);
        checks.closeToLargest(where + "topk_weights", weights, comparableWeights, RELATIVE);
    }

    private static double gap(float[] values, int[] order, int i) {
        return (double) values[order[i]] - values[order[i + 1]];
    }

    private static double largestDifference(float[] a, float[] b) {
        double largest = 0;
        for (int i = 0; i < a.length; i++) {
            largest = Math.max(largest, Math.abs((double) a[i] - b[i]));
        }
        return largest;
    }

    private static float[] row(float[] values, int row, int cols) {
        return Arrays.copyOfRange(values, row * cols, (row + 1) * cols);
    }

    private static void states(
            FixtureSet fixtures,
            Engine engine,
            String part,
            Engine.Sequence sequence,
            Checks checks) {
        try (GoldenTensors golden =
                GoldenTensors.open(fixtures.file(FORWARD, part + ".safetensors"))) {
            for (int i = 0; i < engine.config().layerCount(); i++) {
                String layer = "layer." + i + ".";
                String where = part + " " + layer;
                switch (sequence.state(i)) {
                    case Engine.State.Recurrent(float[] conv, float[] recurrent) -> {
                        String name = layer + "conv_state"; // [channels, taps]
                        float[] ours = transposed(conv, golden.cols(name));
                        checks.closeToLargest(
                                where + "conv_state", golden.floats(name), ours, RELATIVE);
                        checks.closeToLargest(
                                where + "recurrent_state",
                                golden.floats(layer + "recurrent_state"),
                                recurrent,
                                RELATIVE);
                    }
                    case Engine.State.KeyValues(float[] keys, float[] values) -> {
                        checks.closeToLargest(
                                where + "k", golden.floats(layer + "k"), keys, RELATIVE);
                        checks.closeToLargest(
                                where + "v", golden.floats(layer + "v"), values, RELATIVE);
                    }
                }
            }
        }
    }

    private static float[] transposed(float[] values, int rows) {
        int cols = values.length / rows;
        float[] result = new float[values.length];
        for (int row = 0; row < rows; row++) {
            for (int col = 0; col < cols; col++) {
                result[col * rows + row] = values[row * cols + col];
            }
        }
        return result;
    }

    private static void cuts(Engine engine, int[] prompt, Checks checks) {
        Recording whole = new Recording();
        try (Engine.Sequence sequence = engine.open(prompt.length)) {
            sequence.feed(prompt, whole);
        }
        for (int rows : CUTS) {
            Recording pieces = new Recording();
            try (Engine.Sequence sequence = engine.open(prompt.length)) {
                feedInPieces(sequence, prompt, rows, pieces);
            }
            for (String name : whole.names()) {
                checks.bits(
                        "prompt in pieces of " + rows + " " + name,
                        whole.floats(name).orElseThrow(),
                        pieces.floats(name).orElse(new float[0]));
            }
        }
    }

    private static float[] feedInPieces(
            Engine.Sequence sequence, int[] ids, int rows, ForwardObserver observer) {
        float[][] logits = {};
        for (int from = 0; from < ids.length; from += rows) {
            int to = Math.min(ids.length, from + rows);
            logits = sequence.feed(Arrays.copyOfRange(ids, from, to), observer);
        }
        return logits[logits.length - 1];
    }

    // Other prompts: the last row's logits, and every row's most likely tokens.

    private static void prompts(FixtureSet fixtures, Engine engine, String part, Checks checks) {
        Path listing = fixtures.file(FORWARD, part + ".json");
        try (GoldenTensors golden =
                GoldenTensors.open(fixtures.file(FORWARD, part + ".safetensors"))) {
            for (GoldenJson entry : GoldenJson.read(listing).get("prompts").items()) {
                int number = entry.get("prompt").integer();
                String prefix = "prompt." + number + ".";
                String where = part + " " + number + " ";
                int[] ids = golden.ints(prefix + "ids");
                checks.equal(where + "tokens", entry.get("tokens").integer(), ids.length);
                float[][] logits;
                try (Engine.Sequence sequence = engine.open(ids.length)) {
                    logits = sequence.feed(ids, ForwardObserver.NONE);
                }
                float[] last = logits[logits.length - 1];
                checks.closeToLargest(
                        where + "last_logits",
                        golden.floats(prefix + "last_logits"),
                        last,
                        RELATIVE);
                mostLikely(golden, prefix, where, logits, checks);
                if (ids.length > CHUNK && ids.length <= LONGEST_CUT_PROMPT) {
                    try (Engine.Sequence sequence = engine.open(ids.length)) {
                        checks.bits(
                                where + "in pieces of " + CHUNK,
                                last,
                                feedInPieces(sequence, ids, CHUNK, ForwardObserver.NONE));
                    }
                }
            }
        }
    }

    /// Log-probabilities of the expected tokens, and their ranks where neighbours are further apart than the tolerance.
    private static void mostLikely(
            GoldenTensors golden, String prefix, String where, float[][] logits, Checks checks) {
        new TopTokens(
                        golden.cols(prefix + "top10_ids"),
                        golden.ints(prefix + "top10_ids"),
                        golden.floats(prefix + "top10_logprobs"))
                .compare(where, logits, checks);
    }

    // The same with YaRN's rope parameters in the place of the configuration's.

    private static void yarn(
            FixtureSet fixtures, Path model, Engine.Opener engines, Checks checks) {
        GoldenJson yarn = GoldenJson.read(fixtures.file(FORWARD, "yarn.json"));
        Path stretched = withRope(model, yarn.get("rope_parameters"));
        try (Engine engine = engines.open(stretched)) {
            TextConfig config = engine.config();
            RopeParameters rope = config.rope();
            checks.closeToLargest(
                    "yarn attention_factor",
                    new float[] {yarn.get("attention_factor").number()},
                    new float[] {rope.attentionFactor()},
                    1e-6);
            float[] frequencies = yarn.get("inverse_frequencies").numbers();
            float[] ours = rope.inverseFrequencies(config.rotaryDim());
            checks.equal("yarn inverse_frequencies", frequencies.length, ours.length);
            for (int i = 0; i < Math.min(frequencies.length, ours.length); i++) {
                checks.closeToLargest(
                        "yarn inverse_frequencies[" + i + "]",
                        new float[] {frequencies[i]},
                        new float[] {ours[i]},
                        1e-6);
            }
            prompts(fixtures, engine, "yarn", checks);
        } finally {
            delete(stretched);
        }
    }

    /// A directory that is the model with other rope parameters: the weights are linked, `config.json` is written.
    private static Path withRope(Path model, GoldenJson rope) {
        try {
            Path directory = Files.createTempDirectory("atoll-conformance-");
            try (Stream<Path> files = Files.list(model)) {
                for (Path file : files.toList()) {
                    if (!file.endsWith("config.json")) {
                        Files.createSymbolicLink(
                                directory.resolve(file.getFileName()), file.toRealPath());
                    }
                }
            }
            ObjectMapper mapper = new ObjectMapper();
            ObjectNode config =
                    (ObjectNode) mapper.readTree(Files.readAllBytes(model.resolve("config.json")));
            ObjectNode text =
                    config.get("text_config") instanceof ObjectNode nested ? nested : config;
            text.set("rope_parameters", rope.node());
            mapper.writeValue(directory.resolve("config.json").toFile(), config);
            return directory;
        } catch (IOException e) {
            throw new EngineException("cannot prepare a model with other rope parameters: " + e, e);
        }
    }

    private static void delete(Path directory) {
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
            Files.delete(directory);
        } catch (IOException e) {
            throw new EngineException("cannot remove " + directory + ": " + e, e);
        }
    }
}
