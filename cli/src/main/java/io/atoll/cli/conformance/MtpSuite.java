package io.atoll.cli.conformance;

import io.atoll.kernels.KvFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.trace.Recording;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// `mtp/`: the prediction module over known prompts, and its drafts along greedy answers with what of them a verification would
/// accept.
final class MtpSuite implements Suite {
    private static final String MTP = "mtp";
    private static final double RELATIVE = 1e-4; // of a tensor's largest magnitude

    /// Gap between the two best logits below which either may win, as in `generate/`.
    private static final double NEAR_TIE = 0.02;

    @Override
    public String name() {
        return MTP;
    }

    /// F32: rounding keys and values once would show in a tolerance of 1e-4.
    @Override
    public KvFormat kvFormat() {
        return KvFormat.F32;
    }

    @Override
    public void run(FixtureSet fixtures, Engine.Opener engines, Checks checks) {
        GoldenJson golden = GoldenJson.read(fixtures.file(MTP, "mtp.json"));
        Path path = fixtures.model();
        int vocabulary;
        try (ModelDirectory model = ModelDirectory.open(path);
                Tokenizer tokenizer = model.tokenizer()) {
            vocabulary = Math.min(tokenizer.size(), model.config().text().vocabSize());
        }
        try (Engine engine = engines.open(path)) {
            if (!engine.predicts()) {
                checks.fail("module", "the model has no multi-token prediction module: " + path);
                return;
            }
            try (GoldenTensors tensors =
                    GoldenTensors.open(fixtures.file(MTP, "teacher_forced.safetensors"))) {
                for (GoldenJson prompt : golden.get("teacher_forced").items()) {
                    teacherForced(tensors, prompt.get("prompt").integer(), engine, checks);
                }
            }
            int count = golden.get("drafts").integer();
            List<Generation> generations = new ArrayList<>();
            for (GoldenJson generation : golden.get("generations").items()) {
                generations.add(drafts(generation, count, vocabulary, engine, checks));
            }
            acceptedUpTo(golden, count, generations, checks);
        }
    }

    // Known tokens: hidden states and logits.

    private static void teacherForced(
            GoldenTensors golden, int index, Engine engine, Checks checks) {
        String prompt = "prompt." + index + ".";
        String where = "prompt " + index + " ";
        int[] ids = golden.ints(prompt + "ids");
        Recording found = new Recording();
        try (Engine.Sequence sequence = engine.open(ids.length)) {
            sequence.feed(ids, found);
        }
        float[] hidden = shown(found, "mtp_hidden");
        float[] logits = shown(found, "mtp_logits");
        checks.closeToLargest(
                where + "target_hidden",
                golden.floats(prompt + "target_hidden"),
                shown(found, "final_norm"),
                RELATIVE);
        checks.closeToLargest(
                where + "mtp_hidden", golden.floats(prompt + "mtp_hidden"), hidden, RELATIVE);
        float[] last = golden.floats(prompt + "last_logits");
        checks.closeToLargest(
                where + "last_logits",
                last,
                Arrays.copyOfRange(logits, Math.max(0, logits.length - last.length), logits.length),
                RELATIVE);
        int[] topIds = golden.ints(prompt + "top10_ids");
        int k = golden.cols(prompt + "top10_ids");
        new TopTokens(k, topIds, golden.floats(prompt + "top10_logprobs"))
                .compare(where, rows(logits, golden.cols(prompt + "last_logits")), checks);
    }

    private static float[] shown(Recording found, String name) {
        return found.floats(name)
                .orElseThrow(() -> new EngineException("the engine shows no " + name));
    }

    private static float[][] rows(float[] matrix, int cols) {
        float[][] rows = new float[matrix.length / cols][];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = Arrays.copyOfRange(matrix, i * cols, (i + 1) * cols);
        }
        return rows;
    }

    // Greedy answers: what is drafted after each token of one, and how much of it is right.

    /// What one answer gave.
    ///
    /// @param accepted of each step's drafts
    private record Generation(int[] accepted) {}

    private static Generation drafts(
            GoldenJson golden, int count, int vocabulary, Engine engine, Checks checks) {
        String where = "generation " + golden.get("id").integer() + " ";
        int[] prompt = golden.get("prompt_ids").integers();
        int[] answer = golden.get("generated_ids").integers();
        List<GoldenJson> steps = golden.get("steps").items();
        boolean nearTie = golden.get("min_gap").number() < NEAR_TIE;
        int[] accepted = new int[steps.size()];
        try (Engine.Sequence sequence = engine.open(prompt.length + answer.length + count)) {
            int[] next = prompt;
            for (int i = 0; i < accepted.length; i++) {
                float[][] logits = sequence.feed(next, ForwardObserver.NONE);
                if (!nearTie) {
                    int chosen = Logits.largest(logits[logits.length - 1], vocabulary);
                    checks.equal(where + "generated_ids[" + i + "]", answer[i], chosen);
                }
                int[] drafts = sequence.draft(answer[i], count, vocabulary);
                accepted[i] = agreement(drafts, answer, i + 1);
                String step = where + "steps[" + i + "] ";
                checks.ids(step + "drafts", steps.get(i).get("drafts").integers(), drafts);
                checks.equal(
                        step + "accepted", steps.get(i).get("accepted").integer(), accepted[i]);
                next = new int[] {answer[i]};
            }
        }
        for (GoldenJson each : golden.get("speculative").fields()) {
            speculative(where, each, accepted, answer.length, checks);
        }
        return new Generation(accepted);
    }

    private static int agreement(int[] drafts, int[] answer, int from) {
        int agreed = 0;
        while (agreed < drafts.length
                && from + agreed < answer.length
                && drafts[agreed] == answer[from + agreed]) {
            agreed++;
        }
        return agreed;
    }

    /// With a fixed number of drafts, each call of the target takes those that are right and one token more.
    private static void speculative(
            String where, GoldenJson golden, int[] accepted, int answerTokens, Checks checks) {
        int drafts = Integer.parseInt(golden.lastName());
        int calls = 1; // the prefill
        int taken = 0;
        int known = 1; // tokens of the answer
        while (known < answerTokens) {
            int right = Math.min(drafts, accepted[known - 1]);
            calls++;
            taken += right;
            known += right + 1;
        }
        String at = where + "speculative " + drafts + " ";
        checks.equal(at + "target_calls", golden.get("target_calls").integer(), calls);
        checks.equal(at + "drafts_accepted", golden.get("drafts_accepted").integer(), taken);
    }

    private static void acceptedUpTo(
            GoldenJson golden, int count, List<Generation> generations, Checks checks) {
        float[] shares = new float[count];
        long steps = generations.stream().mapToLong(each -> each.accepted().length).sum();
        for (int k = 0; k < count; k++) {
            int wanted = k + 1;
            long right =
                    generations.stream()
                            .flatMapToInt(each -> Arrays.stream(each.accepted()))
                            .filter(accepted -> accepted >= wanted)
                            .count();
            shares[k] = (float) right / steps;
        }
        // The file has four digits.
        checks.close("accepted_up_to", golden.get("accepted_up_to").numbers(), shares, 5.1e-5);
    }
}
