package io.atoll.coordinator.sequence;

import io.atoll.proto.Failure;

/// What happens to a request, in this order: [Started] at most once, any number of [Text]s, then one of the two [End]s.
public sealed interface GenerationEvent {
    /// The attention worker has room for the sequence: its prompt is next.
    record Started() implements GenerationEvent {}

    /// More text. Complete characters only; what might become a stop string is held back.
    ///
    /// @param reasoning what the model thinks, perhaps empty
    /// @param content what it answers, perhaps empty
    record Text(String reasoning, String content) implements GenerationEvent {
        static final Text NONE = new Text("", "");

        boolean isEmpty() {
            return reasoning.isEmpty() && content.isEmpty();
        }

        Text plus(Text more) {
            if (more.isEmpty()) {
                return this;
            }
            return isEmpty() ? more : new Text(reasoning + more.reasoning, content + more.content);
        }
    }

    /// The last event.
    sealed interface End extends GenerationEvent {}

    /// The answer is complete.
    ///
    /// @param tokens every token chosen, a stop token included
    record Finished(FinishReason reason, int[] tokens, GenerationStats stats) implements End {}

    /// There is no answer, or only the beginning of one.
    record Failed(Failure failure) implements End {}
}
