package io.atoll.cli.certs;

import io.atoll.cluster.security.PemFiles;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.regex.Pattern;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.CertIOException;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/// The authority of one cluster: whoever has a certificate of it is a node of the cluster.
///
/// All keys are EC P-256, all signatures ECDSA with SHA-256 (RFC 5480, RFC 5758), the certificates X.509 v3 (RFC 5280).
final class CertificateAuthority {
    static final String CERTIFICATE = "ca.pem";
    static final String KEY = "ca.key";

    private static final String CURVE = "secp256r1";
    private static final String SIGNATURE = "SHA256withECDSA";

    /// At most 20 octets with the sign (RFC 5280, section 4.1.2.2).
    private static final int SERIAL_BITS = 158;

    /// A new certificate shall be good where the clock is a little behind.
    private static final Duration BACKDATED = Duration.ofMinutes(10);

    private static final String DNS_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    private static final Pattern DNS_NAME =
            Pattern.compile("(?=.{1,253}$)" + DNS_LABEL + "(\\." + DNS_LABEL + ")*");

    private final X509Certificate certificate;
    private final PrivateKey key;

    /// A certificate and the key that belongs to it.
    record Issued(X509Certificate certificate, PrivateKey key) {}

    private CertificateAuthority(X509Certificate certificate, PrivateKey key) {
        this.certificate = certificate;
        this.key = key;
    }

    /// A new authority, known to nobody yet.
    ///
    /// @param name stands in its certificate
    /// @param begin less ten minutes, for clocks that are behind
    static Issued create(String name, Instant begin, Instant end) {
        KeyPair pair = newKey();
        X500Name subject = named(name);
        X509v3CertificateBuilder builder = builder(subject, subject, pair.getPublic(), begin, end);
        try {
            builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(0))
                    .addExtension(
                            Extension.keyUsage,
                            true,
                            new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign))
                    .addExtension(
                            Extension.subjectKeyIdentifier,
                            false,
                            new JcaX509ExtensionUtils()
                                    .createSubjectKeyIdentifier(pair.getPublic()));
        } catch (CertIOException | GeneralSecurityException e) {
            throw new IllegalStateException("extensions of an authority", e);
        }
        return new Issued(sign(builder, pair.getPrivate()), pair.getPrivate());
    }

    /// Reads the authority that `atoll certs init` left in a directory.
    ///
    /// @throws IOException naming the file that is missing or can't be used
    static CertificateAuthority open(Path directory) throws IOException {
        Path certificateFile = directory.resolve(CERTIFICATE);
        Path keyFile = directory.resolve(KEY);
        X509Certificate certificate =
                PemFiles.certificates(contents(certificateFile), certificateFile).getFirst();
        PrivateKey key = PemFiles.privateKey(contents(keyFile), keyFile);
        if (certificate.getBasicConstraints() < 0 || !key.getAlgorithm().equals("EC")) {
            throw new IOException(
                    directory + ": is not an authority that `atoll certs init` has made");
        }
        if (!PemFiles.belongTogether(key, certificate.getPublicKey())) {
            throw new IOException("the key " + keyFile + " is not that of " + certificateFile);
        }
        return new CertificateAuthority(certificate, key);
    }

    private static byte[] contents(Path file) throws IOException {
        try {
            return Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new IOException(
                    file + ": there is no such file; `atoll certs init` makes an authority", e);
        }
    }

    X509Certificate certificate() {
        return certificate;
    }

    /// A certificate for a node, as a server and as a client, with a key of its own. It never outlives the authority's.
    ///
    /// @param name stands in it
    /// @param hosts names and addresses under which others dial the node
    /// @param begin less ten minutes, for clocks that are behind
    /// @throws IllegalArgumentException if a host is neither a DNS name nor an address
    Issued issue(String name, List<String> hosts, Instant begin, Instant end) {
        List<GeneralName> names = new ArrayList<>();
        for (String host : hosts) {
            names.add(
                    new GeneralName(
                            isAddress(host) ? GeneralName.iPAddress : GeneralName.dNSName, host));
        }
        KeyPair pair = newKey();
        Instant last = certificate.getNotAfter().toInstant();
        X509v3CertificateBuilder builder =
                builder(
                        X500Name.getInstance(certificate.getSubjectX500Principal().getEncoded()),
                        named(name),
                        pair.getPublic(),
                        begin,
                        end.isAfter(last) ? last : end);
        try {
            JcaX509ExtensionUtils identifiers = new JcaX509ExtensionUtils();
            builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(false))
                    .addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.digitalSignature))
                    .addExtension(
                            Extension.extendedKeyUsage,
                            false,
                            new ExtendedKeyUsage(
                                    new KeyPurposeId[] {
                                        KeyPurposeId.id_kp_serverAuth, KeyPurposeId.id_kp_clientAuth
                                    }))
                    .addExtension(
                            Extension.subjectAlternativeName,
                            false,
                            new GeneralNames(names.toArray(GeneralName[]::new)))
                    .addExtension(
                            Extension.authorityKeyIdentifier,
                            false,
                            identifiers.createAuthorityKeyIdentifier(certificate.getPublicKey()))
                    .addExtension(
                            Extension.subjectKeyIdentifier,
                            false,
                            identifiers.createSubjectKeyIdentifier(pair.getPublic()));
        } catch (CertIOException | GeneralSecurityException e) {
            throw new IllegalStateException("extensions of a node", e);
        }
        return new Issued(sign(builder, key), pair.getPrivate());
    }

    /// Whether it is an IP address; what is not has to be a DNS name.
    private static boolean isAddress(String host) {
        try {
            InetAddress.ofLiteral(host);
            return true;
        } catch (IllegalArgumentException e) {
            if (DNS_NAME.matcher(host).matches()) {
                return false;
            }
            throw new IllegalArgumentException("neither a DNS name nor an IP address: " + host, e);
        }
    }

    private static KeyPair newKey() {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(new ECGenParameterSpec(CURVE), new SecureRandom());
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("this Java has no " + CURVE, e);
        }
    }

    private static X500Name named(String name) {
        return new X500NameBuilder(BCStyle.INSTANCE).addRDN(BCStyle.CN, name).build();
    }

    private static X509v3CertificateBuilder builder(
            X500Name issuer, X500Name subject, PublicKey key, Instant begin, Instant end) {
        return new JcaX509v3CertificateBuilder(
                issuer,
                new BigInteger(SERIAL_BITS, new SecureRandom()).add(BigInteger.ONE),
                Date.from(begin.minus(BACKDATED)),
                Date.from(end),
                subject,
                key);
    }

    private static X509Certificate sign(X509v3CertificateBuilder builder, PrivateKey key) {
        try {
            return new JcaX509CertificateConverter()
                    .getCertificate(
                            builder.build(new JcaContentSignerBuilder(SIGNATURE).build(key)));
        } catch (OperatorCreationException | GeneralSecurityException e) {
            throw new IllegalStateException("this Java has no " + SIGNATURE, e);
        }
    }
}
