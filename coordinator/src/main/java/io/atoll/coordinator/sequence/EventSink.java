package io.atoll.coordinator.sequence;

/// Where the events of one sequence go. Called by the step loop, so it never waits.
public interface EventSink {
    /// Takes one event. A [GenerationEvent.End] always fits.
    ///
    /// @return false if there is no room: the reader is too slow, and the sequence ends
    boolean offer(GenerationEvent event);
}
