package io.atoll.cli.process;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.cli.client.ApiClient;
import io.atoll.cluster.config.HostPort;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.StreamSupport;

/// One coordinator and some expert workers as processes on this machine. Logs and the cluster file are in its directory.
public final class LocalCluster implements AutoCloseable {
    /// The cluster that its processes belong to.
    public static final String CLUSTER_ID = "local";

    private static final Duration START_TIMEOUT = Duration.ofSeconds(90);

    private final Path directory;
    private final Path model;
    private final List<AtollProcess> processes = new ArrayList<>();
    private final List<HostPort> workerAddresses = new ArrayList<>();
    private URI url = URI.create("http://127.0.0.1:0");

    private LocalCluster(Path directory, Path model) {
        this.directory = directory;
        this.model = model.toAbsolutePath();
    }

    /// What to start.
    ///
    /// @param model directory of the checkpoint, or a GGUF file
    /// @param shards what each worker holds, as `--experts` takes it; their number is the number of workers
    /// @param port of the API; 0 takes a free one
    /// @param coordinatorYaml further lines of the cluster file's `coordinator` section, indented by two
    /// @param attentionYaml the same for its `attention-worker` section
    public record Plan(
            Path model,
            List<String> shards,
            int port,
            String coordinatorYaml,
            String attentionYaml) {
        public Plan {
            shards = List.copyOf(shards);
        }

        /// Workers with equal parts, one compute thread each, and every default.
        public static Plan even(Path model, int workers, int port) {
            List<String> shards = new ArrayList<>();
            for (int part = 1; part <= workers; part++) {
                shards.add(part + "/" + workers);
            }
            return new Plan(model, shards, port, "", "  threads: 1\n");
        }
    }

    /// Starts the processes and waits until the cluster serves.
    ///
    /// @param directory receives the logs and the cluster file
    /// @throws IOException with the end of a log, after everything was stopped again
    public static LocalCluster start(Plan plan, Path directory)
            throws IOException, InterruptedException {
        LocalCluster cluster = new LocalCluster(directory, plan.model());
        try {
            cluster.startAll(plan);
            return cluster;
        } catch (IOException | InterruptedException | RuntimeException e) {
            cluster.close();
            throw e;
        }
    }

    private void startAll(Plan plan) throws IOException, InterruptedException {
        for (int i = 0; i < plan.shards().size(); i++) {
            add(startWorker("w" + (i + 1), plan.shards().get(i), new HostPort("127.0.0.1", 0)));
        }
        StringBuilder yaml = new StringBuilder();
        yaml.append("cluster-id: " + CLUSTER_ID + "\nmodel: '")
                .append(model.toString().replace("'", "''"))
                .append("'\ncoordinator:\n  listen: 127.0.0.1:")
                .append(plan.port())
                .append('\n')
                .append(plan.coordinatorYaml());
        if (!plan.attentionYaml().isEmpty()) {
            yaml.append("attention-worker:\n").append(plan.attentionYaml());
        }
        yaml.append("expert-workers:\n");
        for (AtollProcess worker : List.copyOf(processes)) {
            HostPort address = worker.awaitReady(START_TIMEOUT);
            workerAddresses.add(address);
            yaml.append("  - name: ").append(worker.name()).append('\n');
            yaml.append("    address: ").append(address).append('\n');
        }
        Path file = directory.resolve("cluster.yaml");
        Files.writeString(file, yaml);
        AtollProcess coordinator =
                AtollProcess.start(
                        "coordinator",
                        directory.resolve("coordinator.log"),
                        List.of("coordinator", "--config=" + file));
        add(coordinator);
        url = URI.create("http://" + coordinator.awaitReady(START_TIMEOUT));
        awaitServing(START_TIMEOUT);
    }

    private AtollProcess startWorker(String name, String shard, HostPort listen)
            throws IOException {
        return startWorker(name, directory, model, shard, listen, 1);
    }

