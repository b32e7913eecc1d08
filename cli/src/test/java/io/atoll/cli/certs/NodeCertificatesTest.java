package io.atoll.cli.certs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cli.certs.TestCluster.Node;
import io.atoll.cluster.security.NodeCertificates;
import io.atoll.cluster.security.PemFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The files of a node: which come into force, and what is said of the others.
class NodeCertificatesTest {
    @TempDir private Path directory;
    private TestCluster cluster;
    private Node node;

    @BeforeEach
    void files() throws IOException {
        cluster = new TestCluster(directory.resolve("ours"));
        node = cluster.node("w1");
    }

    @Test
    void filesThatCannotServeAreNamedWithTheReason() throws Exception {
        open(node); // as they are
        Files.writeString(node.key(), PemFiles.write(cluster.issue("x", Duration.ofDays(1)).key()));
        assertEquals(
                "the key " + node.key() + " is not that of the certificate " + node.certificate(),
                refusal());
        Files.delete(node.key());
        assertEquals(node.key() + ": there is no such file", refusal());
        Files.writeString(node.key(), "-----BEGIN EC PRIVATE KEY-----\nAAAA\n");
        assertTrue(
                refusal()
                        .startsWith(
                                node.key() + ": holds an EC PRIVATE KEY, expected one in PKCS #8"));
        Files.writeString(node.key(), "nothing");
        assertEquals(node.key() + ": holds no PEM private key", refusal());
        Files.writeString(
                node.key(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        assertTrue(refusal().startsWith(node.key() + ": the private key is damaged"), refusal());

        node.replace(cluster.issue("w1", Duration.ofMinutes(-1)));
        assertTrue(
                refusal()
                        .startsWith(
                                node.certificate()
                                        + ": the certificate of CN=w1 by CN=test ended on "),
                refusal());
        node.replace(cluster.issue("w1", Duration.ofDays(92)));
        assertTrue(refusal().contains("begins on "), refusal());
        node.replace(new TestCluster(directory.resolve("theirs")).issue("w1", Duration.ofDays(1)));
        assertTrue(refusal().endsWith(" is not of the authority in " + cluster.ca()), refusal());
        Files.writeString(node.certificate(), "");
        assertEquals(node.certificate() + ": holds no certificate", refusal());

        node.replace(cluster.issue("w1", Duration.ofDays(1)));
        Files.copy(node.certificate(), cluster.ca(), StandardCopyOption.REPLACE_EXISTING);
        assertEquals(cluster.ca() + ": CN=w1 is not an authority's certificate", refusal());
    }

    @Test
    void aRenewedPairComesIntoForceAndAnythingElseDoesNot() throws Exception {
        NodeCertificates certificates = open(node);
        assertFalse(certificates.check());
        CertificateAuthority.Issued renewed = cluster.issue("w1", Duration.ofDays(60));
        Files.writeString(node.key(), PemFiles.write(renewed.key()));
        assertFalse(certificates.check(), "between the two writes");
        node.replace(cluster.issue("w1", Duration.ofDays(-1)));
        assertFalse(certificates.check(), "over");
        node.replace(renewed);
        assertTrue(certificates.check());
        assertEquals(renewed.certificate(), certificates.certificate());
        assertEquals(renewed.key(), certificates.keyManager().getPrivateKey("node"));
    }

    /// Both have the same name, as those of `atoll certs init` do.
    @Test
    void whileAnAuthorityIsReplacedBothHold() throws Exception {
        TestCluster next = new TestCluster(directory.resolve("next"));
        Files.writeString(cluster.ca(), Files.readString(next.ca()), StandardOpenOption.APPEND);
        NodeCertificates certificates = open(node);
        CertificateAuthority.Issued issued = next.issue("w1", Duration.ofDays(60));
        node.replace(issued);
        assertTrue(certificates.check());
        Files.copy(next.ca(), cluster.ca(), StandardCopyOption.REPLACE_EXISTING);
        assertTrue(certificates.check());
        node.replace(cluster.issue("w1", Duration.ofDays(60)));
        assertFalse(certificates.check(), "of the authority that is gone");
        assertEquals(issued.certificate(), certificates.certificate());
    }

    private String refusal() {
        return assertThrows(IOException.class, () -> open(node)).getMessage();
    }

    private static NodeCertificates open(Node node) throws IOException {
        return new NodeCertificates(node.ca(), node.certificate(), node.key());
    }
}
