package io.atoll.cluster.membership;

import java.io.IOException;
import java.io.Serial;

/// A node cannot be, or stay, in its cluster.
public final class MembershipException extends IOException {
    @Serial private static final long serialVersionUID = 1;

    public MembershipException(String message) {
        super(message);
    }

    public MembershipException(String message, Throwable cause) {
        super(message, cause);
    }
}
