package io.atoll.cluster.security;

import java.io.IOException;
import java.net.Socket;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateException;
import java.security.cert.PKIXReason;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedKeyManager;
import javax.net.ssl.X509ExtendedTrustManager;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// What this node shows to the others of its cluster, and by what it knows them: its certificate and key, and the authority's
/// certificates, as the files say now. New connections see a change, open ones go on.
///
/// A pair that does not fit together, that the authority has not signed or that is out of date never comes into force: at the start
/// it is an error, later a complaint in the log while the old one stays.
public final class NodeCertificates {
    private static final Logger LOG = LoggerFactory.getLogger(NodeCertificates.class);
    private static final Duration WARN_BEFORE_END = Duration.ofDays(30);
    private static final String ALIAS = "node";
    private static final String ANY_KEY_EXCHANGE = "UNKNOWN"; // as TLS 1.3 has it

    private final Path ca;
    private final Path certificate;
    private final Path key;
    private final WatchedFiles<Identity> files;

    /// @param trust knows who else is of the cluster
    private record Identity(
            List<X509Certificate> chain, PrivateKey key, X509ExtendedTrustManager trust) {}

    /// Reads the files.
    ///
    /// @param ca certificates of the authority
    /// @param certificate of this node, then of issuers between it and the authority, if there are any
    /// @param key of this node
    /// @throws IOException naming the file and what is wrong with it
    public NodeCertificates(Path ca, Path certificate, Path key) throws IOException {
        this.ca = ca;
        this.certificate = certificate;
        this.key = key;
        files = new WatchedFiles<>(List.of(ca, certificate, key), this::read);
    }

    /// Looks whether the files have changed.
    ///
    /// @return whether what they say now is new and in force
    public boolean check() {
        return files.check();
    }

    /// This node's certificate.
    public X509Certificate certificate() {
        return files.current().chain().getFirst();
    }

    private Identity read(List<byte[]> contents) throws IOException {
        List<X509Certificate> authorities = PemFiles.certificates(contents.get(0), ca);
        List<X509Certificate> chain = PemFiles.certificates(contents.get(1), certificate);
        PrivateKey secret = PemFiles.privateKey(contents.get(2), key);
        X509Certificate own = chain.getFirst();
        if (!PemFiles.belongTogether(secret, own.getPublicKey())) {
            // Also what is seen between the two writes of a renewal.
            throw new IOException(
                    "the key " + key + " is not that of the certificate " + certificate);
        }
        X509ExtendedTrustManager trust = trusting(authorities);
        X509Certificate[] shown = chain.toArray(X509Certificate[]::new);
        try {
            trust.checkClientTrusted(shown, ANY_KEY_EXCHANGE);
            trust.checkServerTrusted(shown, ANY_KEY_EXCHANGE);
        } catch (CertificateException e) {
            throw new IOException(certificate + ": " + reason(shown, e), e);
        }
        Instant end = own.getNotAfter().toInstant();
        if (end.isBefore(Instant.now().plus(WARN_BEFORE_END))) {
            LOG.warn("{} ends on {}; issue another before", certificate, end);
        }
        return new Identity(List.copyOf(chain), secret, trust);
    }

    private X509ExtendedTrustManager trusting(List<X509Certificate> authorities)
            throws IOException {
        try {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            for (X509Certificate authority : authorities) {
                if (authority.getBasicConstraints() < 0) {
                    throw new IOException(
                            ca + ": " + name(authority) + " is not an authority's certificate");
                }
                store.setCertificateEntry("ca-" + store.size(), authority);
            }
            TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
            factory.init(store);
            for (TrustManager manager : factory.getTrustManagers()) {
                if (manager instanceof X509ExtendedTrustManager trust) {
                    return trust;
                }
            }
        } catch (GeneralSecurityException e) {
            throw new IOException(ca + ": " + e.getMessage(), e);
        }
        throw new IllegalStateException("this Java has no manager of X.509 trust");
    }

