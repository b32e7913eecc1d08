package io.atoll.coordinator.http;

import com.linecorp.armeria.common.Flags;
import com.linecorp.armeria.common.util.TransportType;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.nio.NioIoHandler;
import io.netty.util.concurrent.Future;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;

/// The thread that accepts connections. It stops at once: the default waits two quiet seconds for tasks that may still come, and
/// an acceptor gets none.
final class AcceptorGroup extends MultiThreadIoEventLoopGroup {
    AcceptorGroup(String name) {
        super(1, daemon(name), transport());
    }

    @Override
    public Future<?> shutdownGracefully() {
        return shutdownGracefully(0, 5, TimeUnit.SECONDS);
    }

    private static ThreadFactory daemon(String name) {
        return Thread.ofPlatform().name(name).daemon().factory();
    }

    /// What the server's workers use: the two have to match.
    private static IoHandlerFactory transport() {
        return Flags.transportType() == TransportType.EPOLL
                ? EpollIoHandler.newFactory()
                : NioIoHandler.newFactory();
    }
}
