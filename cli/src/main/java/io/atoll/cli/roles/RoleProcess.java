package io.atoll.cli.roles;

import io.atoll.cli.process.AtollProcess;
import io.atoll.cluster.config.HostPort;
import java.io.IOException;
import java.util.concurrent.CountDownLatch;

/// The life of a process that serves: it says that it is ready, waits to be stopped, and stops in order.
final class RoleProcess {
    private RoleProcess() {}

    /// Waits until a signal (Ctrl-C, SIGTERM) asks for the end, and closes the role before the process ends.
    ///
    /// @param stopWithStdin also end when standard input does, so that a child does not outlive its parent
    static void serve(String role, HostPort address, boolean stopWithStdin, AutoCloseable server)
            throws InterruptedException {
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch closed = new CountDownLatch(1);
        Thread hook =
                Thread.ofPlatform()
                        .name("stop")
                        .unstarted(
                                () -> {
                                    asked.countDown();
                                    try {
                                        closed.await();
                                    } catch (InterruptedException _) {
                                        Thread.currentThread().interrupt();
                                    }
                                });
        Runtime.getRuntime().addShutdownHook(hook);
        if (stopWithStdin) {
            Thread.ofVirtual().name("stdin").start(() -> awaitEndOfInput(asked));
        }
        System.out.println(AtollProcess.readyLine(role, address));
        try {
            asked.await();
            System.out.println(role + " is stopping");
            server.close();
        } catch (InterruptedException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(role + " did not stop cleanly", e);
        } finally {
            closed.countDown();
        }
    }

    private static void awaitEndOfInput(CountDownLatch asked) {
        try {
            while (System.in.read() >= 0) {
                // What is typed means nothing; only the end counts.
            }
        } catch (IOException _) {
            // A broken input is an end, too.
        }
        asked.countDown();
    }
}
