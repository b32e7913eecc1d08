package io.atoll.coordinator.sequence;

import io.atoll.model.chat.OutputDelta;
import io.atoll.proto.Failure;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/// What happens to a request, in this order: [Started] at most once, any number of [Output]s, then one of the two [End]s.
public sealed interface GenerationEvent {
    /// The attention worker has room for the sequence: its prompt is next.
    record Started() implements GenerationEvent {}

    /// More of the answer. Complete characters only; what might become a stop string or a tool call is held back.
    ///
    /// @param deltas in the order the model wrote them
    /// @param logprobs of the tokens chosen since the last event, if the request wants them
    record Output(List<OutputDelta> deltas, List<TokenLogprobs> logprobs)
            implements GenerationEvent {
        static final Output NONE = new Output(List.of(), List.of());

        public Output {
            deltas = List.copyOf(deltas);
            logprobs = List.copyOf(logprobs);
        }

        static Output of(List<OutputDelta> deltas) {
            return deltas.isEmpty() ? NONE : new Output(deltas, List.of());
        }

        boolean isEmpty() {
            return deltas.isEmpty() && logprobs.isEmpty();
        }

        Output plus(Output more) {
            if (more.isEmpty()) {
                return this;
            }
            return isEmpty()
                    ? more
                    : new Output(join(deltas, more.deltas), join(logprobs, more.logprobs));
        }

        private static <T> List<T> join(List<T> first, List<T> second) {
            List<T> all = new ArrayList<>(first);
            all.addAll(second);
            return all;
        }

        /// What the model answers, perhaps empty.
        public String content() {
            return deltas.stream()
                    .map(delta -> delta instanceof OutputDelta.Content(var text) ? text : "")
                    .collect(Collectors.joining());
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
