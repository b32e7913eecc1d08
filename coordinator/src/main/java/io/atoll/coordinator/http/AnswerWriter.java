package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.proto.Failure;
import java.util.List;

/// Writes one answer in the shape of its API: whole, or as the text of server-sent events. Used by one thread, in the order of
/// the answer.
interface AnswerWriter {
    /// The whole answer.
    ///
    /// @param ends how each choice ended, in the order of `texts`
    ObjectNode whole(List<ChoiceText> texts, List<GenerationEvent.Finished> ends);

    /// Events before a choice's first output.
    String begin(int choice);

    /// Events of more output.
    String output(int choice, GenerationEvent.Output output);

    /// Events at a choice's end.
    String end(int choice, GenerationEvent.Finished finished);

    /// Events after the end of every choice.
    String complete(List<GenerationEvent.Finished> ends);

    /// Events at the end of a stream that fails.
    String failed(Failure failure);

    /// What keeps a silent stream alive.
    String heartbeat();
}
