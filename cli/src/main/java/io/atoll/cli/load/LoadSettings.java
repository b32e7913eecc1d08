package io.atoll.cli.load;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalDouble;

/// What load to make. Lengths are means; the lengths themselves are drawn from the seed.
///
/// @param users sessions at a time (closed loop); not used where there is a rate
/// @param rate sessions that start per second (open loop), with exponential gaps
/// @param maxOpenSessions arrivals of the open loop beyond it are not started, and counted
/// @param maxSessions sessions in all; the load ends when they have
/// @param duration no request starts after it; the ones that run may end
/// @param turns requests of one session
/// @param think mean pause between an answer and the next turn
/// @param systemWords words of the system prompt that all sessions share
/// @param turnWords words that each turn adds
/// @param outputTokens tokens of an answer
/// @param naturalEnds whether the model may end an answer before its drawn length
/// @param timeout longest time of one request
public record LoadSettings(
        String model,
        int users,
        OptionalDouble rate,
        int maxOpenSessions,
        int maxSessions,
        Duration duration,
        int turns,
        Duration think,
        int systemWords,
        int turnWords,
        int outputTokens,
        boolean naturalEnds,
        Duration timeout,
        Slo slo,
        long seed) {

    /// What a request must keep to be good.
    ///
    /// @param timeToFirst longest time to the first token
    /// @param perToken longest mean time per token after the first
    public record Slo(Optional<Duration> timeToFirst, Optional<Duration> perToken) {
        boolean keptBy(RequestRecord request) {
            return request.isOk()
                    && timeToFirst.stream().allMatch(d -> request.firstNanos() <= d.toNanos())
                    && perToken.stream()
                            .allMatch(d -> request.perTokenNanos().orElse(0) <= d.toNanos());
        }
    }
}
