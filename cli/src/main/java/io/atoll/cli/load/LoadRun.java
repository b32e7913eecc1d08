package io.atoll.cli.load;

import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.ApiException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/// Runs the sessions of one load, each on a virtual thread. Every request that was sent has one record, also when the load is
/// stopped early.
public final class LoadRun {
    private static final String STOPPED = "stopped";

    private final LoadSettings settings;
    private final ApiClient client;
    private final ConcurrentLinkedQueue<RequestRecord> records = new ConcurrentLinkedQueue<>();
    private final AtomicInteger running = new AtomicInteger();
    private final AtomicInteger openSessions = new AtomicInteger();
    private final AtomicInteger started = new AtomicInteger();
    private final CountDownLatch stop = new CountDownLatch(1);
    private final long startNanos = System.nanoTime();
    private final long endNanos;
    private final AtomicInteger notStarted = new AtomicInteger();

    public LoadRun(LoadSettings settings, ApiClient client) {
        this.settings = settings;
        this.client = client;
        endNanos = startNanos + settings.duration().toNanos();
    }

    /// Ends the load: no session goes on, and requests that run are cut. [#run] then returns.
    public void stop() {
        stop.countDown();
    }

    /// How far a load is.
    ///
    /// @param ended requests that have ended
    /// @param running requests that run
    /// @param notStarted arrivals that found too many sessions open
    public record Progress(int ended, int running, int notStarted) {}

    /// How far it is now.
    public Progress progress() {
        return new Progress(records.size(), running.get(), notStarted.get());
    }

    /// Makes the load and waits for its end.
    public LoadResult run() throws InterruptedException {
        List<Thread> sessions = new ArrayList<>();
        try (ScheduledExecutorService deadlines =
                Executors.newSingleThreadScheduledExecutor(Thread.ofVirtual().factory())) {
            Thread watch =
                    Thread.startVirtualThread(
                            () -> {
                                try {
                                    stop.await();
                                    synchronized (sessions) {
                                        sessions.forEach(Thread::interrupt);
                                    }
                                } catch (InterruptedException _) {
                                    // The load has ended by itself.
                                }
                            });
            if (settings.rate().isPresent()) {
                arrive(settings.rate().getAsDouble(), sessions, deadlines);
            } else {
                for (int i = 0; i < settings.users(); i++) {
                    start(sessions, () -> user(deadlines));
                }
            }
            List<Thread> all;
            synchronized (sessions) {
                all = List.copyOf(sessions);
            }
            for (Thread session : all) {
                session.join();
            }
            watch.interrupt();
            watch.join();
            deadlines.shutdownNow();
        }
        return new LoadResult(
                settings,
                List.copyOf(records),
                started.get(),
                notStarted.get(),
                System.nanoTime() - startNanos,
                stop.getCount() == 0);
    }

    private void start(List<Thread> sessions, Runnable work) {
        Thread thread = Thread.ofVirtual().unstarted(work);
        synchronized (sessions) {
            sessions.removeIf(t -> t.getState() == Thread.State.TERMINATED);
            sessions.add(thread);
            thread.start();
        }
        if (stop.getCount() == 0) {
            thread.interrupt();
        }
    }

    /// The open loop: sessions arrive whether the server keeps up or not.
    private void arrive(double rate, List<Thread> sessions, ScheduledExecutorService deadlines)
            throws InterruptedException {
        RandomGenerator random =
                RandomGeneratorFactory.of("L64X128MixRandom").create(~settings.seed());
        double at = startNanos;
        while (started.get() < settings.maxSessions()) {
            at += random.nextExponential() / rate * 1e9;
            if (at >= endNanos) {
                return;
            }
            if (stop.await((long) at - System.nanoTime(), TimeUnit.NANOSECONDS)) {
                return;
            }
            if (openSessions.get() >= settings.maxOpenSessions()) {
                notStarted.incrementAndGet();
                continue;
            }
            openSessions.incrementAndGet();
            int number = started.getAndIncrement();
            start(
                    sessions,
                    () -> {
                        try {
                            session(number, deadlines);
                        } finally {
                            openSessions.decrementAndGet();
                        }
                    });
        }
    }

