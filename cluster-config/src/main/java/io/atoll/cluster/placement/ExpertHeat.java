package io.atoll.cluster.placement;

import java.util.Arrays;

/// How often experts are chosen, and which of them together.
///
/// Immutable. A probability is that of one row: those of a layer add up to the experts of a token.
public final class ExpertHeat {
    private final double[][] chosen; // [layers][experts]
    private final float[][][] together; // [layers][experts][experts], or empty

    private ExpertHeat(double[][] chosen, float[][][] together) {
        this.chosen = chosen;
        this.together = together;
    }

    /// Every expert as often as any other: what is assumed before anything was observed.
    public static ExpertHeat uniform(int layers, int experts, int expertsPerToken) {
        double[][] chosen = new double[layers][experts];
        for (double[] layer : chosen) {
            Arrays.fill(layer, Math.min(1.0, (double) expertsPerToken / experts));
        }
        return new ExpertHeat(chosen, new float[0][][]);
    }

    /// From what was counted. Every expert counts as chosen once more than it was, so that few rows say little.
    ///
    /// @param rows `[layers][experts]`, rows that chose the expert
    /// @param expertsPerToken that each row chose
    public static ExpertHeat counted(long[][] rows, int expertsPerToken) {
        double[][] chosen = new double[rows.length][];
        for (int layer = 0; layer < rows.length; layer++) {
            int experts = rows[layer].length;
            double choices = (double) Arrays.stream(rows[layer]).sum() + experts;
            chosen[layer] = new double[experts];
            for (int expert = 0; expert < experts; expert++) {
                double share = (rows[layer][expert] + 1) / choices;
                chosen[layer][expert] = Math.min(1, share * expertsPerToken);
            }
        }
        return new ExpertHeat(chosen, new float[0][][]);
    }

    /// From probabilities.
    ///
    /// @param chosen `[layers][experts]`, each in 0 to 1; copied
    public static ExpertHeat of(double[][] chosen) {
        return of(chosen, new float[0][][]);
    }

    /// From probabilities, and those of pairs.
    ///
    /// @param chosen `[layers][experts]`, each in 0 to 1; copied
    /// @param together `[layers][experts][experts]`, that one row chooses both; empty where unknown; copied
    /// @throws IllegalArgumentException naming the place and the value of what is no probability
    public static ExpertHeat of(double[][] chosen, float[][][] together) {
        double[][] ownChosen = new double[chosen.length][];
        for (int layer = 0; layer < chosen.length; layer++) {
            ownChosen[layer] = chosen[layer].clone();
            for (int expert = 0; expert < chosen[layer].length; expert++) {
                double value = chosen[layer][expert];
                if (!(value >= 0 && value <= 1)) {
                    throw new IllegalArgumentException(
                            "layer="
                                    + layer
                                    + " expert="
                                    + expert
                                    + ": not a probability: "
                                    + value);
                }
            }
        }
        if (together.length != 0 && together.length != chosen.length) {
            throw new IllegalArgumentException(
                    "pairs of " + together.length + " layers for " + chosen.length);
        }
        float[][][] ownTogether = new float[together.length][][];
        for (int layer = 0; layer < together.length; layer++) {
            ownTogether[layer] = squareOf(together[layer], chosen[layer].length, layer);
        }
        return new ExpertHeat(ownChosen, ownTogether);
    }

    private static float[][] squareOf(float[][] pairs, int experts, int layer) {
        if (pairs.length != experts) {
            throw new IllegalArgumentException(
                    "layer=" + layer + ": pairs of " + pairs.length + " experts for " + experts);
        }
        float[][] copy = new float[experts][];
        for (int expert = 0; expert < experts; expert++) {
            if (pairs[expert].length != experts) {
                throw new IllegalArgumentException(
                        "layer="
                                + layer
                                + " expert="
                                + expert
                                + ": pairs with "
                                + pairs[expert].length
                                + " experts for "
                                + experts);
            }
            copy[expert] = pairs[expert].clone();
        }
        return copy;
    }

    int layers() {
        return chosen.length;
    }

    int experts(int layer) {
        return chosen[layer].length;
    }

    /// Probability that one row chooses the expert.
    double chosen(int layer, int expert) {
        return chosen[layer][expert];
    }

    /// Probability that a step of so many rows needs the expert: `1 - (1 - p)^rows` (model spec K, "expected distinct experts").
    double touched(int layer, int expert, int rows) {
        return 1 - Math.pow(1 - chosen[layer][expert], rows);
    }

    boolean knowsPairs() {
        return together.length > 0;
    }

    /// How much more often one row chooses both than if the choices were independent; 0 where unknown or less.
    double together(int layer, int a, int b) {
        if (!knowsPairs()) {
            return 0;
        }
        return Math.max(0, together[layer][a][b] - chosen[layer][a] * chosen[layer][b]);
    }
}
