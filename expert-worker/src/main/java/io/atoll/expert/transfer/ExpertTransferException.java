package io.atoll.expert.transfer;

import java.io.Serial;

/// An expert could be had from no peer.
public final class ExpertTransferException extends RuntimeException {
    @Serial private static final long serialVersionUID = 1;

    public ExpertTransferException(String message) {
        super(message);
    }

    ExpertTransferException(String message, Throwable cause) {
        super(message, cause);
    }
}
