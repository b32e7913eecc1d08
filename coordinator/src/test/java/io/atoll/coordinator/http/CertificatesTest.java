package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.linecorp.armeria.common.TlsKeyPair;
import io.atoll.cluster.security.PemFiles;
import io.atoll.coordinator.Coordinator;
import io.atoll.coordinator.CoordinatorSettings;
import io.atoll.coordinator.LogLines;
import io.atoll.coordinator.TestCoordinator;
import io.atoll.coordinator.TestModel;
import io.atoll.coordinator.engine.EngineSettings;
import io.atoll.coordinator.gate.GateSettings;
import io.atoll.coordinator.gate.GateSettings.TlsFiles;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
final class CertificatesTest {
    private static final TlsKeyPair FIRST = TlsKeyPair.ofSelfSigned("localhost");
    private static final TlsKeyPair SECOND = TlsKeyPair.ofSelfSigned("localhost");

    @TempDir private Path directory;
    private Path certificate;
    private Path key;
    private GateSettings gate;

    @BeforeEach
    void files() {
        certificate = directory.resolve("server.pem");
        key = directory.resolve("server.key");
        gate =
                new GateSettings(
                        Optional.empty(),
                        Optional.of(new TlsFiles(certificate, key)),
                        List.of(),
                        true);
    }

    @Test
    void newConnectionsGetANewCertificateAndOpenOnesGoOn() throws Exception {
        TlsKeyPair first = FIRST;
        TlsKeyPair second = SECOND;
        write(first, first);
        try (TestCoordinator coordinator = new TestCoordinator(gate);
                Connection open = new Connection(coordinator.port())) {
            assertArrayEquals(encoded(first), open.certificate());
            assertTrue(open.isAlive());
            write(first, second); // the certificate is written after the key
            coordinator.coordinator().checkFiles();
            try (Connection between = new Connection(coordinator.port())) {
                assertArrayEquals(encoded(first), between.certificate());
            }
            write(second, second);
            coordinator.coordinator().checkFiles();
            try (Connection renewed = new Connection(coordinator.port())) {
                assertArrayEquals(encoded(second), renewed.certificate());
                assertTrue(renewed.isAlive());
            }
            assertTrue(open.isAlive());
            Files.delete(certificate);
            coordinator.coordinator().checkFiles();
            try (Connection again = new Connection(coordinator.port())) {
                assertArrayEquals(encoded(second), again.certificate());
            }
        }
    }

    @Test
    void filesThatCannotServeStopTheStartAndAreNamed() throws Exception {
        TlsKeyPair pair = FIRST;
        write(pair, pair);
        Files.delete(key);
        assertEquals(key + ": there is no such file", refusal());
        write(pair, SECOND);
        assertEquals(
                "the key " + key + " is not that of the certificate " + certificate, refusal());
        write(pair, pair);
        Files.writeString(certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n");
        assertTrue(refusal().contains(certificate.toString()), refusal());
        write(pair, pair);
        Files.writeString(key, "nothing");
        assertTrue(refusal().contains(key.toString()), refusal());
    }

    @Test
    void anOpenDoorToTheNetworkIsToldAtTheStart() throws Exception {
        try (LogLines log = new LogLines(HttpApi.class.getName())) {
            startOn("0.0.0.0", GateSettings.defaults());
            String line = log.next();
            assertTrue(line.contains("no api-keys are set"), line);
            Path keys = Files.writeString(directory.resolve("keys.yaml"), "[]");
            startOn(
                    "0.0.0.0",
                    new GateSettings(Optional.of(keys), Optional.empty(), List.of(), true));
            line = log.next();
            assertTrue(line.contains("no tls is set"), line);
            startOn("127.0.0.1", GateSettings.defaults());
            write(FIRST, FIRST);
            startOn("0.0.0.0", new GateSettings(Optional.of(keys), gate.tls(), List.of(), true));
            assertEquals(List.of(), log.soFar());
        }
    }

    private static void startOn(String host, GateSettings gate) throws IOException {
        try (Coordinator coordinator = coordinator(host, gate)) {
            coordinator.start();
        }
    }

    private String refusal() {
        return assertThrows(IOException.class, () -> coordinator("127.0.0.1", gate)).getMessage();
    }

    private static Coordinator coordinator(String host, GateSettings gate) throws IOException {
        return new Coordinator(
                new CoordinatorSettings(
                        TestCoordinator.http(Duration.ofMinutes(1)).listeningOn(host, 0),
                        gate,
                        EngineSettings.defaults(),
                        Optional.empty(),
                        Optional.empty()),
                TestModel.worker(),
                TestModel.model());
    }

    private void write(TlsKeyPair of, TlsKeyPair secret) throws IOException {
        Files.writeString(certificate, PemFiles.write(of.certificateChain().getFirst()));
        Files.writeString(key, PemFiles.write(secret.privateKey()));
    }

    private static byte[] encoded(TlsKeyPair pair) {
        try {
            return pair.certificateChain().getFirst().getEncoded();
        } catch (java.security.cert.CertificateEncodingException e) {
            throw new AssertionError(e);
        }
    }

    /// A TLS connection that trusts whoever answers and can be used several times.
    private static final class Connection implements AutoCloseable {
        private static final String LIVE = "{\"status\":\"live\"}";

        private final SSLSocket socket;

        Connection(int port) throws Exception {
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, new TrustManager[] {new Trusting()}, new SecureRandom());
            socket =
                    (SSLSocket)
                            context.getSocketFactory()
                                    .createSocket(InetAddress.getLoopbackAddress(), port);
            socket.setSoTimeout(20_000);
            socket.startHandshake();
        }

        byte[] certificate() throws Exception {
            return socket.getSession().getPeerCertificates()[0].getEncoded();
        }

        boolean isAlive() throws IOException {
            socket.getOutputStream()
                    .write(
                            "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                    .getBytes(StandardCharsets.US_ASCII));
            StringBuilder answer = new StringBuilder();
            while (!answer.toString().endsWith(LIVE)) {
                int read = socket.getInputStream().read();
                if (read < 0) {
                    return false;
                }
                answer.append((char) read);
            }
            return answer.toString().startsWith("HTTP/1.1 200");
        }

        @Override
        public void close() throws IOException {
            socket.close();
        }
    }

    private static final class Trusting implements X509TrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
