package io.atoll.benchmarks.placement;

import io.atoll.cluster.placement.ExpertHeat;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;

/// Synthetic routing: each layer's experts have weights that follow a power law, and fall into groups of four, mixed at random, that
/// share a topic. A row has
/// a topic, which makes one group of each layer much likelier; it draws its experts without repetition.
final class RoutingTrace {
    private static final int GROUP = 4;
    private static final double TOPIC_FACTOR = 20;

    private final Random random;
    private final double[][] weights; // [layers][experts]
    private final int[][] topics; // [layers][experts], the group of each
    private final int perRow;

    /// @param skew exponent of the power law; 0 is uniform
    RoutingTrace(long seed, int layers, int experts, int perRow, double skew) {
        random = new Random(seed);
        this.perRow = perRow;
        weights = new double[layers][experts];
        topics = new int[layers][experts];
        for (double[] layer : weights) {
            for (int rank = 0; rank < experts; rank++) {
                layer[rank] = Math.pow(rank + 1, -skew);
            }
            shuffle(layer, experts);
        }
        for (int[] layer : topics) {
            for (int expert = 0; expert < experts; expert++) {
                layer[expert] = expert / GROUP;
            }
            for (int last = experts - 1; last > 0; last--) {
                int other = random.nextInt(last + 1);
                int held = layer[last];
                layer[last] = layer[other];
                layer[other] = held;
            }
        }
    }

    /// Lets a part of the experts of each layer exchange their weights.
    void shift(double part) {
        for (double[] layer : weights) {
            shuffle(layer, (int) (part * layer.length));
        }
    }

    private void shuffle(double[] layer, int count) {
        for (int i = 0; i < count; i++) {
            int a = random.nextInt(layer.length);
            int b = random.nextInt(layer.length);
            double held = layer[a];
            layer[a] = layer[b];
            layer[b] = held;
        }
    }

    /// Experts that one row chooses in a layer.
    int[] row(int layer, int topic) {
        int experts = weights[layer].length;
        double[] keys = new double[experts];
        Integer[] order = new Integer[experts];
        for (int expert = 0; expert < experts; expert++) {
            boolean inTopic = topics[layer][expert] == topic % (experts / GROUP);
            double weight = weights[layer][expert] * (inTopic ? TOPIC_FACTOR : 1);
            // The smallest of exponential times: drawing without repetition, in proportion to the
            // weights.
            keys[expert] = -Math.log(1 - random.nextDouble()) / weight;
            order[expert] = expert;
        }
        Arrays.sort(order, (a, b) -> Double.compare(keys[a], keys[b]));
        return Arrays.stream(order).limit(perRow).mapToInt(Integer::intValue).toArray();
    }

    /// Distinct experts that a step of so many rows needs in a layer.
    int[] step(int layer, int rows) {
        boolean[] touched = new boolean[weights[layer].length];
        for (int i = 0; i < rows; i++) {
            for (int expert : row(layer, random.nextInt(1 << 16))) {
                touched[expert] = true;
            }
        }
        return IntStream.range(0, touched.length).filter(e -> touched[e]).toArray();
    }

    /// What is seen of so many rows, choices and pairs.
    Observed observe(int rows) {
        int experts = weights[0].length;
        double[][] chosen = new double[weights.length][experts];
        float[][][] together = new float[weights.length][experts][experts];
        for (int layer = 0; layer < weights.length; layer++) {
            for (int i = 0; i < rows; i++) {
                int[] row = row(layer, random.nextInt(1 << 16));
                for (int a : row) {
                    chosen[layer][a] += 1.0 / rows;
                    for (int b : row) {
                        together[layer][a][b] += 1.0f / rows;
                    }
                }
            }
            for (int expert = 0; expert < experts; expert++) {
                chosen[layer][expert] = Math.min(1, chosen[layer][expert]); // sums round
            }
        }
        return new Observed(chosen, together);
    }

    /// @param chosen `[layers][experts]`, a row's probability
    /// @param together `[layers][experts][experts]`
    record Observed(double[][] chosen, float[][][] together) {
        ExpertHeat heat(boolean pairs) {
            return pairs ? ExpertHeat.of(chosen, together) : ExpertHeat.of(chosen);
        }
    }
}
