package io.atoll.cli.conformance;

import io.atoll.kernels.KvFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.config.ModelFileException;
import io.atoll.model.gguf.GgufFile;
import io.atoll.model.gguf.GgufModel;
import io.atoll.model.gguf.GgufProjector;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.model.trace.ForwardObserver;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// `gguf/`: GGUF files of the demo model, run as they are, against its weights widened to f32 in another implementation, and
/// against llama.cpp. An engine that rounds rows to int8 is held to what llama.cpp is held to. Files of the set that are not there are named and left out.
final class GgufSuite implements Suite {
    private static final String GGUF = "gguf";
    private static final double LOGITS = 1e-4;

    /// Divergence in nats that is allowed where rows are rounded to int8: against llama.cpp, which does that, and of an engine
    /// that does.
    private static final double DIVERGENCE = 0.05;

    /// Gap of two logits (or log-probabilities) above which that rounding cannot exchange them.
    private static final double ROUNDING_GAP = 0.5;

    private static final double EXACT_GAP = 0.02;

    @Override
    public String name() {
        return GGUF;
    }

    /// F32: rounding keys and values once would show in a tolerance of 1e-4.
    @Override
    public KvFormat kvFormat() {
        return KvFormat.F32;
    }

    @Override
    public void run(FixtureSet fixtures, Engine.Opener engines, Checks checks) {
        checks.note("keys and values are kept in f32");
        GoldenJson oracle = GoldenJson.read(fixtures.file(GGUF, "oracle.json"));
        try (GoldenTensors logits = GoldenTensors.open(fixtures.file(GGUF, "oracle.safetensors"))) {
            for (GoldenJson file : oracle.get("files").items()) {
                String name = file.get("file").text();
                Optional<Path> path = fixtures.findShared(GGUF + "/" + name);
                if (path.isPresent()) {
                    model(path.get(), file, logits, engines, checks);
                } else {
                    checks.note(name + " is not there: its requests are not compared");
                }
            }
        }
        fixtures.findShared(GGUF + "/files.json")
                .ifPresent(listing -> files(fixtures, GoldenJson.read(listing), checks));
        if (checks.count() == 0) {
            checks.fail(GGUF, "none of the set's GGUF files is there");
        }
    }

    // Each file: what its bytes are, and the projector's weights.

    private static void files(FixtureSet fixtures, GoldenJson listing, Checks checks) {
        for (GoldenJson entry : listing.get("files").items()) {
            String name = entry.get("file").text();
            Optional<Path> path = fixtures.findShared(GGUF + "/" + name);
            if (path.isEmpty()) {
                continue; // said above
            }
            checks.equal(
                    name + " sha256", entry.get("sha256").text(), FixtureSet.sha256(path.get()));
            try (GgufFile file = GgufFile.open(path.get())) {
                checks.equal(
                        name + " tensors", entry.get("tensors").integer(), file.tensors().size());
                if (GgufModel.isProjector(file)) {
                    projector(path.get(), fixtures.model(), checks);
                }
            } catch (ModelFileException e) {
                checks.fail(name, e.getMessage());
            }
        }
    }

    private static void projector(Path path, Path demo, Checks checks) {
        try (GgufProjector projector = GgufProjector.open(path);
                ModelDirectory model = ModelDirectory.open(demo)) {
            checks.equal(
                    "projector sizes", model.config().vision(), Optional.of(projector.config()));
            Checkpoint release = model.checkpoint();
            for (String name : release.names()) {
                if (TensorNames.isVision(name)) {
                    Tensor expected = release.require(name);
                    checks.bits(
                            "projector " + name,
                            expected.floats(),
                            projector.tensor(name, expected.shape()).floats());
                }
            }
        }
    }

    // A model: every request of the oracle.

    private static void model(
            Path path,
            GoldenJson file,
            GoldenTensors logits,
            Engine.Opener engines,
            Checks checks) {
        String name = file.get("file").text();
        String golden = name.replaceFirst("\\.gguf$", "") + ".dequantised_last_logits";
        float[] all = logits.floats(golden);
        int vocabulary = logits.cols(golden);
        int emitted;
        try (ModelDirectory model = ModelDirectory.open(path);
                Tokenizer tokenizer = model.tokenizer()) {
            emitted = Math.min(tokenizer.size(), vocabulary);
        }
        try (Engine engine = engines.open(path)) {
            List<GoldenJson> requests = file.get("prompts").items();
            for (int i = 0; i < requests.size(); i++) {
                GoldenJson request = requests.get(i);
                String where = name + " request " + request.get("request").integer() + " ";
                float[] expected = Arrays.copyOfRange(all, i * vocabulary, (i + 1) * vocabulary);
                request(request, where, expected, emitted, engine, checks);
            }
        }
    }

    private static void request(
            GoldenJson request,
            String where,
            float[] expectedLogits,
            int emitted,
            Engine engine,
            Checks checks) {
        int[] prompt = request.get("prompt_ids").integers();
        GoldenJson dequantised = request.get("dequantised");
        GoldenJson llamaCpp = request.get("llama_cpp");
        int[] expectedIds = dequantised.get("generated_ids").integers();
        int[] llamaCppIds = llamaCpp.get("generated_ids").integers();
        int[] found = new int[Math.max(expectedIds.length, llamaCppIds.length)];
        float[] first;
        try (Engine.Sequence sequence = engine.open(prompt.length + found.length)) {
            float[][] logits = sequence.feed(prompt, ForwardObserver.NONE);
            first = logits[logits.length - 1];
            for (int n = 0; n < found.length; n++) {
                float[] last = logits[logits.length - 1];
                found[n] = Logits.largest(last, emitted);
                if (n + 1 < found.length) {
                    logits = sequence.feed(new int[] {found[n]}, ForwardObserver.NONE);
                }
            }
        }
        TopTokens top = TopTokens.of(dequantised);
        if (engine.isExact()) {
            checks.closeToLargest(where + "dequantised_last_logits", expectedLogits, first, LOGITS);
            top.compare(where + "dequantised ", new float[][] {first}, checks);
            answer(where + "dequantised ", dequantised, EXACT_GAP, expectedIds, found, checks);
        } else {
            rounded(where + "dequantised ", top, first, found[0], checks);
            top.compareIds(where + "dequantised ", first, ROUNDING_GAP, checks);
            answer(where + "dequantised ", dequantised, ROUNDING_GAP, expectedIds, found, checks);
        }
        rounded(where + "llama_cpp ", TopTokens.of(llamaCpp), first, found[0], checks);
        answer(where + "llama_cpp ", llamaCpp, ROUNDING_GAP, llamaCppIds, found, checks);
    }

    /// What holds between numbers of which one side, or each in its own way, rounds rows to int8.
    private static void rounded(
            String where, TopTokens expected, float[] logits, int best, Checks checks) {
        checks.close(
                where + "divergence",
                new float[1],
                new float[] {(float) expected.divergence(logits)},
                DIVERGENCE);
        if (expected.gap() > ROUNDING_GAP) {
            checks.equal(where + "best token", expected.best(), best);
        }
    }

    /// Ids of an answer whose best two logits were always further apart than `gap`.
    private static void answer(
            String where, GoldenJson side, double gap, int[] expected, int[] found, Checks checks) {
        if (side.get("min_gap").number() > gap) {
            checks.ids(where + "generated_ids", expected, Arrays.copyOf(found, expected.length));
        }
    }
}
