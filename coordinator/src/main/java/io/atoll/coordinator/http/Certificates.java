package io.atoll.coordinator.http;

import com.linecorp.armeria.common.TlsKeyPair;
import com.linecorp.armeria.common.TlsProvider;
import io.atoll.cluster.security.PemFiles;
import io.atoll.cluster.security.WatchedFiles;
import io.atoll.coordinator.gate.GateSettings.TlsFiles;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.security.PublicKey;
import java.util.List;

/// The certificate that new connections get: that of the files as they are now. Open connections keep theirs.
final class Certificates implements TlsProvider {
    private final WatchedFiles<TlsKeyPair> files;

    /// @throws IOException naming the file, if they can't be used
    Certificates(TlsFiles tls) throws IOException {
        files =
                new WatchedFiles<>(
                        List.of(tls.certificate(), tls.key()), contents -> read(tls, contents));
    }

    /// Looks whether the files have changed.
    void check() {
        files.check();
    }

    /// Asked at each handshake.
    @Override
    public TlsKeyPair keyPair(String hostname) {
        return files.current();
    }

    private static TlsKeyPair read(TlsFiles tls, List<byte[]> contents) throws IOException {
        TlsKeyPair pair;
        try {
            pair =
                    TlsKeyPair.of(
                            new ByteArrayInputStream(contents.get(1)),
                            new ByteArrayInputStream(contents.get(0)));
        } catch (RuntimeException e) {
            throw new IOException(
                    "not a PEM certificate and its key: certificate "
                            + tls.certificate()
                            + ", key "
                            + tls.key()
                            + ": "
                            + reason(e),
                    e);
        }
        PublicKey known = pair.certificateChain().getFirst().getPublicKey();
        if (!PemFiles.belongTogether(pair.privateKey(), known)) {
            // Also what is seen between the two writes of a renewal.
            throw new IOException(
                    "the key "
                            + tls.key()
                            + " is not that of the certificate "
                            + tls.certificate());
        }
        return pair;
    }

    private static String reason(Throwable failure) {
        Throwable last = failure;
        while (last.getCause() != null) {
            last = last.getCause();
        }
        return String.valueOf(last.getMessage());
    }
}
