package io.atoll.expert.batch;

import io.atoll.proto.Failure;
import io.atoll.proto.wire.FlightMessage;
import io.atoll.proto.wire.RequestReader.Request;
import java.lang.foreign.MemorySegment;

/// One message's rows on their way through the queue, with where the answer goes.
///
/// @param message the memory of the request; closed by whoever answers or drops it
/// @param request rows and routes in that memory; whether the experts are held is seen when its turn comes
/// @param quantized whether the rows are int8
/// @param arrivedNanos [System#nanoTime] at its arrival
/// @param deadlineNanos [System#nanoTime] past which nobody waits for it
/// @param owner who gets the answer
public record PendingDispatch(
        FlightMessage message,
        Request request,
        boolean quantized,
        long arrivedNanos,
        long deadlineNanos,
        Owner owner) {

    /// Who sent a dispatch. Called by the compute thread.
    public interface Owner {
        /// Whether the stream has ended: nobody would read the answer.
        boolean isGone();

        /// The sums are there.
        ///
        /// @param sums int64 `[rows, hidden]`, borrowed for the call
        void computed(PendingDispatch dispatch, MemorySegment sums, Timing timing);

        /// There are none.
        void failed(PendingDispatch dispatch, Failure failure, Timing timing);
    }

    /// Where the time went.
    ///
    /// @param queueNanos from arrival until its batch began
    /// @param computeNanos of its batch
    /// @param weightBytes read by its batch
    public record Timing(long queueNanos, long computeNanos, long weightBytes) {}
}
