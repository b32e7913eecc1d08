package io.atoll.attention.forward;

/// Where the time of the steps goes, summed up since the start. The thread that runs the steps writes and reads it.
public final class ForwardTimes {
    private long mixerNanos;
    private long mixtureNanos;
    private long expertsNanos;
    private long headNanos;

    void mixer(long nanos) {
        mixerNanos += nanos;
    }

    void mixture(long nanos) {
        mixtureNanos += nanos;
    }

    void experts(long nanos) {
        expertsNanos += nanos;
    }

    void head(long nanos) {
        headNanos += nanos;
    }

    /// Norms, attention and Gated DeltaNet, and the embedding.
    public long mixerNanos() {
        return mixerNanos;
    }

    /// Router and shared expert: the mixture of experts without the routed ones.
    public long sharedNanos() {
        return mixtureNanos - expertsNanos;
    }

    /// Routed experts: sending them rows, or computing them here, and waiting until their sum is there. What they do while the
    /// shared expert runs does not count.
    public long expertsNanos() {
        return expertsNanos;
    }

    /// Final norm and LM head.
    public long headNanos() {
        return headNanos;
    }
}
