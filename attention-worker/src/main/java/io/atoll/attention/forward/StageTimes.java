package io.atoll.attention.forward;

import java.util.EnumMap;
import java.util.Map;

/// Where the time of steps goes: one clock that is read at the end of each part of the forward pass, and counts the time since
/// the last reading to that part. Off until it is asked for; then a reading takes some ten nanoseconds, about ten times a layer.
///
/// One thread at a time: the one that runs the step.
@SuppressWarnings("EnumOrdinal") // an EnumMap of times would box every one
public final class StageTimes {
    /// A part of a step.
    public enum Stage {
        /// Looking up embeddings and turning the rotary table.
        EMBEDDING,
        /// Norms and residual additions around mixers and experts.
        NORMS,
        /// The projections into and out of mixers.
        MIXER_PROJECTIONS,
        /// Softmax attention with its head norms, rotation and gate.
        ATTENTION,
        /// Convolution, gated delta rule and gated norm.
        DELTA_RULE,
        /// Router logits and top-k.
        ROUTER,
        /// The shared expert.
        SHARED_EXPERT,
        /// From handing rows to the routed experts until their sums are there, without the shared expert.
        ROUTED_EXPERTS,
        /// The final norm and the LM head.
        HEAD,
        /// Choosing tokens, and what a step does around its layers.
        SAMPLING
    }

    /// Nanoseconds of a stage.
    private static final class Sum {
        private long nanos;
    }

    private final Map<Stage, Sum> sums = new EnumMap<>(Stage.class);
    private boolean on;
    private long last;

    public StageTimes() {
        for (Stage stage : Stage.values()) {
            sums.put(stage, new Sum());
        }
    }

    /// Starts counting from zero.
    public void start() {
        sums.values().forEach(sum -> sum.nanos = 0);
        on = true;
    }

    /// Stops counting; the times stay.
    public void stop() {
        on = false;
    }

    /// The time since the last reading belongs to no stage.
    void skip() {
        if (on) {
            last = System.nanoTime();
        }
    }

    /// The time since the last reading belongs to this stage.
    public void end(Stage stage) {
        if (on) {
            long now = System.nanoTime();
            sums.get(stage).nanos += now - last;
            last = now;
        }
    }

    /// Nanoseconds of each stage since the start.
    public Map<Stage, Long> nanos() {
        Map<Stage, Long> times = new EnumMap<>(Stage.class);
        sums.forEach((stage, sum) -> times.put(stage, sum.nanos));
        return times;
    }
}
