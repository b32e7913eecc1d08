package io.atoll.coordinator.engine;

import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.sequence.Sequence;

/// Is told what the engine does while it does it, in order to count. The step loop calls it, and [#ended] whoever ends a request,
/// so every method returns at once.
public interface EngineObserver {
    /// Counts nothing.
    EngineObserver NONE =
            new EngineObserver() {
                @Override
                public void began(Sequence sequence, long queuedNanos) {}

                @Override
                public void token(boolean first, long nanos) {}

                @Override
                public void setAside(int sequences) {}

                @Override
                public void stepped(int prefillRows, int decodeRows, long nanos, boolean failed) {}

                @Override
                public void drafted(int drafted, int accepted) {}

                @Override
                public void ended(GenerationRequest request, GenerationEvent.End end) {}
            };

    /// The attention worker has room for a sequence, for the first time.
    ///
    /// @param queuedNanos since its request came
    void began(Sequence sequence, long queuedNanos);

    /// A sequence has a token more.
    ///
    /// @param first whether it is its first
    /// @param nanos since its request came if it is the first, else since the one before
    void token(boolean first, long nanos);

    /// So many sequences were set aside for more urgent ones.
    void setAside(int sequences);

    /// A step is over.
    ///
    /// @param prefillRows rows of prompts, and of what was set aside
    /// @param decodeRows one for each sequence that went on by a token, and those for guesses
    void stepped(int prefillRows, int decodeRows, long nanos, boolean failed);

    /// Tokens of a sequence were guessed and verified.
    ///
    /// @param drafted how many
    /// @param accepted how many of the first ones were right
    void drafted(int drafted, int accepted);

    /// A request is over, whether it ever began or not. Called once for each that was submitted.
    void ended(GenerationRequest request, GenerationEvent.End end);
}
