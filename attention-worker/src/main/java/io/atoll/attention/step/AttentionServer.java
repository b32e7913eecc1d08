package io.atoll.attention.step;

import io.atoll.proto.v1.AttentionGrpc;
import io.atoll.proto.wire.DataPlane;
import io.grpc.Server;
import io.grpc.ServerCredentials;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.netty.channel.EventLoopGroup;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Serves an attention worker to remote coordinators, with the standard health service beside it.
///
/// One thread carries out the requests of all sessions, since the worker takes one caller at a time. A session has one
/// request under way and asks the network for the next one only when that is answered, so what can wait for the thread is
/// bounded by the number of sessions.
///
/// Borrows the worker, which must outlive the server.
public final class AttentionServer implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(AttentionServer.class);

    /// A coordinator has one session; a few more leave room for its successor and for tools.
    private static final int MAX_SESSIONS = 8;

    private static final long KEEP_ALIVE_SECONDS = 10;
    private static final long KEEP_ALIVE_TIMEOUT_SECONDS = 5;
    private static final long CLOSE_SECONDS = 5;

    private final ExecutorService requests;
    private final EventLoopGroup loops;
    private final HealthStatusManager health = new HealthStatusManager();
    private final Server server;
    private final int port;
    private final AtomicBoolean closed = new AtomicBoolean();

    /// Starts to serve.
    ///
    /// @param address where to listen; port 0 takes a free one
    /// @param credentials of this node, and how it checks its peers'
    /// @param clusterId a coordinator of another cluster is refused
    /// @throws IOException if the address cannot be bound
    public AttentionServer(
            InetSocketAddress address,
            ServerCredentials credentials,
            String clusterId,
            AttentionWorker worker)
            throws IOException {
        requests =
                Executors.newSingleThreadExecutor(
                        Thread.ofPlatform().daemon().name("attention-requests").factory());
        loops = DataPlane.eventLoops(1, "attention-net");
        try {
            server =
                    NettyServerBuilder.forAddress(address, credentials)
                            .bossEventLoopGroup(loops)
                            .workerEventLoopGroup(loops)
                            .channelFactory(DataPlane.listeners("attention worker"))
                            .directExecutor() // a session hands each request over at once
                            .maxInboundMessageSize(AttentionMessages.MAX_MESSAGE_BYTES)
                            .maxConcurrentCallsPerConnection(2 * MAX_SESSIONS)
                            // Finds out that a coordinator's machine is gone, to free its
                            // sequences.
                            .keepAliveTime(KEEP_ALIVE_SECONDS, TimeUnit.SECONDS)
                            .keepAliveTimeout(KEEP_ALIVE_TIMEOUT_SECONDS, TimeUnit.SECONDS)
                            .permitKeepAliveTime(1, TimeUnit.SECONDS)
                            .permitKeepAliveWithoutCalls(true)
                            .addService(
                                    new AttentionService(worker, clusterId, requests, MAX_SESSIONS))
                            .addService(health.getHealthService())
                            .build()
                            .start();
        } catch (IOException | RuntimeException e) {
            requests.shutdown();
            var _ = loops.shutdownGracefully(0, 1, TimeUnit.SECONDS);
            throw e;
        }
        port = server.getPort();
        health.setStatus(AttentionGrpc.SERVICE_NAME, ServingStatus.SERVING);
        LOG.info("attention worker listens: port={} {}", port, worker.info());
    }

    /// The port it listens on, or did until it was closed.
    public int port() {
        return port;
    }

    /// Ends all sessions, and waits for the step in progress.
    @Override
    public void close() {
        if (!closed.compareAndSet(false, true)) {
            return;
        }
        health.enterTerminalState();
        server.shutdownNow();
        boolean interrupted = false;
        try {
            server.awaitTermination(CLOSE_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            interrupted = true;
        }
        requests.close();
        loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
