package io.atoll.cli.process;

import io.atoll.cluster.config.HostPort;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// One role of Atoll in a child process, with the same Java, flags and class path as this one.
///
/// The child says on its standard output where it listens ([#readyLine]), ends by itself when this process does, because
/// its standard input closes, and writes everything it prints to a log file.
public final class AtollProcess implements AutoCloseable {
    private static final Pattern READY = Pattern.compile("ready, listening on (\\S+)");
    private static final int TAIL_LINES = 20;

    private final String name;
    private final Path log;
    private final Process process;
    private final CompletableFuture<HostPort> ready = new CompletableFuture<>();

    private AtollProcess(String name, Path log, Process process) {
        this.name = name;
        this.log = log;
        this.process = process;
        Thread.ofVirtual().name(name + "-output").start(this::copyOutput);
    }

    /// Starts `atoll ARGUMENTS`.
    ///
    /// @param name what to call it in messages
    /// @param log file that receives its output
    public static AtollProcess start(String name, Path log, List<String> arguments)
            throws IOException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        for (String flag : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
            if (!flag.startsWith("-javaagent") && !flag.startsWith("-agentlib")) {
                command.add(flag);
            }
        }
        command.add("-cp");
        command.add(System.getProperty("java.class.path"));
        command.add("io.atoll.cli.Main");
        command.addAll(arguments);
        command.add("--stop-with-stdin");
        Files.createDirectories(log.toAbsolutePath().getParent());
        return new AtollProcess(
                name, log, new ProcessBuilder(command).redirectErrorStream(true).start());
    }

    /// The line a role prints when it serves, which [#awaitReady] waits for.
    public static String readyLine(String role, HostPort address) {
        return role + " ready, listening on " + address;
    }

    private void copyOutput() {
        try (BufferedReader lines =
                        new BufferedReader(
                                new InputStreamReader(
                                        process.getInputStream(), StandardCharsets.UTF_8));
                var file = Files.newBufferedWriter(log)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                file.write(line);
                file.newLine();
                file.flush();
                Matcher matcher = READY.matcher(line);
                if (matcher.find()) {
                    ready.complete(HostPort.parse(matcher.group(1)));
                }
            }
        } catch (IOException e) {
            ready.completeExceptionally(e);
        }
        ready.completeExceptionally(new IOException(name + " has ended"));
    }

    /// Waits until the role serves.
    ///
    /// @return where it listens
    /// @throws IOException with the end of its log if it ended or took too long
    public HostPort awaitReady(Duration timeout) throws IOException, InterruptedException {
        try {
            return ready.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException _) {
            throw new IOException(
                    name + " is not ready after " + timeout.toSeconds() + " s" + tail());
        } catch (ExecutionException _) {
            process.waitFor(1, TimeUnit.SECONDS);
            throw new IOException(name + " ended before it was ready" + tail());
        }
    }

    public String name() {
        return name;
    }

    public Path log() {
        return log;
    }

    public long pid() {
        return process.pid();
    }

    public boolean isAlive() {
        return process.isAlive();
    }

    /// Ends it at once, as `kill -9` does.
    public void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /// Stops it without a word, as a hanging machine does, until [#thaw].
    ///
    /// @throws IOException where there is no `kill` command
    public void freeze() throws IOException, InterruptedException {
        signal("-STOP");
    }

    /// Lets it go on.
    public void thaw() throws IOException, InterruptedException {
        signal("-CONT");
    }

    private void signal(String signal) throws IOException, InterruptedException {
        int status =
                new ProcessBuilder("kill", signal, Long.toString(process.pid()))
                        .inheritIO()
                        .start()
                        .waitFor();
        if (status != 0) {
            throw new IOException("kill " + signal + " " + process.pid() + ": status " + status);
        }
    }

    /// The end of its log, ready to be put behind a message.
    public String tail() {
        try {
            List<String> lines = Files.readAllLines(log);
            List<String> last = lines.subList(Math.max(0, lines.size() - TAIL_LINES), lines.size());
            return "; the end of " + log + ":\n  " + String.join("\n  ", last);
        } catch (IOException e) {
            return "; its log " + log + " cannot be read: " + e.getMessage();
        }
    }

    /// Asks it to end and waits; after ten seconds it is killed.
    @Override
    public void close() {
        process.destroy();
        try {
            if (!process.waitFor(10, TimeUnit.SECONDS)) {
                kill();
            }
        } catch (InterruptedException _) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }
}