    /// One user of the closed loop: session after session.
    private void user(ScheduledExecutorService deadlines) {
        while (mayStart()) {
            int number = started.getAndUpdate(n -> Math.min(n + 1, settings.maxSessions()));
            if (number == settings.maxSessions()) {
                return;
            }
            if (!session(number, deadlines)) {
                // A server that refuses at once must not be asked in a tight loop.
                pause(TimeUnit.MILLISECONDS.toNanos(250));
            }
        }
    }

    private boolean mayStart() {
        return System.nanoTime() < endNanos && stop.getCount() > 0;
    }

    /// False if it ended with an error.
    private boolean session(int number, ScheduledExecutorService deadlines) {
        AgentSession session = new AgentSession(settings, number);
        while (session.hasNext() && mayStart()) {
            if (session.turn() > 0) {
                pause(session.thinkNanos());
                if (!mayStart()) {
                    break;
                }
            }
            if (!request(session, number, deadlines)) {
                return false;
            }
        }
        return true;
    }

    private void pause(long nanos) {
        try {
            stop.await(Math.min(nanos, endNanos - System.nanoTime()), TimeUnit.NANOSECONDS);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    private boolean request(AgentSession session, int number, ScheduledExecutorService deadlines) {
        Deadline deadline = new Deadline(Thread.currentThread());
        ScheduledFuture<?> timer =
                deadlines.schedule(
                        deadline::expire, settings.timeout().toNanos(), TimeUnit.NANOSECONDS);
        PartTimes times = new PartTimes();
        long start = System.nanoTime();
        ApiClient.Answer answer = null;
        String outcome = RequestRecord.OK;
        running.incrementAndGet();
        try {
            answer = client.chat(session.next(), times);
        } catch (ApiException e) {
            outcome = kind(e);
        } catch (IOException | InterruptedException e) {
            outcome = "connection lost";
        }
        long total = System.nanoTime() - start;
        boolean expired = deadline.end();
        timer.cancel(false);
        running.decrementAndGet();
        if (answer == null && stop.getCount() == 0) {
            outcome = STOPPED;
        } else if (answer == null && expired) {
            outcome = "timeout";
        }
        records.add(
                new RequestRecord(
                        number,
                        session.turn(),
                        start - startNanos,
                        outcome,
                        answer == null ? 0 : answer.promptTokens(),
                        answer == null ? 0 : answer.cachedTokens(),
                        answer == null ? 0 : answer.completionTokens(),
                        times.first(),
                        total,
                        times.gaps()));
        if (answer != null) {
            session.answered(answer);
        }
        return answer != null;
    }

    private static String kind(ApiException e) {
        if (e.status() == 0) {
            return "no connection";
        }
        String code = e.code().isEmpty() ? "" : " " + e.code();
        return e.status() == 200
                ? (code.isEmpty() ? "stream ended early" : "in the stream:" + code)
                : e.status() + code;
    }

    /// Interrupts a request that takes too long, and never the work after it.
    private static final class Deadline {
        private final Thread thread;
        private boolean ended;
        private boolean expired;

        Deadline(Thread thread) {
            this.thread = thread;
        }

        synchronized void expire() {
            if (!ended) {
                expired = true;
                thread.interrupt();
            }
        }

        /// True if the time was over first; the thread's interrupt is then taken back.
        synchronized boolean end() {
            ended = true;
            if (expired) {
                Thread.interrupted();
            }
            return expired;
        }
    }

    private static final class PartTimes implements ApiClient.Listener {
        private final List<Long> times = new ArrayList<>();

        @Override
        public void reasoning(String text) {}

        @Override
        public void content(String text) {}

        @Override
        public void part(long sinceStartNanos) {
            times.add(sinceStartNanos);
        }

        long first() {
            return times.isEmpty() ? -1 : times.getFirst();
        }

        long[] gaps() {
            long[] gaps = new long[Math.max(0, times.size() - 1)];
            for (int i = 0; i < gaps.length; i++) {
                gaps[i] = times.get(i + 1) - times.get(i);
            }
            return gaps;
        }
    }
}
