package io.atoll.tests;

import io.atoll.model.ModelDirectory;
import io.atoll.model.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/// What the demo model has an opinion on, and how far two opinions are apart.
final class Opinions {
    private Opinions() {}

    /// Text such as the model was trained on: of random tokens it has no opinion that would outlast a rounding.
    static List<int[]> prompts(Path demo) {
        try (ModelDirectory model = ModelDirectory.open(demo);
                Tokenizer tokenizer = model.tokenizer()) {
            return Stream.of(
                            "What is the capital of France?",
                            "What is the capital of Japan?",
                            "Hello!",
                            "What is 2 + 3?")
                    .map(
                            question ->
                                    tokenizer.encode(
                                            "<|im_start|>user\n"
                                                    + question
                                                    + "<|im_end|>\n<|im_start|>assistant\n"))
                    .toList();
        }
    }

    /// Kullback-Leibler divergence of the second distribution from the first, in nats.
    static double divergence(float[] logits, float[] others) {
        double total = logSumExp(logits);
        double otherTotal = logSumExp(others);
        double sum = 0;
        for (int i = 0; i < logits.length; i++) {
            double log = logits[i] - total;
            sum += Math.exp(log) * (log - (others[i] - otherTotal));
        }
        return sum;
    }

    /// The token with the largest logit.
    static int best(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        return best;
    }

    private static double logSumExp(float[] logits) {
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
