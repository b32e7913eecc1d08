package io.atoll.attention.moe;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.List;

/// A wire between an attention worker and an expert worker that a test can hold, cut and mend.
final class TcpProxy implements AutoCloseable {
    private final int target;
    private final int port;

    // Guarded by this.
    private ServerSocket server;
    private final List<Socket> open = new ArrayList<>();
    private boolean holdingReplies;
    private long heldBytes;

    TcpProxy(int target) {
        this.target = target;
        this.server = listen(0);
        this.port = server.getLocalPort();
        accept(server);
    }

    int port() {
        return port;
    }

    private static ServerSocket listen(int port) {
        try {
            ServerSocket socket = new ServerSocket();
            socket.setReuseAddress(true);
            socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
            return socket;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void accept(ServerSocket from) {
        Thread.ofVirtual()
                .start(
                        () -> {
                            try {
                                while (true) {
                                    connect(from.accept());
                                }
                            } catch (IOException _) {
                                // Cut.
                            }
                        });
    }

    private void connect(Socket client) throws IOException {
        Socket worker = new Socket(InetAddress.getLoopbackAddress(), target);
        synchronized (this) {
            open.add(client);
            open.add(worker);
        }
        Thread.ofVirtual().start(() -> pump(client, worker, false));
        Thread.ofVirtual().start(() -> pump(worker, client, true));
    }

    private void pump(Socket from, Socket to, boolean replies) {
        byte[] bytes = new byte[64 << 10];
        try (from;
                to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            for (int count = in.read(bytes); count >= 0; count = in.read(bytes)) {
                if (replies) {
                    awaitRelease(count);
                }
                out.write(bytes, 0, count);
            }
        } catch (IOException _) {
            // Either side is gone; both are closed.
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private synchronized void awaitRelease(int count) throws InterruptedException {
        if (!holdingReplies) {
            return;
        }
        heldBytes += count;
        notifyAll();
        while (holdingReplies) {
            wait();
        }
    }

    /// Keeps what the worker sends from here on.
    synchronized void holdReplies() {
        holdingReplies = true;
        heldBytes = 0;
    }

    /// Waits until the worker has sent something that is kept.
    synchronized void awaitHeldReply() throws InterruptedException {
        while (heldBytes == 0) {
            wait();
        }
    }

    /// Lets through what was kept.
    synchronized void releaseReplies() {
        holdingReplies = false;
        notifyAll();
    }

    /// Breaks every connection and refuses new ones; what was kept is lost.
    synchronized void cut() {
        try {
            server.close();
            for (Socket socket : open) {
                reset(socket);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        open.clear();
        holdingReplies = false;
        notifyAll();
    }

    /// Closes as a machine does that is gone: the other side gets a reset.
    private static void reset(Socket socket) throws IOException {
        try (socket) {
            socket.setSoLinger(true, 0);
        } catch (SocketException _) {
            // Its pump has closed it already.
        }
    }

    /// Accepts connections again, on the same port.
    synchronized void mend() {
        server = listen(port);
        accept(server);
    }

    @Override
    public void close() {
        cut();
    }
}
