package io.atoll.proto.wire;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler.Sharable;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.ReferenceCountUtil;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Says in the log which peers could not come in, and why: gRPC drops a connection whose TLS handshake fails without a word.
///
/// Sits on the listening channel and looks at the first bytes of each connection only.
@Sharable
final class RefusedPeers extends ChannelInboundHandlerAdapter {
    private static final Logger LOG = LoggerFactory.getLogger(RefusedPeers.class);

    /// First byte of a TLS handshake (RFC 8446, section 5.1); HTTP/2 in the clear begins with a letter.
    private static final int TLS_HANDSHAKE = 0x16;

    /// A peer tries again and again, so what is known of it is not said again for a while.
    private static final long SILENCE_NANOS = TimeUnit.MINUTES.toNanos(1);

    private static final int MAX_REMEMBERED = 256;

    private final String server;
    private final Map<String, Long> told = new LinkedHashMap<>(); // guarded by itself

    RefusedPeers(String server) {
        this.server = server;
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object accepted) {
        if (accepted instanceof Channel connection) {
            connection.pipeline().addFirst(new FirstBytes());
        }
        context.fireChannelRead(accepted);
    }

    private final class FirstBytes extends ChannelInboundHandlerAdapter {
        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            SocketAddress peer = context.channel().remoteAddress();
            SslHandler tls = context.pipeline().get(SslHandler.class);
            if (tls != null) {
                tls.handshakeFuture()
                        .addListener(
                                shaken -> {
                                    if (!shaken.isSuccess()) {
                                        tell(peer, StatusText.cause(shaken.cause()));
                                    }
                                });
            } else if (message instanceof ByteBuf bytes
                    && bytes.isReadable()
                    && bytes.getByte(bytes.readerIndex()) == TLS_HANDSHAKE) {
                tell(peer, "it speaks TLS, and this node has no certificate");
                ReferenceCountUtil.release(message);
                var _ = context.close();
                return;
            }
            context.pipeline().remove(this);
            context.fireChannelRead(message);
        }
    }

    private void tell(SocketAddress peer, String why) {
        String host =
                peer instanceof InetSocketAddress address
                        ? address.getHostString()
                        : String.valueOf(peer);
        long now = System.nanoTime();
        String line = host + ": " + why;
        synchronized (told) {
            Long before = told.get(line);
            if (before != null && now - before < SILENCE_NANOS) {
                return;
            }
            told.remove(line);
            told.put(line, now);
            if (told.size() > MAX_REMEMBERED) {
                told.remove(told.keySet().iterator().next());
            }
        }
        LOG.warn("{} refused a connection from {}", server, line);
    }
}
