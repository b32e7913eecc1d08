package io.atoll.attention.sampling;

import io.atoll.attention.step.SamplingParameters;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/// Which tokens one sequence has seen, and how often in its output: what the penalties look at.
///
/// Keeps nothing where no penalty is on. Grows with the number of distinct tokens (open addressing, linear probing).
public final class TokenCounts {
    private static final int EMPTY = -1;

    private final boolean needed;
    private int[] tokens;
    private int[] outputCounts;
    private int distinct;

    /// @param parameters say whether counts are needed at all
    public TokenCounts(SamplingParameters parameters) {
        needed = parameters.penalises();
        tokens = new int[needed ? 64 : 0];
        outputCounts = new int[tokens.length];
        Arrays.fill(tokens, EMPTY);
    }

    /// Notes one token of the sequence.
    ///
    /// @param output whether it stands behind the prompt
    public void add(int token, boolean output) {
        if (!needed) {
            return;
        }
        int slot = slot(tokens, token);
        if (tokens[slot] == EMPTY) {
            if (2 * (distinct + 1) > tokens.length) {
                grow();
                slot = slot(tokens, token);
            }
            tokens[slot] = token;
            distinct++;
        }
        if (output) {
            outputCounts[slot]++;
        }
    }

    /// Applies the penalties in place, in the order repetition, frequency, presence.
    ///
    /// @param logits f32 `[size]`
    void penalise(MemorySegment logits, int size, SamplingParameters parameters) {
        for (int i = 0; i < tokens.length; i++) {
            int token = tokens[i];
            if (token == EMPTY || token >= size) {
                continue;
            }
            float logit = logits.getAtIndex(ValueLayout.JAVA_FLOAT, token);
            float repetition = parameters.repetitionPenalty();
            logit = logit > 0 ? logit / repetition : logit * repetition;
            logit -= parameters.frequencyPenalty() * outputCounts[i];
            if (outputCounts[i] > 0) {
                logit -= parameters.presencePenalty();
            }
            logits.setAtIndex(ValueLayout.JAVA_FLOAT, token, logit);
        }
    }

    boolean isEmpty() {
        return distinct == 0;
    }

    private void grow() {
        int[] oldTokens = tokens;
        int[] oldCounts = outputCounts;
        tokens = new int[2 * oldTokens.length];
        outputCounts = new int[tokens.length];
        Arrays.fill(tokens, EMPTY);
        for (int i = 0; i < oldTokens.length; i++) {
            if (oldTokens[i] != EMPTY) {
                int slot = slot(tokens, oldTokens[i]);
                tokens[slot] = oldTokens[i];
                outputCounts[slot] = oldCounts[i];
            }
        }
    }

    private static int slot(int[] table, int token) {
        int mask = table.length - 1;
        int slot = ((token * 0x9E3779B9) >>> 7) & mask;
        while (table[slot] != EMPTY && table[slot] != token) {
            slot = (slot + 1) & mask;
        }
        return slot;
    }
}
