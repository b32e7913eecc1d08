package io.atoll.coordinator.gate;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// What stands in front of the API.
///
/// @param apiKeys file of the keys; empty lets anybody in
/// @param tls what to serve HTTPS with; empty serves HTTP
/// @param corsOrigins whose web pages may use the API from a browser
/// @param accessLog whether each request is logged
public record GateSettings(
        Optional<Path> apiKeys,
        Optional<TlsFiles> tls,
        List<String> corsOrigins,
        boolean accessLog) {
    public GateSettings {
        corsOrigins = List.copyOf(corsOrigins);
    }

    /// A certificate and its key.
    ///
    /// @param certificate PEM, the certificate first, then its issuers'
    /// @param key PEM, not encrypted
    public record TlsFiles(Path certificate, Path key) {}

    /// Open to everybody who reaches it, and an access log.
    public static GateSettings defaults() {
        return new GateSettings(Optional.empty(), Optional.empty(), List.of(), true);
    }
}
