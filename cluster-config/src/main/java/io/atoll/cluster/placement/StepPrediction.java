package io.atoll.cluster.placement;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/// How long a step of decoding will take, and why.
///
/// A step reads the dense weights once, and layer by layer sends its rows away, waits until the slowest worker is done with the
/// experts that they chose there, and takes the sums back. So its time is the sum of four parts. A matrix takes the time of
/// reading it, or of its arithmetic if that is longer. What is left out: attention over long contexts, the preparation of rows,
/// and whatever runs beside.
///
/// @param rows of the step, one for each sequence
/// @param denseSeconds of the dense weights
/// @param expertSeconds of the slowest workers of all layers
/// @param roundTripSeconds of the round trips of all layers
/// @param linkSeconds of rows and sums on the attention worker's link
/// @param slowest the worker that is the slowest one of a layer most often; empty if the experts are on the attention worker
public record StepPrediction(
        int rows,
        double denseSeconds,
        double expertSeconds,
        double roundTripSeconds,
        double linkSeconds,
        String slowest) {
    /// Steps whose choices are drawn; the mean of so many is within a few percent.
    private static final int DRAWN_STEPS = 100;

    private static final long SEED = 1;

    /// The network between the attention worker and the expert workers.
    ///
    /// @param roundTripSeconds of one row there and back, what both sides do for it included
    /// @param linkBytesPerSecond of the attention worker's link, each way
    public record Network(double roundTripSeconds, double linkBytesPerSecond) {
        public Network {
            if (!(roundTripSeconds >= 0) || !(linkBytesPerSecond > 0)) {
                throw new IllegalArgumentException(
                        "no network: " + roundTripSeconds + " s, " + linkBytesPerSecond + " B/s");
            }
        }
    }

    /// Predicts. Every row chooses its experts evenly at random, from a fixed seed.
    ///
    /// @param nodes of the placement
    /// @param attention the node that runs the attention stack; experts that it holds need no network
    public static StepPrediction of(
            ModelWork work,
            List<ExpertNode> nodes,
            Placement placement,
            ExpertNode attention,
            Network network,
            int rows) {
        ExpertSizes sizes = work.experts();
        Random random = new Random(SEED);
        double experts = 0;
        double trips = 0;
        double bytes = 0;
        int[] slowest = new int[nodes.size()];
        for (int step = 0; step < DRAWN_STEPS; step++) {
            for (int layer = 0; layer < sizes.layers(); layer++) {
                int[][] chosen = draw(random, rows, work);
                Layer now = Layer.of(work, nodes, placement, attention.name(), layer, chosen);
                experts += now.seconds;
                trips += now.remoteBytes > 0 ? network.roundTripSeconds : 0;
                bytes += now.remoteBytes;
                slowest[now.slowest]++;
            }
        }
        int most = 0;
        for (int i = 1; i < slowest.length; i++) {
            most = slowest[i] > slowest[most] ? i : most;
        }
        return new StepPrediction(
                rows,
                denseSeconds(work, attention, rows),
                experts / DRAWN_STEPS,
                trips / DRAWN_STEPS,
                bytes / DRAWN_STEPS / network.linkBytesPerSecond,
                nodes.get(most).name());
    }

    private static double denseSeconds(ModelWork work, ExpertNode attention, int rows) {
        double expertsWorth = work.denseWeights() / work.expertWeights();
        return Math.max(
                work.denseBytes() / attention.bytesPerSecond(),
                rows * expertsWorth / attention.rowsPerSecond());
    }

    private static int[][] draw(Random random, int rows, ModelWork work) {
        int[][] chosen = new int[rows][];
        for (int row = 0; row < rows; row++) {
            chosen[row] =
                    random.ints(0, work.experts().experts())
                            .distinct()
                            .limit(work.expertsPerToken())
                            .toArray();
        }
        return chosen;
    }

    /// One layer of one step.
    private record Layer(double seconds, double remoteBytes, int slowest) {
        static Layer of(
                ModelWork work,
                List<ExpertNode> nodes,
                Placement placement,
                String attention,
                int layer,
                int[][] chosen) {
            int experts = work.experts().experts();
            int[] rowsOf = new int[experts];
            for (int[] row : chosen) {
                for (int expert : row) {
                    rowsOf[expert]++;
                }
            }
            List<String> names = nodes.stream().map(ExpertNode::name).toList();
            double[] busy = new double[nodes.size()];
            int[] nodeOf = new int[experts];
            for (int expert = 0; expert < experts; expert++) {
                if (rowsOf[expert] > 0) {
                    nodeOf[expert] =
                            soonest(
                                    work,
                                    nodes,
                                    placement,
                                    names,
                                    busy,
                                    layer,
                                    expert,
                                    rowsOf[expert]);
                }
            }
            int slowest = 0;
            for (int i = 1; i < busy.length; i++) {
                slowest = busy[i] > busy[slowest] ? i : slowest;
            }
            return new Layer(busy[slowest], bytes(work, names, attention, nodeOf, chosen), slowest);
        }

        /// Gives an expert to the holder that is done soonest then.
        private static int soonest(
                ModelWork work,
                List<ExpertNode> nodes,
                Placement placement,
                List<String> names,
                double[] busy,
                int layer,
                int expert,
                int rows) {
            int best = -1;
            double end = Double.MAX_VALUE;
            for (String holder : placement.holders(layer, expert)) {
                int node = names.indexOf(holder);
                double then =
                        busy[node]
                                + nodes.get(node)
                                        .seconds(work.experts().expertBytes().get(layer), 1, rows);
                if (then < end) {
                    end = then;
                    best = node;
                }
            }
            busy[best] = end;
            return best;
        }

        /// A row travels once to each other worker that has one of its experts, and a sum comes back from each.
        private static double bytes(
                ModelWork work,
                List<String> names,
                String attention,
                int[] nodeOf,
                int[][] chosen) {
            double bytes = 0;
            for (int[] row : chosen) {
                int[] routes = new int[names.size()];
                for (int expert : row) {
                    routes[nodeOf[expert]]++;
                }
                for (int node = 0; node < routes.length; node++) {
                    if (routes[node] > 0 && !names.get(node).equals(attention)) {
                        bytes += work.requestRowBytes(routes[node]) + work.replyRowBytes();
                    }
                }
            }
            return bytes;
        }
    }

    /// The whole step.
    public double seconds() {
        return denseSeconds + expertSeconds + roundTripSeconds + linkSeconds;
    }

    /// Of all sequences together.
    public double tokensPerSecond() {
        return rows / seconds();
    }

    /// A part of a step's time.
    ///
    /// @param what it is spent on, for people
    public record Part(String what, double seconds) {}

    /// The parts, the longest first.
    public List<Part> parts(String attention) {
        List<Part> parts = new ArrayList<>();
        parts.add(new Part("dense weights on " + attention, denseSeconds));
        parts.add(new Part("experts, most often waiting for " + slowest, expertSeconds));
        parts.add(new Part("round trips", roundTripSeconds));
        parts.add(new Part("rows and sums on the link of " + attention, linkSeconds));
        parts.sort((a, b) -> Double.compare(b.seconds, a.seconds));
        return parts;
    }
}
