package io.atoll.cli.talk;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.AtollHome;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.process.AtollProcess;
import io.atoll.cli.process.LocalCluster;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// A small cluster on this machine, and a few questions to it: what `scripts/demo` runs.
@Command(
        name = "demo",
        description = {
            "Start one coordinator and two expert workers on this machine and ask a few questions.",
            "The endpoint stays up until Ctrl-C."
        })
public final class DemoCommand implements Callable<Integer> {
    private static final ObjectMapper JSON = new ObjectMapper();

    @Option(names = "--once", description = "Stop after the questions.")
    private boolean once;

    @Option(
            names = "--port",
            paramLabel = "PORT",
            defaultValue = "8000",
            description = "Port of the API; 0 takes a free one. Default: ${DEFAULT-VALUE}.")
    private int port;

    @Option(
            names = "--model",
            paramLabel = "PATH",
            description = "Another model: a directory or a GGUF file. Default: the demo model.")
    private Optional<Path> model;

    private static final Duration WARM_UP = Duration.ofSeconds(8);

    /// What is asked: a title, the question, and whether to think first and to offer a tool.
    private record Question(String title, String text, boolean thinking, boolean tool) {}

    private static final List<Question> QUESTIONS =
            List.of(
                    new Question("A fact", "What is the capital of France?", true, false),
                    new Question("Another language", "Say hello in Korean.", false, false),
                    new Question("A tool call", "What is the weather in Vienna?", true, true),
                    new Question("A story", "Tell me a story.", false, false));

    private final Terminal screen = new Terminal(System.out, Terminal.stdoutIsStyled());

    @Override
    public Integer call() throws Exception {
        Path directory = Files.createTempDirectory("atoll-demo-");
        screen.note(
                "starting two expert workers and a coordinator; their logs are in " + directory);
        LocalCluster.Plan plan =
                LocalCluster.Plan.even(model.orElseGet(AtollHome::demoModel), 2, port);
        CountDownLatch interrupted = new CountDownLatch(1);
        try (LocalCluster cluster = LocalCluster.start(plan, directory);
                ApiClient client = new ApiClient(cluster.url())) {
            Runtime.getRuntime().addShutdownHook(stopping(cluster, interrupted));
            String name = client.get("v1/models").path("data").path(0).path("id").asText();
            warmUp(client, name);
            for (Question question : QUESTIONS) {
                ask(client, name, question);
            }
            report(client);
            if (!once) {
                invite(cluster.url(), name, directory);
                watch(cluster, interrupted);
            }
            return 0;
        }
    }

    /// What Ctrl-C does before the process ends.
    private static Thread stopping(LocalCluster cluster, CountDownLatch interrupted) {
        return Thread.ofPlatform()
                .name("stop")
                .unstarted(
                        () -> {
                            interrupted.countDown();
                            cluster.close();
                        });
    }

    /// Java compiles what it has run often, so the first hundreds of tokens of a process are slow.
    private void warmUp(ApiClient client, String model) throws IOException, InterruptedException {
        screen.note("warming up for " + WARM_UP.toSeconds() + " seconds");
        long end = System.nanoTime() + WARM_UP.toNanos();
        while (System.nanoTime() - end < 0) {
            client.chat(
                    request(model, QUESTIONS.getLast()).put("ignore_eos", true),
                    ApiClient.Listener.SILENT);
        }
    }

    private static ObjectNode request(String model, Question question) throws IOException {
        ObjectNode request = JSON.createObjectNode();
        request.put("model", model).put("temperature", 0).put("max_tokens", 200);
        request.putObject("chat_template_kwargs").put("enable_thinking", question.thinking());
        request.putArray("messages")
                .addObject()
                .put("role", "user")
                .put("content", question.text());
        if (question.tool()) {
            request.set("tools", JSON.readTree(WEATHER_TOOL));
        }
        return request;
    }

    private void ask(ApiClient client, String model, Question question)
            throws IOException, InterruptedException {
        System.out.println();
        screen.heading(question.title() + ": " + question.text());
        ApiClient.Answer answer = client.chat(request(model, question), screen);
        screen.endAnswer();
        screen.note(ChatCommand.describe(answer));
    }

    /// Prints what each worker has done, as the coordinator counts it.
    private void report(ApiClient client) throws IOException, InterruptedException {
        System.out.println();
        screen.heading("Which worker computed what");
        screen.note(
                String.format(
                        Locale.ROOT,
                        "  %-6s %-22s %8s %10s %9s %10s %14s",
                        "worker",
                        "address",
                        "experts",
                        "dispatches",
                        "rows",
                        "compute",
                        "round trip"));
        for (JsonNode worker : client.get("cluster/workers").path("workers")) {
            long dispatches = worker.path("dispatches").asLong();
            System.out.printf(
                    Locale.ROOT,
                    "  %-6s %-22s %8d %10d %9d %7.0f ms %11.0f us%n",
                    worker.path("name").asText(),
                    worker.path("address").asText(),
                    worker.path("experts").asInt(),
                    dispatches,
                    worker.path("rows").asLong(),
                    worker.path("compute_nanos").asLong() / 1e6,
                    worker.path("round_trip_nanos").asLong() / 1e3 / Math.max(1, dispatches));
        }
    }

    private void invite(URI url, String model, Path directory) {
        System.out.println();
        screen.heading("The endpoint is " + url + "/v1");
        System.out.println(
                "  curl " + url + "/v1/chat/completions -H 'Content-Type: application/json' \\");
        System.out.println(
                "    -d '{\"model\": \""
                        + model
                        + "\", \"messages\": [{\"role\": \"user\", \"content\": \"Who are"
                        + " you?\"}]}'");
        System.out.println("  ./atoll chat --url " + url);
        screen.note("Ctrl-C stops everything; logs are in " + directory);
    }

    /// Waits for Ctrl-C, and says so if a process ends before.
    private static void watch(LocalCluster cluster, CountDownLatch interrupted)
            throws InterruptedException {
        List<AtollProcess> alive = new ArrayList<>(cluster.processes());
        while (!interrupted.await(500, TimeUnit.MILLISECONDS) && !alive.isEmpty()) {
            alive.removeIf(
                    process -> {
                        if (!process.isAlive() && interrupted.getCount() > 0) {
                            System.out.println(process.name() + " has ended" + process.tail());
                        }
                        return !process.isAlive();
                    });
        }
    }

    private static final String WEATHER_TOOL =
            """
            [{"type": "function", "function": {
              "name": "get_weather",
              "description": "Get the current weather in a city.",
              "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "The city name"}},
                "required": ["city"]}}}]
            """;
}
