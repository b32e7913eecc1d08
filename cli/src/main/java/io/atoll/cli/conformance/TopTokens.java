package io.atoll.cli.conformance;

import java.util.Arrays;

/// The most likely tokens of some rows, and how likely they are.
///
/// @param k tokens of each row
/// @param ids `[rows, k]`, most likely first
/// @param logprobs `[rows, k]`, natural logs
record TopTokens(int k, int[] ids, float[] logprobs) {
    private static final double LOG_PROBABILITY = 1e-3;

    /// Of the last row of a prompt, from an object with `top10_ids` and `top10_logprobs`.
    static TopTokens of(GoldenJson json) {
        int[] ids = json.get("top10_ids").integers();
        float[] logprobs = json.get("top10_logprobs").numbers();
        if (ids.length == 0 || ids.length != logprobs.length) {
            throw new FixtureException(
                    json.file(),
                    json.where() + " has " + ids.length + " ids, " + logprobs.length + " logprobs");
        }
        return new TopTokens(ids.length, ids, logprobs);
    }

    /// The first row's best token.
    int best() {
        return ids[0];
    }

    /// By how much it is the best.
    double gap() {
        return k < 2 ? Double.POSITIVE_INFINITY : logprobs[0] - logprobs[1];
    }

    /// Compares the tokens of all rows. Ids count where neighbours are further apart than log-probabilities may be off.
    void compare(String where, float[][] logits, Checks checks) {
        if (ids.length != logits.length * k || logprobs.length != ids.length) {
            checks.fail(
                    where + "top10_ids",
                    "expected " + ids.length / k + " rows, found " + logits.length);
            return;
        }
        int[] foundIds = ids.clone();
        float[] found = new float[logprobs.length];
        for (int t = 0; t < logits.length; t++) {
            double total = Logits.logSumExp(logits[t]);
            for (int rank = 0; rank < k; rank++) {
                int i = t * k + rank;
                found[i] = (float) (logits[t][ids[i]] - total);
            }
            findClear(t, logits[t], LOG_PROBABILITY, foundIds);
        }
        checks.close(where + "top10_logprobs", logprobs, found, LOG_PROBABILITY);
        checks.ids(where + "top10_ids", ids, foundIds);
    }

    /// Compares the ids of the first row where neighbours are further apart than `gap`.
    void compareIds(String where, float[] logits, double gap, Checks checks) {
        int[] foundIds = Arrays.copyOf(ids, k);
        findClear(0, logits, gap, foundIds);
        checks.ids(where + "top10_ids", Arrays.copyOf(ids, k), foundIds);
    }

    /// Puts an engine's ids into the places of row `t` whose neighbours are further apart than `gap`.
    private void findClear(int t, float[] logits, double gap, int[] foundIds) {
        int[] top = Logits.top(logits, k + 1);
        for (int rank = 0; rank < k; rank++) {
            int i = t * k + rank;
            boolean aboveClear = rank == 0 || logprobs[i - 1] - logprobs[i] > gap;
            // The file does not say how far the first token that is not in it is away; the
            // engine's own does as well.
            boolean belowClear =
                    rank + 1 < k
                            ? logprobs[i] - logprobs[i + 1] > gap
                            : top.length <= k
                                    || (double) logits[top[rank]] - logits[top[rank + 1]] > gap;
            if (aboveClear && belowClear) {
                foundIds[i] = top[rank];
            }
        }
    }

    /// Kullback-Leibler divergence of an engine's distribution from the first row's, in nats, over these tokens and all
    /// others taken as one. That is at most the divergence over all tokens.
    double divergence(float[] logits) {
        double total = Logits.logSumExp(logits);
        double sum = 0;
        double restHere = 1;
        double restThere = 1;
        for (int i = 0; i < k; i++) {
            double here = logprobs[i];
            double there = logits[ids[i]] - total;
            sum += Math.exp(here) * (here - there);
            restHere -= Math.exp(here);
            restThere -= Math.exp(there);
        }
        // Printed log-probabilities may add up to a little more than one.
        double smallest = 1e-9;
        restHere = Math.max(restHere, smallest);
        restThere = Math.max(restThere, smallest);
        return sum + restHere * Math.log(restHere / restThere);
    }
}
