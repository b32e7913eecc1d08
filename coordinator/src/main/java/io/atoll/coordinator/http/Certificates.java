package io.atoll.coordinator.http;

import com.linecorp.armeria.common.TlsKeyPair;
import com.linecorp.armeria.common.TlsProvider;
import io.atoll.coordinator.gate.GateSettings.TlsFiles;
import io.atoll.coordinator.gate.WatchedFiles;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Signature;
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
        if (!belongTogether(pair.privateKey(), known)) {
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

    /// Whether what one signs the other confirms.
    private static boolean belongTogether(PrivateKey secret, PublicKey known) {
        String algorithm =
                switch (secret.getAlgorithm()) {
                    case "RSA" -> "SHA256withRSA";
                    case "EC" -> "SHA256withECDSA";
                    default -> secret.getAlgorithm(); // Ed25519 and the like name the signature
                };
        byte[] text = new byte[32];
        new SecureRandom().nextBytes(text);
        try {
            Signature signature = Signature.getInstance(algorithm);
            signature.initSign(secret);
            signature.update(text);
            byte[] signed = signature.sign();
            signature.initVerify(known);
            signature.update(text);
            return signature.verify(signed);
        } catch (GeneralSecurityException e) {
            return false; // different kinds of keys
        }
    }
}
