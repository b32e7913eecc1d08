package io.atoll.cli.certs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import io.atoll.attention.moe.RemoteExperts;
import io.atoll.attention.moe.RemoteExpertsSettings;
import io.atoll.attention.moe.RoutedModel;
import io.atoll.attention.moe.WorkerAddress;
import io.atoll.cli.Main;
import io.atoll.cli.certs.TestCluster.Node;
import io.atoll.cli.roles.ExpertRows;
import io.atoll.cli.roles.NodeSecurity;
import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.HostPort;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.DeviceChoice;
import io.atoll.expert.ExpertWorker;
import io.atoll.expert.ExpertWorkerSettings;
import io.atoll.kernels.KernelLibrary;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.TextConfig;
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.InsecureServerCredentials;
import io.grpc.ServerCredentials;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettySslContextChannelCredentials;
import io.netty.handler.ssl.SslContextBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/// An expert worker lets in the nodes of its cluster and nobody else, and says who was refused and why.
@Timeout(60)
class MutualTlsTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final Duration LONG = Duration.ofSeconds(30);

    @TempDir private Path directory;
    private TestCluster cluster;
    private final Logger logger =
            (Logger) LoggerFactory.getLogger("io.atoll.proto.wire.RefusedPeers");
    private Level before;
    private final BlockingQueue<String> refusals = new LinkedBlockingQueue<>();
    private final AppenderBase<ILoggingEvent> appender =
            new AppenderBase<>() {
                @Override
                protected void append(ILoggingEvent event) {
                    refusals.add(event.getFormattedMessage());
                }
            };

    @BeforeEach
    void listen() throws IOException {
        cluster = new TestCluster(directory.resolve("ours"));
        appender.start();
        before = logger.getLevel();
        logger.setLevel(Level.WARN);
        logger.addAppender(appender);
    }

    @AfterEach
    void unlisten() {
        logger.detachAppender(appender);
        logger.setLevel(before);
    }

    @Test
    void onlyACertificateOfTheClusterThatIsNotOverLetsAClientIn() throws Exception {
        Node strange = new TestCluster(directory.resolve("theirs")).node("strange");
        try (NodeSecurity server = security(cluster.node("w1"));
                ExpertWorker worker = worker(server.server())) {
            assertRefused(
                    worker, InsecureChannelCredentials.create(), "the peer does not speak TLS");
            assertRefused(worker, showing(Optional.empty()), "the peer shows no certificate");
            assertRefused(
                    worker,
                    showing(Optional.of(strange)),
                    "the certificate of CN=strange by CN=test is not of the authority in "
                            + cluster.ca());
            assertRefused(
                    worker,
                    showing(
                            Optional.of(
                                    cluster.write(
                                            "late", cluster.issue("late", Duration.ofDays(-1))))),
                    "the certificate of CN=late by CN=test ended on ");
            try (NodeSecurity client = security(cluster.node("a"));
                    RemoteExperts experts = connect(worker.port(), client.client())) {
                assertEquals(Optional.empty(), experts.awaitAvailable(LONG));
            }
            assertTrue(refusals.isEmpty(), refusals.toString());
        }
    }

    @Test
    void aClientTalksOnlyToTheServerThatItDialled() throws Exception {
        try (NodeSecurity elsewhere = security(cluster.node("w1", "10.0.0.11", "localhost"));
                ExpertWorker worker = worker(elsewhere.server());
                NodeSecurity client = security(cluster.node("a"))) {
            try (RemoteExperts experts = connect(worker.port(), client.client())) {
                awaitTrouble(experts, "127.0.0.1");
            }
            try (RemoteExperts experts = connect("localhost", worker.port(), client.client())) {
                assertEquals(Optional.empty(), experts.awaitAvailable(LONG));
            }
        }
        Node strange = new TestCluster(directory.resolve("theirs")).node("w1");
        try (NodeSecurity theirs = security(strange);
                ExpertWorker worker = worker(theirs.server());
                NodeSecurity client = security(cluster.node("b"));
                RemoteExperts experts = connect(worker.port(), client.client())) {
            awaitTrouble(experts, " is not of the authority in " + cluster.ca());
        }
    }

    @Test
    void whoSpeaksTlsToANodeWithoutIsToldSoOnBothSides() throws Exception {
        try (ExpertWorker worker = worker(InsecureServerCredentials.create());
                NodeSecurity client = security(cluster.node("a"));
                RemoteExperts experts = connect(worker.port(), client.client())) {
            String line = refusals.poll(LONG.toSeconds(), TimeUnit.SECONDS);
            assertEquals(
                    "w1 refused a connection from 127.0.0.1: it speaks TLS, and this node has no"
                            + " certificate",
                    line);
            awaitTrouble(experts, "UNAVAILABLE");
        }
    }

    /// The client goes on trying, and its node gets a certificate of the right authority meanwhile: no process starts again.
    @Test
    void aRefusedClientComesInOnceItsFilesAreRight() throws Exception {
        TestCluster theirs = new TestCluster(directory.resolve("theirs"));
        Node client = theirs.node("a");
        byte[] ours = Files.readAllBytes(cluster.ca());
        try (NodeSecurity server = security(cluster.node("w1"));
                ExpertWorker worker = worker(server.server());
                NodeSecurity changing = security(client);
                RemoteExperts experts = connect(worker.port(), changing.client())) {
            awaitTrouble(experts, " is not of the authority in " + theirs.ca());
            client.replace(cluster.issue("a", Duration.ofDays(9)));
            Files.write(client.ca(), ours);
            assertEquals(Optional.empty(), experts.awaitAvailable(LONG));
        }
    }

    @Test
    void withoutCertificatesNothingGoesOverTheNetworkUnlessTheOperatorInsists() throws Exception {
        ClusterFile bare = ClusterFile.defaults();
        HostPort outside = new HostPort("10.0.0.11", 7001);
        HostPort inside = new HostPort("127.0.0.1", 7001);
        NodeSecurity.open(bare, "a", List.of(inside), List.of(inside)).close();
        String problem =
                assertThrows(
                                IOException.class,
                                () ->
                                        NodeSecurity.open(
                                                bare,
                                                "a",
                                                List.of(inside),
                                                List.of(inside, outside)))
                        .getMessage();
        assertTrue(problem.startsWith("a connects to [10.0.0.11:7001], where"), problem);
        Path yaml = Files.writeString(directory.resolve("c.yaml"), "security: {insecure: true}\n");
        try (NodeSecurity insecure =
                NodeSecurity.open(ClusterFile.read(yaml), "w", List.of(outside), List.of())) {
            assertInstanceOf(InsecureServerCredentials.class, insecure.server());
        }
    }

    @Test
    void rolesRefuseToStartInTheOpen() throws Exception {
        Path yaml =
                Files.writeString(
                        directory.resolve("open.yaml"),
                        "expert-workers: [{name: w1, address: '10.0.0.11:7001'}]\n");
        String model = "--model=" + MODEL;
        String config = "--config=" + yaml;
        assertRefusesToStart(
                "expert-worker w1 listens on [0.0.0.0:7001]",
                "expert-worker",
                "--name=w1",
                model,
                "--listen=0.0.0.0:7001",
                "--experts=0");
        assertRefusesToStart(
                "attention-worker listens on [[::]:7100] and connects to [10.0.0.11:7001]",
                "attention-worker",
                config,
                model,
                "--listen=[::]:7100");
        assertRefusesToStart(
                "coordinator connects to [10.0.0.11:7001]", "coordinator", config, model);
        Files.writeString(yaml, "coordinator: {attention-worker: 'far:7100'}\n");
        assertRefusesToStart("coordinator connects to [far:7100]", "coordinator", config, model);
    }

    private static void assertRefusesToStart(String what, String... arguments) {
        StringWriter errors = new StringWriter();
        int status = Main.commandLine().setErr(new PrintWriter(errors, true)).execute(arguments);
        assertEquals(1, status, errors.toString());
        String line = errors.toString().strip();
        assertTrue(line.startsWith("atoll: " + what), line);
        assertTrue(line.contains("`atoll certs init`"), line);
        assertTrue(line.contains("`security: {insecure: true}`"), line);
        assertEquals(1, line.lines().count(), line);
    }

    /// The client gets no stream, and the worker's log says why.
    private void assertRefused(ExpertWorker worker, ChannelCredentials credentials, String why)
            throws InterruptedException {
        try (RemoteExperts experts = connect(worker.port(), credentials)) {
            String line = refusals.poll(LONG.toSeconds(), TimeUnit.SECONDS);
            assertTrue(
                    line != null && line.startsWith("w1 refused a connection from 127.0.0.1: "),
                    "" + line);
            assertTrue(line.contains(why), line);
            awaitTrouble(experts, "UNAVAILABLE");
            assertEquals(0, worker.openStreams());
        }
        refusals.clear(); // where a second attempt fails in other words
    }

    private static void awaitTrouble(RemoteExperts experts, String why)
            throws InterruptedException {
        long deadline = System.nanoTime() + LONG.toNanos();
        String trouble = "";
        while (!trouble.contains(why)) {
            assertTrue(System.nanoTime() < deadline, trouble);
            trouble = experts.awaitAvailable(Duration.ofMillis(20)).orElseThrow().message();
        }
    }

    /// A client that trusts our authority, whatever it shows.
    private ChannelCredentials showing(Optional<Node> node) throws IOException {
        SslContextBuilder builder =
                GrpcSslContexts.configure(SslContextBuilder.forClient())
                        .trustManager(cluster.ca().toFile());
        node.ifPresent(
                shown -> builder.keyManager(shown.certificate().toFile(), shown.key().toFile()));
        return NettySslContextChannelCredentials.create(builder.build());
    }

    private static NodeSecurity security(Node node) throws Exception {
        return NodeSecurity.open(
                node.file(), "test", List.of(new HostPort("127.0.0.1", 0)), List.of());
    }

    private static ExpertWorker worker(ServerCredentials credentials) throws IOException {
        TextConfig text;
        try (ModelDirectory model = ModelDirectory.open(MODEL)) {
            text = model.config().text();
        }
        ExpertWorker worker =
                ExpertWorker.open(
                        ExpertWorkerSettings.of(
                                        "w1",
                                        "test",
                                        MODEL,
                                        ExpertShard.all(text.layerCount(), text.experts()),
                                        "127.0.0.1",
                                        0)
                                .on(DeviceChoice.CPU),
                        credentials);
        worker.start();
        return worker;
    }

    private static RemoteExperts connect(int port, ChannelCredentials credentials) {
        return connect("127.0.0.1", port, credentials);
    }

    private static RemoteExperts connect(String host, int port, ChannelCredentials credentials) {
        try (ModelDirectory model = ModelDirectory.open(MODEL)) {
            TextConfig text = model.config().text();
            return new RemoteExperts(
                    RemoteExpertsSettings.of(
                                    "test", "test", List.of(new WorkerAddress("w1", host, port)))
                            .with(credentials),
                    new RoutedModel(
                            model.modelDigest(),
                            text.layerCount(),
                            text.experts(),
                            text.hiddenSize(),
                            ExpertRows.format(model),
                            ExpertWorker.FRACTION_BITS),
                    KernelLibrary.select(Optional.empty()));
        }
    }
}
