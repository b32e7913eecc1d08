package io.atoll.coordinator.scheduler;

import java.util.List;

/// Decides how many tokens are guessed for each sequence of a step: as many as are likely to be right often enough for what a row
/// more costs.
///
/// What a row costs is learned from steps without prompt rows, as a line through their times: time = base + rows * price, by least
/// squares in which a step counts less with each that follows. A guess is worth the chance that it and those before it are
/// right. While it is worth more tokens than the step would yield in the time that its row takes, it is added, the likeliest of
/// all sequences first.
///
/// A sequence whose guesses do not pay gets one now and then, since that may change. Pure; one thread uses it.
final class DraftPlanner {
    /// How much a step counts still when another has come.
    private static final double KEPT = 0.98;

    /// What a row more is taken to cost while nothing is known, as a part of the step.
    private static final double UNKNOWN_PRICE = 0.3;

    /// Steps between two guesses for a sequence whose guesses do not pay.
    private static final int PROBE_STEPS = 48;

    // Sums over steps, of 1, rows, rows^2, time and rows * time.
    private double count;
    private double sumRows;
    private double sumSquares;
    private double sumNanos;
    private double sumProducts;

    /// A step without prompt rows is complete.
    void completed(int rows, long nanos) {
        count = KEPT * count + 1;
        sumRows = KEPT * sumRows + rows;
        sumSquares = KEPT * sumSquares + (double) rows * rows;
        sumNanos = KEPT * sumNanos + nanos;
        sumProducts = KEPT * sumProducts + (double) rows * nanos;
    }

    /// Part of the time of a step of `rows` rows that one of them costs.
    double price(int rows) {
        double spread = count * sumSquares - sumRows * sumRows;
        if (count < 2 || spread < 1e-3 * count * count) {
            return UNKNOWN_PRICE / rows;
        }
        double perRow = (count * sumProducts - sumRows * sumNanos) / spread;
        double base = (sumNanos - perRow * sumRows) / count;
        double time = base + perRow * rows;
        return time <= 0 ? UNKNOWN_PRICE / rows : Math.clamp(perRow / time, 0.0, 1.0);
    }

    /// Shares out drafts.
    ///
    /// @param sequences that decode, each with one row
    /// @param budget most drafts of all sequences together
    /// @param most drafts of a sequence
    /// @return for each sequence
    int[] share(List<Scheduled> sequences, int budget, int most) {
        int[] drafts = new int[sequences.size()];
        double tokens = drafts.length;
        int rows = drafts.length;
        while (rows - drafts.length < budget) {
            int best = -1;
            double bestChance = 0;
            for (int i = 0; i < drafts.length; i++) {
                Scheduled sequence = sequences.get(i);
                if (drafts[i] < Math.min(most, sequence.room())) {
                    double chance = Math.pow(sequence.acceptance(), drafts[i] + 1);
                    if (chance > bestChance) {
                        best = i;
                        bestChance = chance;
                    }
                }
            }
            if (best < 0 || bestChance <= price(rows) * tokens) {
                break;
            }
            drafts[best]++;
            rows++;
            tokens += bestChance;
        }
        for (int i = 0; i < drafts.length; i++) {
            boolean probe = sequences.get(i).probes(drafts[i], PROBE_STEPS);
            if (probe && rows - drafts.length < budget && sequences.get(i).room() > 0 && most > 0) {
                drafts[i] = 1;
                rows++;
            }
        }
        return drafts;
    }
}
