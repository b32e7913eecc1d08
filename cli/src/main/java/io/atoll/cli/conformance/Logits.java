package io.atoll.cli.conformance;

/// What suites read from a row of logits.
final class Logits {
    private Logits() {}

    /// The largest of the first `count` logits, the lower index on a tie.
    static int largest(float[] logits, int count) {
        int best = 0;
        for (int i = 1; i < count; i++) {
            if (logits[i] > logits[best]) {
                best = i;
            }
        }
        return best;
    }

    /// Indices of the `k` largest logits, largest first, the lower index on a tie.
    static int[] top(float[] logits, int k) {
        int[] top = new int[Math.min(k, logits.length)];
        int filled = 0;
        for (int i = 0; i < logits.length; i++) {
            if (filled == top.length && !(logits[i] > logits[top[filled - 1]])) {
                continue;
            }
            int at = filled < top.length ? filled++ : filled - 1;
            while (at > 0 && logits[i] > logits[top[at - 1]]) {
                top[at] = top[at - 1];
                at--;
            }
            top[at] = i;
        }
        return top;
    }

    /// The natural log of the sum of exponentials: subtract it from a logit for its log-probability.
    static double logSumExp(float[] logits) {
        double largest = Double.NEGATIVE_INFINITY;
        for (float logit : logits) {
            largest = Math.max(largest, logit);
        }
        double sum = 0;
        for (float logit : logits) {
            sum += Math.exp(logit - largest);
        }
        return largest + Math.log(sum);
    }
}
