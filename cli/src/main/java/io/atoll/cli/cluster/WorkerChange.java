package io.atoll.cli.cluster;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.UrlOption;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// A change of one worker that the coordinator makes at once.
public abstract class WorkerChange implements Callable<Integer> {
    @Mixin private UrlOption at;

    @Parameters(paramLabel = "WORKER", description = "Its name in the cluster file.")
    private String worker;

    private final String route;
    private final String done;

    /// @param done what to say of a worker's name then
    WorkerChange(String route, String done) {
        this.route = route;
        this.done = done;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        try (ApiClient client = at.client()) {
            ObjectNode body = ApiClient.object().put("worker", worker);
            client.post("cluster/" + route, body);
        }
        System.out.println(worker + " " + done);
        return 0;
    }

    /// Keeps copies off a worker.
    @Command(
            name = "cordon",
            description = "Keep copies off a worker that nobody asked for by name.")
    public static final class Cordon extends WorkerChange {
        public Cordon() {
            super("cordon", "takes no copies from others");
        }
    }

    /// Ends a cordon.
    @Command(name = "uncordon", description = "Let a worker take copies again.")
    public static final class Uncordon extends WorkerChange {
        public Uncordon() {
            super("uncordon", "takes copies again");
        }
    }

    /// Ends a drain.
    @Command(name = "undrain", description = "Give a drained worker its experts back.")
    public static final class Undrain extends WorkerChange {
        public Undrain() {
            super("undrain", "gets its experts back");
        }
    }
}
