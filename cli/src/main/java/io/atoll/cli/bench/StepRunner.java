package io.atoll.cli.bench;

import io.atoll.attention.step.AttentionWorker;
import io.atoll.attention.step.Opening;
import io.atoll.attention.step.SamplingParameters;
import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.StepOutcome;
import io.atoll.attention.step.StepPlan;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.proto.Failure;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/// Gives an attention worker prompts of random tokens, cut into steps as a scheduler cuts them, then lets every sequence generate,
/// and takes the time of both. Tokens are the most likely ones, and none ends a sequence.
final class StepRunner {
    private static final Duration STEP_TIMEOUT = Duration.ofMinutes(30);

    private final AttentionWorker worker;
    private final RandomGenerator random;
    private long nextStep;
    private long nextSequence;

    StepRunner(AttentionWorker worker, long seed) {
        this.worker = worker;
        this.random = new SplittableRandom(seed);
    }

    /// What one run took.
    ///
    /// @param batch sequences that ran together
    /// @param promptTokens of each
    /// @param generated tokens of each after the one that the prompt gave
    record Run(int batch, int promptTokens, int generated, long promptNanos, long decodeNanos) {
        /// Prompt tokens of all sequences a second; the first token of each is chosen in that time, too.
        double promptTokensPerSecond() {
            return (double) batch * promptTokens / (promptNanos / 1e9);
        }

        /// Generated tokens of all sequences a second.
        double generatedTokensPerSecond() {
            return (double) batch * generated / (decodeNanos / 1e9);
        }
    }

    /// Runs some sequences from their prompts on.
    ///
    /// @param afterPrompt called when the prompts are done, before the clock of the generation starts
    /// @throws IOException if a step fails
    Run run(int batch, int promptTokens, int generate, Runnable afterPrompt) throws IOException {
        List<Long> ids = new ArrayList<>();
        try {
            Map<Long, Integer> last = new HashMap<>();
            List<int[]> prompts = new ArrayList<>();
            int vocabulary = worker.info().vocabularySize();
            SequenceOptions options =
                    new SequenceOptions(
                            promptTokens, promptTokens + generate, SamplingParameters.GREEDY);
            for (int i = 0; i < batch; i++) {
                long id = nextSequence++;
                int[] prompt = random.ints(promptTokens, 0, vocabulary).toArray();
                if (worker.open(id, options, prompt) instanceof Opening.Refused(Failure failure)) {
                    throw refused(failure);
                }
                ids.add(id);
                prompts.add(prompt);
            }

            long start = System.nanoTime();
            prefill(ids, prompts, last);
            long promptNanos = System.nanoTime() - start;
            afterPrompt.run();

            start = System.nanoTime();
            for (int token = 0; token < generate; token++) {
                List<SequenceRows> rows = new ArrayList<>(batch);
                for (long id : ids) {
                    int[] next = {last.get(id)};
                    rows.add(new SequenceRows(id, promptTokens + token, next, true));
                }
                step(rows, last);
            }
            return new Run(batch, promptTokens, generate, promptNanos, System.nanoTime() - start);
        } finally {
            ids.forEach(worker::close);
        }
    }

    /// Steps of as many prompt rows as the worker takes, sequence after sequence.
    private void prefill(List<Long> ids, List<int[]> prompts, Map<Long, Integer> last)
            throws IOException {
        int limit = worker.info().maxStepRows();
        List<SequenceRows> rows = new ArrayList<>();
        int free = limit;
        for (int i = 0; i < ids.size(); i++) {
            int[] prompt = prompts.get(i);
            int at = 0;
            while (at < prompt.length) {
                int end = Math.min(prompt.length, at + free);
                rows.add(
                        new SequenceRows(
                                ids.get(i),
                                at,
                                Arrays.copyOfRange(prompt, at, end),
                                end == prompt.length));
                free -= end - at;
                at = end;
                if (free == 0) {
                    step(rows, last);
                    rows.clear();
                    free = limit;
                }
            }
        }
        if (!rows.isEmpty()) {
            step(rows, last);
        }
    }

    private void step(List<SequenceRows> rows, Map<Long, Integer> last) throws IOException {
        switch (worker.step(new StepPlan(nextStep++, rows, STEP_TIMEOUT))) {
            case StepOutcome.Completed(var sampled, _, _, _) ->
                    sampled.forEach(one -> last.put(one.sequenceId(), one.token()));
            case StepOutcome.Failed(var failure) -> throw refused(failure);
        }
    }

    private static IOException refused(Failure failure) {
        return new IOException("the attention worker refused: " + failure.message());
    }
}
