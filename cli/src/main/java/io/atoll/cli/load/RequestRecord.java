package io.atoll.cli.load;

import java.util.OptionalDouble;

/// One request and how it ended. Times are nanoseconds.
///
/// @param startNanos since the load began
/// @param outcome `ok`, or what went wrong, such as `429 rate_limit_exceeded`
/// @param firstNanos to the first token; -1 if there was none
/// @param totalNanos to the end, however it ended
/// @param gapNanos times between the parts of the answer
public record RequestRecord(
        int session,
        int turn,
        long startNanos,
        String outcome,
        int promptTokens,
        int cachedTokens,
        int completionTokens,
        long firstNanos,
        long totalNanos,
        long[] gapNanos) {
    static final String OK = "ok";

    boolean isOk() {
        return outcome.equals(OK);
    }

    /// Mean time per token after the first; nothing for answers of one token.
    OptionalDouble perTokenNanos() {
        return completionTokens < 2 || firstNanos < 0
                ? OptionalDouble.empty()
                : OptionalDouble.of((totalNanos - firstNanos) / (completionTokens - 1.0));
    }
}
