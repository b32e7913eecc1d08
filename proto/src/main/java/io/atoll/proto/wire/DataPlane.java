package io.atoll.proto.wire;

import io.grpc.ChannelCredentials;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCredentials;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFactory;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;

/// The stream between an attention worker and an expert worker: its gRPC method and how both ends configure the transport.
///
/// The method is Arrow Flight's `DoExchange` under its own name, with our marshaller in place of Flight's.
public final class DataPlane {
    /// Full name of Flight's bidirectional method.
    public static final String EXCHANGE = "arrow.flight.protocol.FlightService/DoExchange";

    /// Most bytes of a body that we send; a larger dispatch is cut into rows.
    public static final int MAX_BODY_BYTES = 1 << 20;

    /// Most bytes of a message that we accept; a plain Flight client may send larger batches than we do.
    public static final int MAX_INBOUND_BYTES = 8 << 20;

    private static final int FLOW_CONTROL_WINDOW = 32 << 20;

    /// A peer that is gone without a word is noticed after these, even if nothing is sent to it. gRPC's least interval is 10 s.
    private static final long KEEP_ALIVE_SECONDS = 10;

    private static final long KEEP_ALIVE_TIMEOUT_SECONDS = 2;

    private DataPlane() {}

    /// The exchange, with messages in buffers of this pool. A received message belongs to the receiver, a sent one to gRPC.
    public static MethodDescriptor<FlightMessage, FlightMessage> exchangeMethod(WirePool pool) {
        FlightMessageMarshaller marshaller = new FlightMessageMarshaller(pool);
        return MethodDescriptor.<FlightMessage, FlightMessage>newBuilder()
                .setType(MethodDescriptor.MethodType.BIDI_STREAMING)
                .setFullMethodName(EXCHANGE)
                .setRequestMarshaller(marshaller)
                .setResponseMarshaller(marshaller)
                .build();
    }

    /// Event loops on epoll where it is available, else NIO. The caller shuts them down.
    ///
    /// @param name of the threads
    public static EventLoopGroup eventLoops(int threads, String name) {
        DefaultThreadFactory factory = new DefaultThreadFactory(name, true);
        return new MultiThreadIoEventLoopGroup(
                threads,
                factory,
                Epoll.isAvailable() ? EpollIoHandler.newFactory() : NioIoHandler.newFactory());
    }

    /// A server on these event loops, which run its handlers as well.
    ///
    /// @param credentials of this node, and how it checks its peers'
    /// @param name of the server, for the log
    public static NettyServerBuilder server(
            InetSocketAddress address,
            ServerCredentials credentials,
            EventLoopGroup loops,
            String name) {
        return NettyServerBuilder.forAddress(address, credentials)
                .bossEventLoopGroup(loops)
                .workerEventLoopGroup(loops)
                .channelFactory(listeners(name))
                .directExecutor()
                .permitKeepAliveTime(KEEP_ALIVE_SECONDS / 2, TimeUnit.SECONDS)
                .flowControlWindow(FLOW_CONTROL_WINDOW)
                .maxInboundMessageSize(MAX_INBOUND_BYTES)
                .withOption(ChannelOption.SO_REUSEADDR, true)
                .withChildOption(ChannelOption.TCP_NODELAY, true);
    }

    /// Makes what listens on the event loops of [#eventLoops], and has the log say who could not come in and why.
    ///
    /// @param name of the server, for the log
    public static ChannelFactory<ServerChannel> listeners(String name) {
        RefusedPeers refused = new RefusedPeers(name);
        return () -> {
            ServerChannel listener =
                    Epoll.isAvailable()
                            ? new EpollServerSocketChannel()
                            : new NioServerSocketChannel();
            listener.pipeline().addLast(refused);
            return listener;
        };
    }

    /// A channel on these event loops, which run its listeners as well. gRPC's own retries are off: they would keep a copy of
    /// what is sent, and whoever dispatches decides where to send it again.
    ///
    /// @param credentials of this node, and how it checks the server's
    public static NettyChannelBuilder channel(
            InetSocketAddress address, ChannelCredentials credentials, EventLoopGroup loops) {
        Class<? extends Channel> channel =
                Epoll.isAvailable() ? EpollSocketChannel.class : NioSocketChannel.class;
        return NettyChannelBuilder.forAddress(address, credentials)
                .disableRetry()
                .keepAliveTime(KEEP_ALIVE_SECONDS, TimeUnit.SECONDS)
                .keepAliveTimeout(KEEP_ALIVE_TIMEOUT_SECONDS, TimeUnit.SECONDS)
                .eventLoopGroup(loops)
                .channelType(channel)
                .directExecutor()
                .flowControlWindow(FLOW_CONTROL_WINDOW)
                .maxInboundMessageSize(MAX_INBOUND_BYTES)
                .withOption(ChannelOption.TCP_NODELAY, true);
    }
}
