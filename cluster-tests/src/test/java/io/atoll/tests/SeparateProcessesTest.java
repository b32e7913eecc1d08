package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.Main;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.process.AtollProcess;
import io.atoll.cluster.config.HostPort;
import io.atoll.cluster.security.NodeCertificates;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Every role as a process of its own, over mutual TLS, answers as one process with all of them does.
class SeparateProcessesTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final Duration START = Duration.ofSeconds(90);

    @TempDir private Path directory;
    private final List<AtollProcess> processes = new ArrayList<>();
    private final List<HostPort> nodes = new ArrayList<>(); // where others of the cluster connect

    @Test
    void attentionWorkerOfItsOwnGivesTheTokensOfOneProcess() throws Exception {
        try {
            HostPort alone = start("serve", "serve", MODEL.toString(), "--listen=127.0.0.1:0");
            String expected = ask(alone);
            assertFalse(expected.isEmpty());
            assertEquals(expected, ask(startRoles()));
            assertEquals(3, nodes.size());
            for (HostPort node : nodes) {
                assertEquals("CN=here", certificateOf(node), node.toString());
            }
        } finally {
            processes.reversed().forEach(AtollProcess::close);
        }
        for (AtollProcess process : processes) {
            assertFalse(process.isAlive(), process.name());
        }
    }

    /// Certificates for this machine.
    private String security() {
        Path ca = directory.resolve("ca");
        Path node = directory.resolve("node");
        assertEquals(0, Main.commandLine().execute("certs", "init", ca.toString()));
        assertEquals(
                0,
                Main.commandLine()
                        .execute(
                                "certs",
                                "issue",
                                "here",
                                "--host=127.0.0.1",
                                "--ca=" + ca,
                                "--out=" + node));
        return "security: {ca: '%s', certificate: '%s', key: '%s'}\n"
                .formatted(
                        node.resolve("ca.pem"), node.resolve("node.pem"), node.resolve("node.key"));
    }

    /// Two expert workers, an attention worker and a coordinator.
    private HostPort startRoles() throws Exception {
        StringBuilder yaml = new StringBuilder();
        yaml.append("cluster-id: test\nmodel: '").append(MODEL).append("'\n").append(security());
        Path common = Files.writeString(directory.resolve("common.yaml"), yaml);
        yaml.append("expert-workers:\n");
        for (int part = 1; part <= 2; part++) {
            String name = "w" + part;
            HostPort address =
                    start(
                            name,
                            "expert-worker",
                            "--name=" + name,
                            "--config=" + common,
                            "--listen=127.0.0.1:0",
                            "--experts=" + part + "/2");
            nodes.add(address);
            yaml.append("  - {name: ").append(name).append(", address: '").append(address);
            yaml.append("'}\n");
        }
        Path workersOnly = directory.resolve("attention.yaml");
        Files.writeString(workersOnly, yaml);
        HostPort attention =
                start(
                        "attention",
                        "attention-worker",
                        "--config=" + workersOnly,
                        "--listen=127.0.0.1:0");
        nodes.add(attention);
        Path whole = directory.resolve("cluster.yaml");
        yaml.append("coordinator: {attention-worker: '").append(attention).append("'}\n");
        Files.writeString(whole, yaml);
        return start("coordinator", "coordinator", "--config=" + whole, "--listen=127.0.0.1:0");
    }

    /// Whose certificate is shown to those who connect there.
    private String certificateOf(HostPort address) throws Exception {
        Path node = directory.resolve("node");
        NodeCertificates certificates =
                new NodeCertificates(
                        node.resolve("ca.pem"), node.resolve("node.pem"), node.resolve("node.key"));
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, new TrustManager[] {certificates.trustManager()}, null);
        try (SSLSocket socket =
                (SSLSocket)
                        context.getSocketFactory().createSocket(address.host(), address.port())) {
            socket.setSoTimeout(10_000);
            socket.startHandshake();
            return socket.getSession().getPeerPrincipal().getName();
        }
    }

    private HostPort start(String name, String... arguments) throws Exception {
        AtollProcess process =
                AtollProcess.start(name, directory.resolve(name + ".log"), List.of(arguments));
        processes.add(process);
        return process.awaitReady(START);
    }

    private static String ask(HostPort address) throws Exception {
        try (ApiClient client = new ApiClient(URI.create("http://" + address))) {
            long deadline = System.nanoTime() + START.toNanos();
            Optional<String> reason = client.notReady();
            while (reason.isPresent()) {
                assertTrue(System.nanoTime() < deadline, reason.get());
                TimeUnit.MILLISECONDS.sleep(20);
                reason = client.notReady();
            }
            ObjectNode constrained = request().put("temperature", 2);
            constrained
                    .putObject("structured_outputs")
                    .put("regex", "([a-z]{2,6} ){20}\\{[0-9]{1,12}\\}");
            return answer(client, request().put("temperature", 0.9).put("ignore_eos", true))
                    + "|"
                    + answer(client, constrained);
        }
    }

    private static ObjectNode request() {
        ObjectNode request = JsonNodeFactory.instance.objectNode();
        request.put("model", "demo-model").put("max_tokens", 120).put("seed", 11);
        request.putArray("messages")
                .addObject()
                .put("role", "user")
                .put("content", "Tell me a story.");
        return request;
    }

    private static String answer(ApiClient client, ObjectNode request) throws Exception {
        ApiClient.Answer answer = client.chat(request, ApiClient.Listener.SILENT);
        return answer.reasoning() + "|" + answer.content();
    }
}
