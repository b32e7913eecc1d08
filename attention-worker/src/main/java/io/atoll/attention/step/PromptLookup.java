package io.atoll.attention.step;

import java.util.Arrays;
import java.util.List;

/// Guesses that what followed the last tokens where they stood before in the sequence follows again. Needs no model, and pays where
/// an answer repeats its prompt: edits, quotations, code.
final class PromptLookup implements Drafter {
    /// Longest and shortest run of tokens that is looked for.
    private static final int LONGEST = 4;

    private static final int SHORTEST = 2;

    @Override
    public Guesses draft(List<Request> requests, long deadlineNanos) {
        return new Guesses.Found(
                requests.stream()
                        .map(request -> draft(request.tokens(), request.length(), request.wanted()))
                        .toArray(int[][]::new));
    }

    /// Up to `wanted` tokens after the last earlier place of the longest run that ends the sequence.
    static int[] draft(int[] tokens, int length, int wanted) {
        int bestEnd = 0;
        int bestRun = SHORTEST - 1;
        for (int end = length - 1; end > 0 && bestRun < LONGEST; end--) {
            int run = agreement(tokens, end, length);
            if (run > bestRun) {
                bestRun = run;
                bestEnd = end;
            }
        }
        return bestEnd == 0
                ? new int[0]
                : Arrays.copyOfRange(tokens, bestEnd, Math.min(bestEnd + wanted, length));
    }

    /// How many tokens before `end` agree with the last ones, up to [#LONGEST].
    private static int agreement(int[] tokens, int end, int length) {
        int run = 0;
        while (run < LONGEST && run < end && tokens[end - 1 - run] == tokens[length - 1 - run]) {
            run++;
        }
        return run;
    }
}
