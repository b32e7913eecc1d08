package io.atoll.coordinator.http;

import io.atoll.proto.ErrorCode;
import java.util.OptionalInt;

/// How long prompts and answers may be: what the settings allow and the model can hold.
///
/// @param maxPromptTokens longest prompt
/// @param maxOutputTokens longest answer that can be asked for
/// @param maxSequenceTokens longest prompt and answer together
record RequestLimits(int maxPromptTokens, int maxOutputTokens, int maxSequenceTokens) {
    static RequestLimits of(HttpSettings settings, int maxSequenceTokens) {
        return new RequestLimits(
                Math.min(settings.maxPromptTokens(), maxSequenceTokens - 1),
                Math.min(settings.maxOutputTokens(), maxSequenceTokens - 1),
                maxSequenceTokens);
    }

    /// How many tokens an answer may have. A client that does not say gets what is left.
    ///
    /// @param param the field that holds the prompt, for messages
    int outputTokens(int promptTokens, OptionalInt wanted, String param) {
        if (promptTokens > maxPromptTokens) {
            throw RequestException.of(
                    ErrorCode.PROMPT_TOO_LONG,
                    param,
                    "the prompt is too long: "
                            + promptTokens
                            + " tokens, at most "
                            + maxPromptTokens);
        }
        int left = maxSequenceTokens - promptTokens;
        if (wanted.orElse(1) > left) {
            throw RequestException.of(
                    ErrorCode.PROMPT_TOO_LONG,
                    param,
                    "prompt and answer are too long together: "
                            + promptTokens
                            + " + "
                            + wanted.orElseThrow()
                            + " tokens, at most "
                            + maxSequenceTokens);
        }
        return wanted.orElse(Math.min(left, maxOutputTokens));
    }
}
