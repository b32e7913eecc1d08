package io.atoll.cluster.security;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Certificates and keys as PEM.
public final class PemFiles {
    private static final Pattern PRIVATE_KEY =
            Pattern.compile("-----BEGIN PRIVATE KEY-----([^-]*)-----END PRIVATE KEY-----");
    private static final Pattern OTHER_KEY =
            Pattern.compile("-----BEGIN ((?:ENCRYPTED|EC|RSA) PRIVATE KEY)-----");
    private static final List<String> KEY_ALGORITHMS = List.of("EC", "RSA", "Ed25519");

    private PemFiles() {}

    /// The certificates in a file's contents, in order, at least one.
    ///
    /// @param file for messages
    /// @throws IOException naming the file, if there is none or one is damaged
    public static List<X509Certificate> certificates(byte[] contents, Path file)
            throws IOException {
        List<X509Certificate> certificates = new ArrayList<>();
        try {
            CertificateFactory factory = CertificateFactory.getInstance("X.509");
            for (Certificate certificate :
                    factory.generateCertificates(new ByteArrayInputStream(contents))) {
                certificates.add((X509Certificate) certificate);
            }
        } catch (CertificateException e) {
            throw new IOException(file + ": not PEM certificates: " + e.getMessage(), e);
        }
        if (certificates.isEmpty()) {
            throw new IOException(file + ": holds no certificate");
        }
        return certificates;
    }

    /// The private key in a file's contents, PKCS #8 and not encrypted.
    ///
    /// @param file for messages, which never show the key
    /// @throws IOException naming the file, if there is none that can be used
    public static PrivateKey privateKey(byte[] contents, Path file) throws IOException {
        String text = new String(contents, StandardCharsets.ISO_8859_1);
        Matcher matcher = PRIVATE_KEY.matcher(text);
        if (!matcher.find()) {
            Matcher other = OTHER_KEY.matcher(text);
            throw new IOException(
                    file
                            + (other.find()
                                    ? ": holds an "
                                            + other.group(1)
                                            + ", expected one in PKCS #8, not encrypted (openssl"
                                            + " pkcs8 -topk8 -nocrypt)"
                                    : ": holds no PEM private key"));
        }
        byte[] encoded;
        try {
            encoded = Base64.getMimeDecoder().decode(matcher.group(1));
        } catch (IllegalArgumentException e) {
            throw new IOException(file + ": the private key is damaged", e);
        }
        for (String algorithm : KEY_ALGORITHMS) {
            try {
                return KeyFactory.getInstance(algorithm)
                        .generatePrivate(new PKCS8EncodedKeySpec(encoded));
            } catch (GeneralSecurityException _) {
                // Of another kind, or of none.
            }
        }
        throw new IOException(
                file + ": the private key is damaged or of a kind other than " + KEY_ALGORITHMS);
    }

    /// The PEM form.
    public static String write(X509Certificate certificate) {
        try {
            return write("CERTIFICATE", certificate.getEncoded());
        } catch (CertificateException e) {
            throw new IllegalArgumentException("not a certificate that can be written", e);
        }
    }

    /// The PEM form, PKCS #8, not encrypted.
    public static String write(PrivateKey key) {
        return write("PRIVATE KEY", key.getEncoded());
    }

    private static String write(String kind, byte[] bytes) {
        return "-----BEGIN "
                + kind
                + "-----\n"
                + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(bytes)
                + "\n-----END "
                + kind
                + "-----\n";
    }

    /// Whether what one signs the other confirms.
    public static boolean belongTogether(PrivateKey secret, PublicKey known) {
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
