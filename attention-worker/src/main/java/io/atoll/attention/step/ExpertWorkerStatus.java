package io.atoll.attention.step;

/// What one expert worker has done for this attention worker since its start.
///
/// @param name of the worker
/// @param address where it listens, `host:port`
/// @param live whether its stream is up
/// @param experts (layer, expert) pairs it holds, or last held
/// @param dispatches messages it has answered
/// @param rows in them
/// @param bytesSent of requests
/// @param bytesReceived of replies
/// @param computeNanos that it computed, as it reports
/// @param roundTripNanos from sending a request until its reply was there, all dispatches together
/// @param failures messages that ended with an error or the stream's end
public record ExpertWorkerStatus(
        String name,
        String address,
        boolean live,
        int experts,
        long dispatches,
        long rows,
        long bytesSent,
        long bytesReceived,
        long computeNanos,
        long roundTripNanos,
        long failures) {}
