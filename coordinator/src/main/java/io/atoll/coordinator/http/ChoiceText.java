package io.atoll.coordinator.http;

import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.TokenLogprobs;
import io.atoll.model.chat.OutputDelta;
import java.util.ArrayList;
import java.util.List;

/// One choice of an answer, collected from its events.
final class ChoiceText {
    /// A complete call.
    record Call(String id, String name, String arguments) {}

    private final StringBuilder reasoning = new StringBuilder();
    private final StringBuilder content = new StringBuilder();
    private final List<Call> calls = new ArrayList<>();
    private final List<TokenLogprobs> logprobs = new ArrayList<>();
    private String callId = "";
    private String callName = "";

    void add(GenerationEvent.Output output) {
        logprobs.addAll(output.logprobs());
        for (OutputDelta delta : output.deltas()) {
            switch (delta) {
                case OutputDelta.Reasoning(var text) -> reasoning.append(text);
                case OutputDelta.Content(var text) -> content.append(text);
                case OutputDelta.CallStarted(int _, var id, var name) -> {
                    callId = id;
                    callName = name;
                }
                case OutputDelta.Arguments _ -> {} // the end has all of them
                case OutputDelta.CallEnded(int _, var arguments) ->
                        calls.add(new Call(callId, callName, arguments));
            }
        }
    }

    String reasoning() {
        return reasoning.toString();
    }

    String content() {
        return content.toString();
    }

    List<Call> calls() {
        return calls;
    }

    List<TokenLogprobs> logprobs() {
        return logprobs;
    }
}
