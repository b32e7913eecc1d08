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
    private final ServerSocket server;

    // Guarded by this.
    private final List<Socket> open = new ArrayList<>();
    private boolean cut;
    private boolean holdingReplies;
    private long heldBytes;

    TcpProxy(int target) {
        this.target = target;
        this.server = listen();
        accept(server);
    }

    int port() {
        return server.getLocalPort();
    }

    private static ServerSocket listen() {
        try {
            ServerSocket socket = new ServerSocket();
            socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
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
                                // Closed.
                            }
                        });
    }

    private void connect(Socket client) throws IOException {
        Socket worker;
        synchronized (this) {
            if (cut) {
                reset(client);
                return;
            }
            worker = new Socket(InetAddress.getLoopbackAddress(), target);
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

    /// Breaks every connection and every new one; what was kept is lost.
    synchronized void cut() {
        try {
            for (Socket socket : open) {
                reset(socket);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        open.clear();
        cut = true;
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

    /// Lets connections through again.
    synchronized void mend() {
        cut = false;
    }

    @Override
    public void close() throws IOException {
        server.close();
        cut();
    }
}
