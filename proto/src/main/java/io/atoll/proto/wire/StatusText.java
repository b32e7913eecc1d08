package io.atoll.proto.wire;

import io.grpc.Status;
import io.netty.handler.ssl.NotSslRecordException;
import java.nio.channels.ClosedChannelException;

/// How a call ended, in one line for a log or an error.
public final class StatusText {
    private StatusText() {}

    /// The code, what gRPC says of it, and the first cause: the outer ones of a failed handshake say only that it failed. Further lines of
    /// gRPC's list the handlers of the connection.
    public static String of(Status status) {
        StringBuilder text = new StringBuilder(status.getCode().toString());
        if (status.getDescription() != null) {
            text.append(": ").append(status.getDescription().lines().findFirst().orElse(""));
        }
        if (status.getCause() != null) {
            text.append(" (").append(cause(status.getCause())).append(')');
        }
        return text.toString();
    }

    /// What the first cause says; a TLS library's codes in words.
    static String cause(Throwable failure) {
        Throwable last = failure;
        while (last.getCause() != null) {
            last = last.getCause();
        }
        if (last instanceof NotSslRecordException) {
            return "the peer does not speak TLS";
        }
        if (last instanceof ClosedChannelException) {
            return "the peer closed the connection";
        }
        String text = last.getMessage() == null ? last.toString() : last.getMessage();
        if (text.contains("PEER_DID_NOT_RETURN_A_CERTIFICATE")
                || text.contains("Empty client certificate chain")) {
            return "the peer shows no certificate";
        }
        if (text.contains("_ALERT_") || text.contains("fatal alert")) {
            return "the peer ended the handshake, its log says why: " + text;
        }
        return text;
    }
}