    /// Why a peer's or our own certificate does not do, in words for whoever has to make another.
    private String reason(X509Certificate[] chain, CertificateException refusal) {
        X509Certificate shown = chain[0];
        Instant now = Instant.now();
        String about =
                "the certificate of " + name(shown) + " by " + shown.getIssuerX500Principal();
        if (now.isAfter(shown.getNotAfter().toInstant())) {
            return about + " ended on " + shown.getNotAfter().toInstant();
        }
        if (now.isBefore(shown.getNotBefore().toInstant())) {
            return about
                    + " begins on "
                    + shown.getNotBefore().toInstant()
                    + " only; is a clock wrong?";
        }
        Throwable last = refusal;
        while (last.getCause() != null) {
            last = last.getCause();
        }
        boolean strange =
                last instanceof CertPathBuilderException
                        || (last instanceof CertPathValidatorException validation
                                && validation.getReason() == PKIXReason.NO_TRUST_ANCHOR);
        if (strange) {
            return about + " is not of the authority in " + ca;
        }
        return about + ": " + last.getMessage();
    }

    private static String name(X509Certificate certificate) {
        return String.valueOf(certificate.getSubjectX500Principal());
    }

    /// Shows this node's certificate to either kind of peer.
    public X509ExtendedKeyManager keyManager() {
        return new OwnKey();
    }

    /// Lets in whom the authority has signed; of a server it also wants the name or address that was dialled, if the engine is told to
    /// look (`HTTPS` endpoint identification).
    public X509ExtendedTrustManager trustManager() {
        return new Peers();
    }

    // A change between the calls of one handshake fails that handshake, and the peer connects
    // again.
    private final class OwnKey extends X509ExtendedKeyManager {
        private boolean fits(String keyType) {
            String algorithm = files.current().key().getAlgorithm();
            return keyType.equals(algorithm) || keyType.startsWith(algorithm + "_");
        }

        private String alias(String... keyTypes) {
            for (String keyType : keyTypes) {
                if (fits(keyType)) {
                    return ALIAS;
                }
            }
            return null; // the interface's word for none
        }

        @Override
        public String chooseEngineClientAlias(
                String[] keyTypes, Principal[] issuers, SSLEngine engine) {
            return alias(keyTypes);
        }

        @Override
        public String chooseEngineServerAlias(
                String keyType, Principal[] issuers, SSLEngine engine) {
            return alias(keyType);
        }

        @Override
        public String chooseClientAlias(String[] keyTypes, Principal[] issuers, Socket socket) {
            return alias(keyTypes);
        }

        @Override
        public String chooseServerAlias(String keyType, Principal[] issuers, Socket socket) {
            return alias(keyType);
        }

        @Override
        public String[] getClientAliases(String keyType, Principal[] issuers) {
            return fits(keyType) ? new String[] {ALIAS} : null;
        }

        @Override
        public String[] getServerAliases(String keyType, Principal[] issuers) {
            return fits(keyType) ? new String[] {ALIAS} : null;
        }

        @Override
        public X509Certificate[] getCertificateChain(String alias) {
            return files.current().chain().toArray(X509Certificate[]::new);
        }

        @Override
        public PrivateKey getPrivateKey(String alias) {
            return files.current().key();
        }
    }

    private final class Peers extends X509ExtendedTrustManager {
        /// A look at a chain by today's authorities.
        private interface Look {
            void by(X509ExtendedTrustManager trust) throws CertificateException;
        }

        private void check(X509Certificate[] chain, Look look) throws CertificateException {
            try {
                look.by(files.current().trust());
            } catch (CertificateException e) {
                // Without the cause, which says the same in words for implementers of PKIX.
                throw new CertificateException(reason(chain, e));
            }
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine)
                throws CertificateException {
            check(chain, trust -> trust.checkClientTrusted(chain, type, engine));
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine)
                throws CertificateException {
            check(chain, trust -> trust.checkServerTrusted(chain, type, engine));
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket)
                throws CertificateException {
            check(chain, trust -> trust.checkClientTrusted(chain, type, socket));
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket)
                throws CertificateException {
            check(chain, trust -> trust.checkServerTrusted(chain, type, socket));
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type)
                throws CertificateException {
            check(chain, trust -> trust.checkClientTrusted(chain, type));
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type)
                throws CertificateException {
            check(chain, trust -> trust.checkServerTrusted(chain, type));
        }

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return files.current().trust().getAcceptedIssuers();
        }
    }
}