    /// Starts an expert worker of the cluster `local`.
    private static AtollProcess startWorker(
            String name, Path directory, Path model, String shard, HostPort listen, int threads)
            throws IOException {
        return AtollProcess.start(
                name,
                directory.resolve(name + ".log"),
                List.of(
                        "expert-worker",
                        "--name=" + name,
                        "--cluster-id=" + CLUSTER_ID,
                        "--model=" + model,
                        "--listen=" + listen,
                        "--experts=" + shard,
                        "--threads=" + threads));
    }

    /// Starts expert workers without a coordinator, each with an equal part of the experts, for an attention worker in this process.
    ///
    /// @param directory receives their logs
    /// @param threads compute threads of each
    /// @return in order; none of them need be ready yet
    /// @throws IOException if one cannot be started; the others are stopped then
    public static List<AtollProcess> startWorkers(
            Path model, Path directory, int workers, int threads) throws IOException {
        List<AtollProcess> started = new ArrayList<>();
        try {
            for (int part = 1; part <= workers; part++) {
                started.add(
                        startWorker(
                                "w" + part,
                                directory,
                                model.toAbsolutePath(),
                                part + "/" + workers,
                                new HostPort("127.0.0.1", 0),
                                threads));
            }
            return started;
        } catch (IOException e) {
            started.forEach(AtollProcess::close);
            throw e;
        }
    }

    /// Waits until `/health/ready` says yes.
    public void awaitServing(Duration timeout) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + timeout.toNanos();
        AtollProcess coordinator = processes.getLast();
        try (ApiClient client = new ApiClient(url)) {
            Optional<String> reason = client.notReady();
            while (reason.isPresent()) {
                if (System.nanoTime() > deadline || !coordinator.isAlive()) {
                    throw new IOException(
                            "the cluster does not serve: " + reason.get() + coordinator.tail());
                }
                TimeUnit.MILLISECONDS.sleep(20);
                reason = client.notReady();
            }
        }
    }

    /// Waits until the coordinator reaches every worker: serving needs one holder of each expert only.
    public void awaitAllWorkers(Duration timeout) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + timeout.toNanos();
        try (ApiClient client = new ApiClient(url)) {
            while (liveWorkers(client) < workerAddresses.size()) {
                if (System.nanoTime() - deadline > 0) {
                    throw new IOException(
                            "a worker is not back after " + timeout.toSeconds() + " s");
                }
                TimeUnit.MILLISECONDS.sleep(20);
            }
        }
    }

    private static long liveWorkers(ApiClient client) throws IOException, InterruptedException {
        JsonNode workers = client.get("cluster/workers").path("workers");
        return StreamSupport.stream(workers.spliterator(), false)
                .filter(worker -> worker.path("live").asBoolean())
                .count();
    }

    /// Kills one worker, as `kill -9` does.
    ///
    /// @param index from 0
    public void killWorker(int index) throws InterruptedException {
        processes.get(index).kill();
    }

    /// Stops one worker as an operator does, and waits until it has ended.
    ///
    /// @param index from 0
    public void stopWorker(int index) {
        processes.get(index).close();
    }

    /// Freezes a worker's process.
    public void freezeWorker(int index) throws IOException, InterruptedException {
        processes.get(index).freeze();
    }

    /// Lets a frozen worker go on.
    public void thawWorker(int index) throws IOException, InterruptedException {
        processes.get(index).thaw();
    }

    /// Starts a killed or stopped worker again, at its old address, with a shard.
    public void restartWorker(int index, String shard) throws IOException, InterruptedException {
        AtollProcess worker =
                startWorker(processes.get(index).name(), shard, workerAddresses.get(index));
        synchronized (processes) {
            processes.set(index, worker);
        }
        worker.awaitReady(START_TIMEOUT);
    }

    /// The API's endpoint, without `/v1`.
    public URI url() {
        return url;
    }

    public Path directory() {
        return directory;
    }

    /// Workers in order, then the coordinator.
    public List<AtollProcess> processes() {
        synchronized (processes) {
            return List.copyOf(processes);
        }
    }

    private void add(AtollProcess process) {
        synchronized (processes) {
            processes.add(process);
        }
    }

    /// Stops everything, the coordinator first. Harmless when already stopped.
    @Override
    public void close() {
        processes().reversed().forEach(AtollProcess::close);
    }
}
