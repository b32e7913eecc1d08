package io.atoll.coordinator.http;

import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.util.Optional;

/// A request that is refused: its reader throws this, and the service turns it into the answer.
final class RequestException extends RuntimeException {
    private final transient Failure failure;
    private final transient Optional<String> param;

    private RequestException(Failure failure, Optional<String> param) {
        super(failure.toString(), null, false, false); // a client's mistake needs no stack trace
        this.failure = failure;
        this.param = param;
    }

    /// @param param the field at fault, as a path: `messages[2].content`
    static RequestException of(ErrorCode code, String param, String message) {
        return new RequestException(new Failure(code, message), Optional.of(param));
    }

    static RequestException of(ErrorCode code, String message) {
        return new RequestException(new Failure(code, message), Optional.empty());
    }

    /// A field with a value that can't be used.
    static RequestException invalid(String param, String message) {
        return of(ErrorCode.INVALID_REQUEST, param, param + " " + message);
    }

    /// A field that would change the answer in a way this server does not know yet.
    static RequestException unsupported(String param) {
        return invalid(param, "is not supported yet");
    }

    Failure failure() {
        return failure;
    }

    Optional<String> param() {
        return param;
    }
}
