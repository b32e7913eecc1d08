package io.atoll.attention.moe;

/// What one worker has done for this attention worker since the start: who computed what, and where the time went.
///
/// @param name of the worker
/// @param address where it listens, `host:port`
/// @param live whether its stream is up
/// @param experts (layer, expert) pairs it holds, or last held
/// @param messages answered dispatch messages
/// @param rows in them
/// @param routes (row, expert) pairs in them
/// @param bytesSent of requests
/// @param bytesReceived of replies
/// @param queueNanos that requests waited at the worker
/// @param computeNanos of the batches that had them, as the worker reports
/// @param roundTripNanos from sending until the reply was there
/// @param failures messages that ended with an error or the stream's end
/// @param connects streams opened
public record WorkerStatistics(
        String name,
        String address,
        boolean live,
        int experts,
        long messages,
        long rows,
        long routes,
        long bytesSent,
        long bytesReceived,
        long queueNanos,
        long computeNanos,
        long roundTripNanos,
        long failures,
        long connects) {}
