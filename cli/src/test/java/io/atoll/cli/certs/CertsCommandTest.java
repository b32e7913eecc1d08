package io.atoll.cli.certs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cli.Main;
import io.atoll.cluster.security.PemFiles;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class CertsCommandTest {
    private final StringWriter out = new StringWriter();
    private final StringWriter errors = new StringWriter();
    @TempDir private Path directory;

    @Test
    void aNodesCertificateIsOfTheAuthorityForItsHostsAndAYear() throws Exception {
        Path ca = init("ca");
        Path node = directory.resolve("new/w1");
        assertEquals(0, issue("w1", node, "--host=10.0.0.11", "--host=w1.lab"), errors.toString());

        X509Certificate authority = only(ca.resolve("ca.pem"));
        X509Certificate certificate = only(node.resolve("node.pem"));
        certificate.verify(authority.getPublicKey());
        authority.verify(authority.getPublicKey());
        assertEquals("CN=w1", certificate.getSubjectX500Principal().toString());
        assertEquals(
                List.of(List.of(7, "10.0.0.11"), List.of(2, "w1.lab")), // RFC 5280, GeneralName
                List.copyOf(certificate.getSubjectAlternativeNames()));
        assertEquals(
                List.of("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"), // serverAuth, clientAuth
                certificate.getExtendedKeyUsage());
        assertEquals(-1, certificate.getBasicConstraints(), "a node signs nobody");
        assertEquals(0, authority.getBasicConstraints(), "whom the authority signs, neither");
        assertTrue(
                PemFiles.belongTogether(
                        PemFiles.privateKey(
                                Files.readAllBytes(node.resolve("node.key")), directory),
                        certificate.getPublicKey()));
        long days =
                Duration.between(Instant.now(), certificate.getNotAfter().toInstant()).toHours();
        assertEquals(365 * 24 - 1, days);
        assertEquals(only(node.resolve("ca.pem")), authority);
    }

    @Test
    void onlyTheOwnerCanReadKeys() throws Exception {
        Path ca = init("ca");
        assertEquals(0, issue("w1", directory.resolve("w1")), errors.toString());
        for (Path key : List.of(ca.resolve("ca.key"), directory.resolve("w1/node.key"))) {
            assertEquals("rw-------", permissions(key), key.toString());
        }
        assertEquals("rw-r--r--", permissions(directory.resolve("w1/node.pem")));
    }

    @Test
    void whatIsThereIsNotOverwritten() throws Exception {
        Path ca = init("ca");
        byte[] before = Files.readAllBytes(ca.resolve("ca.key"));
        Files.delete(ca.resolve("ca.pem")); // the key alone is reason enough
        assertEquals(1, run("certs", "init", ca.toString()));
        assertTrue(
                errors.toString().contains(ca.resolve("ca.key") + " is there already"),
                errors.toString());
        assertEquals(List.of("ca.key"), names(ca));
        assertEquals(before.length, Files.readAllBytes(ca.resolve("ca.key")).length);

        init("other");
        Path node = Files.createDirectory(directory.resolve("w1"));
        Files.writeString(node.resolve("node.key"), "mine");
        assertEquals(
                1,
                run(
                        "certs",
                        "issue",
                        "w1",
                        "--ca",
                        "" + directory.resolve("other"),
                        "--out",
                        "" + node));
        assertEquals("mine", Files.readString(node.resolve("node.key")));
        assertEquals(List.of("node.key"), names(node));
    }

    @Test
    void twoNodesHaveDifferentKeysAndSerialNumbers() throws Exception {
        init("ca");
        assertEquals(0, issue("w1", directory.resolve("a")));
        assertEquals(0, issue("w1", directory.resolve("b")));
        X509Certificate a = only(directory.resolve("a/node.pem"));
        X509Certificate b = only(directory.resolve("b/node.pem"));
        assertNotEquals(a.getPublicKey(), b.getPublicKey());
        assertNotEquals(a.getSerialNumber(), b.getSerialNumber());
    }

    @Test
    void aNodeDoesNotOutliveItsAuthority() throws Exception {
        init("ca", "--days=10");
        assertEquals(0, issue("w1", directory.resolve("w1"), "--days=11"));
        assertEquals(
                only(directory.resolve("ca/ca.pem")).getNotAfter(),
                only(directory.resolve("w1/node.pem")).getNotAfter());
    }

    @Test
    void showSaysWhoUntilWhenAndTheFingerprint() throws Exception {
        init("ca", "--name=lab");
        assertEquals(0, issue("w1", directory.resolve("w1"), "--host=::1", "--days=30"));
        out.getBuffer().setLength(0);
        assertEquals(0, run("certs", "show", directory.resolve("w1/node.pem").toString()));
        String shown = out.toString();
        assertTrue(shown.startsWith("node CN=w1\n  issued by    CN=lab\n"), shown);
        assertTrue(shown.contains("hosts        0:0:0:0:0:0:0:1\n"), shown);
        assertTrue(shown.contains(" (29 days left)\n"), shown);
        assertTrue(
                shown.matches("(?s).*\\n  sha-256      ([0-9A-F]{2}:){31}[0-9A-F]{2}\\n"), shown);
        out.getBuffer().setLength(0);
        assertEquals(0, run("certs", "show", directory.resolve("ca/ca.pem").toString()));
        assertTrue(out.toString().startsWith("authority CN=lab\n"), out.toString());
        assertFalse(out.toString().contains("hosts"), out.toString());
    }

    @Test
    void whatIsWrongIsNamed() throws Exception {
        Path none = directory.resolve("none");
        assertEquals(
                1,
                run(
                        "certs",
                        "issue",
                        "w",
                        "--ca",
                        "" + none,
                        "--out",
                        "" + directory.resolve("w")));
        assertTrue(
                errors.toString().contains(none.resolve("ca.pem") + ": there is no such file"),
                errors.toString());
        assertFalse(Files.exists(directory.resolve("w")), "nothing is left behind");
        init("ca");
        assertEquals(2, issue("w", directory.resolve("w"), "--host=a_b"));
        assertTrue(
                errors.toString().contains("neither a DNS name nor an IP address: a_b"),
                errors.toString());
        assertEquals(2, issue("two words", directory.resolve("w")), "a name is the default host");
        assertEquals(2, issue("w", directory.resolve("w"), "--days=0"));
        assertEquals(2, run("certs", "init", "" + none, "--days=0"));
        assertFalse(Files.exists(none));
        Path text = Files.writeString(directory.resolve("text"), "nothing");
        assertEquals(1, run("certs", "show", text.toString()));
        assertTrue(errors.toString().contains(text + ": "), errors.toString());
    }

    private Path init(String name, String... more) {
        Path made = directory.resolve(name);
        String[] arguments = new String[3 + more.length];
        arguments[0] = "certs";
        arguments[1] = "init";
        arguments[2] = made.toString();
        System.arraycopy(more, 0, arguments, 3, more.length);
        assertEquals(0, run(arguments), errors.toString());
        return made;
    }

    private int issue(String name, Path to, String... more) {
        String[] arguments = new String[5 + more.length];
        arguments[0] = "certs";
        arguments[1] = "issue";
        arguments[2] = name;
        arguments[3] = "--ca=" + directory.resolve("ca");
        arguments[4] = "--out=" + to;
        System.arraycopy(more, 0, arguments, 5, more.length);
        return run(arguments);
    }

    private int run(String... arguments) {
        CommandLine command = Main.commandLine();
        return command.setOut(new PrintWriter(out, true))
                .setErr(new PrintWriter(errors, true))
                .execute(arguments);
    }

    private static X509Certificate only(Path file) throws IOException {
        List<X509Certificate> all = PemFiles.certificates(Files.readAllBytes(file), file);
        assertEquals(1, all.size(), file.toString());
        return all.getFirst();
    }

    private static String permissions(Path file) throws IOException {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
    }

    private static List<String> names(Path directory) throws IOException {
        try (var files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }
}
