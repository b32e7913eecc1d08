package io.atoll.cli.client;

import java.io.IOException;

/// The server answered with an error, or not at all.
public final class ApiException extends IOException {
    private static final long serialVersionUID = 1;

    private final int status;
    private final String code;

    ApiException(int status, String code, String message) {
        super(message);
        this.status = status;
        this.code = code;
    }

    /// The HTTP status; 0 if there was no answer, 200 for an error in the middle of a stream.
    public int status() {
        return status;
    }

    /// The code of the server's error object, or an empty text.
    public String code() {
        return code;
    }
}
