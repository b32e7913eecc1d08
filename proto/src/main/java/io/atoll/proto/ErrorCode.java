package io.atoll.proto;

import io.grpc.Status;

/// Every error that crosses a process or reaches a client, in one table: its kind, whether a retry can help, and its HTTP
/// and gRPC status.
public enum ErrorCode {
    INVALID_REQUEST(Kind.USER, false, 400, Status.Code.INVALID_ARGUMENT),
    PROMPT_TOO_LONG(Kind.USER, false, 400, Status.Code.INVALID_ARGUMENT),
    /// No API key, or an unknown one.
    INVALID_API_KEY(Kind.USER, false, 401, Status.Code.UNAUTHENTICATED),
    /// The API key is not good for this.
    MISSING_SCOPE(Kind.USER, false, 403, Status.Code.PERMISSION_DENIED),
    MODEL_NOT_FOUND(Kind.USER, false, 404, Status.Code.NOT_FOUND),
    ROUTE_NOT_FOUND(Kind.USER, false, 404, Status.Code.NOT_FOUND),
    METHOD_NOT_ALLOWED(Kind.USER, false, 405, Status.Code.UNIMPLEMENTED),
    BODY_TOO_LARGE(Kind.USER, false, 413, Status.Code.RESOURCE_EXHAUSTED),
    UNSUPPORTED_MEDIA_TYPE(Kind.USER, false, 415, Status.Code.INVALID_ARGUMENT),
    /// The client went away or asked to stop.
    CANCELLED(Kind.USER, false, 499, Status.Code.CANCELLED),
    /// More than its API key may ask for.
    RATE_LIMIT_EXCEEDED(Kind.OVERLOAD, true, 429, Status.Code.RESOURCE_EXHAUSTED),
    /// A bounded queue or pool is full.
    OVERLOADED(Kind.OVERLOAD, true, 429, Status.Code.RESOURCE_EXHAUSTED),
    /// The process is starting, draining or stopping.
    NOT_READY(Kind.OVERLOAD, true, 503, Status.Code.UNAVAILABLE),
    /// No live worker holds an expert that is needed.
    NO_LIVE_REPLICA(Kind.INTERNAL, true, 503, Status.Code.UNAVAILABLE),
    /// The attention worker cannot be reached.
    ATTENTION_UNAVAILABLE(Kind.INTERNAL, true, 503, Status.Code.UNAVAILABLE),
    DEADLINE_EXCEEDED(Kind.INTERNAL, true, 504, Status.Code.DEADLINE_EXCEEDED),
    /// Two processes that do not belong together: wire version, cluster, model, arithmetic or epoch differ.
    HELLO_MISMATCH(Kind.INTERNAL, false, 500, Status.Code.FAILED_PRECONDITION),
    /// Bytes from a peer that do not parse or contradict themselves.
    MALFORMED_MESSAGE(Kind.INTERNAL, false, 500, Status.Code.INVALID_ARGUMENT),
    /// A dispatch names an expert that this worker does not hold.
    EXPERT_NOT_HELD(Kind.INTERNAL, true, 503, Status.Code.NOT_FOUND),
    /// An expert's output is infinite or not a number, or past the combine's grid.
    NON_FINITE_OUTPUT(Kind.INTERNAL, false, 500, Status.Code.DATA_LOSS),
    /// A checkpoint file is missing, torn or contradicts itself.
    CORRUPT_CHECKPOINT(Kind.INTERNAL, false, 500, Status.Code.DATA_LOSS),
    /// The step names a sequence the worker does not know, or at a position it is not at.
    SEQUENCE_LOST(Kind.INTERNAL, true, 503, Status.Code.ABORTED),
    /// A bug of ours.
    INTERNAL(Kind.INTERNAL, false, 500, Status.Code.INTERNAL);

    /// Whose fault an error is.
    public enum Kind {
        USER,
        OVERLOAD,
        INTERNAL
    }

    private final Kind kind;
    private final boolean retryHelps;
    private final int httpStatus;
    private final Status.Code grpcCode;

    ErrorCode(Kind kind, boolean retryHelps, int httpStatus, Status.Code grpcCode) {
        this.kind = kind;
        this.retryHelps = retryHelps;
        this.httpStatus = httpStatus;
        this.grpcCode = grpcCode;
    }

    public Kind kind() {
        return kind;
    }

    /// Whether the same request can succeed later without a change.
    public boolean retryHelps() {
        return retryHelps;
    }

    public int httpStatus() {
        return httpStatus;
    }

    public Status.Code grpcCode() {
        return grpcCode;
    }
}
