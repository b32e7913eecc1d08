package io.atoll.cli.certs;

import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.security.PemFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;

/// An authority and the files of nodes, among them some that `atoll certs` would not make.
final class TestCluster {
    private final Path directory;
    private final CertificateAuthority authority;

    /// @param directory for the files, made here
    TestCluster(Path directory) throws IOException {
        this.directory = Files.createDirectories(directory);
        Instant now = Instant.now();
        CertificateAuthority.Issued made =
                CertificateAuthority.create("test", now, now.plus(Duration.ofDays(100)));
        Files.writeString(ca(), PemFiles.write(made.certificate()));
        Files.writeString(directory.resolve("ca.key"), PemFiles.write(made.key()));
        authority = CertificateAuthority.open(directory);
    }

    Path ca() {
        return directory.resolve("ca.pem");
    }

    Node node(String name, String... hosts) throws IOException {
        return write(name, issue(name, Duration.ofDays(90), hosts));
    }

    /// What a node of 127.0.0.1 gets.
    CertificateAuthority.Issued issue(String name, Duration left, String... hosts) {
        Instant end = Instant.now().plus(left);
        return authority.issue(
                name,
                hosts.length == 0 ? List.of("127.0.0.1") : List.of(hosts),
                end.minus(Duration.ofDays(91)),
                end);
    }

    Node write(String name, CertificateAuthority.Issued issued) throws IOException {
        Node node =
                new Node(ca(), directory.resolve(name + ".pem"), directory.resolve(name + ".key"));
        node.replace(issued);
        return node;
    }

    record Node(Path ca, Path certificate, Path key) {
        void replace(CertificateAuthority.Issued by) throws IOException {
            Files.writeString(key, PemFiles.write(by.key()));
            Files.writeString(certificate, PemFiles.write(by.certificate()));
        }

        /// A cluster file with this node's security section.
        ClusterFile file() throws Exception {
            Path yaml = certificate.resolveSibling(certificate.getFileName() + ".yaml");
            Files.writeString(
                    yaml,
                    "security: {ca: '%s', certificate: '%s', key: '%s'}\n"
                            .formatted(ca, certificate, key));
            return ClusterFile.read(yaml);
        }
    }
}
