package io.atoll.cli.roles;

import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.ClusterFile.ExpertWorkerSection;
import io.atoll.cluster.config.ClusterFile.SecuritySection;
import io.atoll.cluster.config.HostPort;
import io.atoll.cluster.security.NodeCertificates;
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.InsecureServerCredentials;
import io.grpc.ServerCredentials;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettySslContextChannelCredentials;
import io.grpc.netty.NettySslContextServerCredentials;
import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.SslContextBuilder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// How this process talks to the others of its cluster: over mutual TLS with the cluster file's certificates, or in the clear where
/// nobody else can listen or the operator says so.
///
/// The certificates' files are looked at once a second for as long as this is open; new connections see a change.
public final class NodeSecurity implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(NodeSecurity.class);

    /// Both ends of every connection are ours, so nothing older is needed.
    private static final String PROTOCOL = "TLSv1.3";

    private final Optional<NodeCertificates> certificates;
    private final Optional<ScheduledThreadPoolExecutor> timer;

    private NodeSecurity(Optional<NodeCertificates> certificates) {
        this.certificates = certificates;
        timer = certificates.map(NodeSecurity::following);
    }

    private static ScheduledThreadPoolExecutor following(NodeCertificates certificates) {
        ScheduledThreadPoolExecutor timer =
                new ScheduledThreadPoolExecutor(
                        1, Thread.ofPlatform().name("certificates").daemon().factory());
        var _ = timer.scheduleWithFixedDelay(certificates::check, 1, 1, TimeUnit.SECONDS);
        return timer;
    }

    /// Reads the certificates, if the file names some.
    ///
    /// @param who this process is, for messages
    /// @param listens where it listens for other nodes
    /// @param connects where it finds other nodes
    /// @throws IOException if the network could see what travels, which the file does not allow, or a certificate can't be used
    public static NodeSecurity open(
            ClusterFile file, String who, List<HostPort> listens, List<HostPort> connects)
            throws IOException {
        Optional<SecuritySection> section = file.security();
        if (listens.isEmpty() && connects.isEmpty()) {
            return new NodeSecurity(Optional.empty());
        }
        if (section.isPresent() && !section.get().insecure()) {
            NodeCertificates certificates =
                    new NodeCertificates(
                            section.get().ca().orElseThrow(),
                            section.get().certificate().orElseThrow(),
                            section.get().key().orElseThrow());
            LOG.info(
                    "{} talks to other nodes over mutual TLS as {}, until {}",
                    who,
                    certificates.certificate().getSubjectX500Principal(),
                    certificates.certificate().getNotAfter().toInstant());
            return new NodeSecurity(Optional.of(certificates));
        }
        Optional<String> exposure = exposure(who, listens, connects);
        if (exposure.isPresent()) {
            if (section.isEmpty()) {
                throw new IOException(
                        exposure.get()
                                + ", where others can read and change what travels. Make"
                                + " certificates with `atoll certs init` and `atoll certs issue`"
                                + " and name them under `security` in the cluster file; or accept"
                                + " that with `security: {insecure: true}`");
            }
            LOG.warn(
                    "{} in the clear, as `insecure: true` says: others can read and change what"
                            + " travels",
                    exposure.get());
        }
        return new NodeSecurity(Optional.empty());
    }

    private static Optional<String> exposure(
            String who, List<HostPort> listens, List<HostPort> connects) {
        List<String> does = new ArrayList<>();
        List<HostPort> open = listens.stream().filter(address -> !address.isLoopback()).toList();
        if (!open.isEmpty()) {
            does.add("listens on " + open);
        }
        List<HostPort> far = connects.stream().filter(address -> !address.isLoopback()).toList();
        if (!far.isEmpty()) {
            does.add("connects to " + far);
        }
        return does.isEmpty()
                ? Optional.empty()
                : Optional.of(who + " " + String.join(" and ", does));
    }

    /// Where the expert workers of a cluster are. Those that join later are on the networks of its members.
    static List<HostPort> expertWorkers(ClusterFile file) {
        List<HostPort> addresses = new ArrayList<>(members(file));
        file.expertWorkers().stream().map(ExpertWorkerSection::address).forEach(addresses::add);
        return addresses;
    }

    /// The networks of a cluster's members.
    static List<HostPort> members(ClusterFile file) {
        return file.membership().stream()
                .flatMap(
                        section ->
                                section.interfaces().stream()
                                        .map(each -> new HostPort(each, section.port())))
                .toList();
    }

    /// For what listens: only peers with a certificate of the cluster's authority come in.
    public ServerCredentials server() {
        if (certificates.isEmpty()) {
            return InsecureServerCredentials.create();
        }
        NodeCertificates own = certificates.get();
        try {
            return NettySslContextServerCredentials.create(
                    GrpcSslContexts.configure(SslContextBuilder.forServer(own.keyManager()))
                            .trustManager(own.trustManager())
                            .clientAuth(ClientAuth.REQUIRE)
                            .protocols(PROTOCOL)
                            .build());
        } catch (SSLException e) {
            throw new IllegalStateException("this Java has no " + PROTOCOL, e);
        }
    }

    /// For what connects: shows this node's certificate, and wants one of the cluster's authority for the host that was dialled.
    public ChannelCredentials client() {
        if (certificates.isEmpty()) {
            return InsecureChannelCredentials.create();
        }
        NodeCertificates own = certificates.get();
        try {
            return NettySslContextChannelCredentials.create(
                    GrpcSslContexts.configure(SslContextBuilder.forClient())
                            .keyManager(own.keyManager())
                            .trustManager(own.trustManager())
                            .protocols(PROTOCOL)
                            .build());
        } catch (SSLException e) {
            throw new IllegalStateException("this Java has no " + PROTOCOL, e);
        }
    }

    @Override
    public void close() {
        timer.ifPresent(ScheduledThreadPoolExecutor::shutdownNow);
    }
}
