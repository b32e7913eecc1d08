package io.atoll.cluster.placement;

/// What one step has to read, compute and send, whoever does it.
///
/// @param hidden width of the rows that travel
/// @param expertsPerToken routed experts that a row chooses in a layer
/// @param denseBytes weights that every step reads on the attention worker: mixers, routers, shared experts, LM head
/// @param expertWeights weights of one expert, two operations each for every row
/// @param experts the routed ones
public record ModelWork(
        int hidden, int expertsPerToken, long denseBytes, long expertWeights, ExpertSizes experts) {
    public ModelWork {
        if (hidden <= 0 || denseBytes < 0 || expertWeights <= 0) {
            throw new IllegalArgumentException(
                    "hidden and expertWeights must be positive and denseBytes not negative: "
                            + hidden
                            + ", "
                            + expertWeights
                            + ", "
                            + denseBytes);
        }
        if (expertsPerToken <= 0 || expertsPerToken > experts.experts()) {
            throw new IllegalArgumentException(
                    "expertsPerToken must be 1 to " + experts.experts() + ": " + expertsPerToken);
        }
    }

    /// Dense weights, taken to be stored in as many bits as those of experts are.
    double denseWeights() {
        double bytesOfAWeight =
                (double) experts.totalBytes()
                        / experts.layers()
                        / experts.experts()
                        / expertWeights;
        return denseBytes / bytesOfAWeight;
    }

    /// Rows times experts a second of a machine.
    ///
    /// @param operationsPerSecond multiplications and additions
    public double rowsPerSecond(double operationsPerSecond) {
        return operationsPerSecond / (2.0 * expertWeights);
    }

    /// Bytes of a row on its way to a worker: int8 in blocks of 32 with an f32 scale each, and its routes there.
    double requestRowBytes(double routes) {
        return hidden + hidden / 32.0 * Float.BYTES + routes * (Integer.BYTES + Float.BYTES);
    }

    /// Bytes of a row's sum on its way back: int32.
    double replyRowBytes() {
        return (double) hidden * Integer.BYTES;
    }
}
