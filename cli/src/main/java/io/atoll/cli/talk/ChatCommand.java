package io.atoll.cli.talk;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.client.ApiClient;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.UserInterruptException;
import org.jline.terminal.Terminal.Signal;
import org.jline.terminal.TerminalBuilder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/// A conversation in the terminal.
@Command(
        name = "chat",
        description = "Talk to a model in the terminal.",
        footer = {
            "",
            "In the conversation: /new forgets it, /exit or Ctrl-D leaves, Ctrl-C stops an answer.",
            "",
            "Examples:",
            "  atoll chat demo-model",
            "  atoll chat --url http://127.0.0.1:8000"
        })
public final class ChatCommand implements Callable<Integer> {
    @Mixin private Endpoint endpoint;
    @Mixin private RequestOptions options;

    @Override
    public Integer call() throws Exception {
        try (Endpoint.Open server = endpoint.open();
                org.jline.terminal.Terminal terminal =
                        TerminalBuilder.builder()
                                .system(true)
                                .dumb(true)
                                .encoding(StandardCharsets.UTF_8)
                                .build()) {
            converse(server, terminal);
            return 0;
        }
    }

    private void converse(Endpoint.Open server, org.jline.terminal.Terminal terminal)
            throws IOException, InterruptedException {
        LineReader reader = LineReaderBuilder.builder().terminal(terminal).build();
        Terminal screen = new Terminal(System.out, Terminal.stdoutIsStyled());
        screen.note(
                server.model() + " at " + server.url() + "; /new, /exit, Ctrl-C stops an answer");
        ObjectNode request = options.request(server.model());
        int system = request.withArray("messages").size();
        while (true) {
            String line;
            try {
                line = reader.readLine("> ").strip();
            } catch (UserInterruptException _) {
                continue;
            } catch (EndOfFileException _) {
                return;
            }
            ArrayNode messages = request.withArray("messages");
            switch (line) {
                case "" -> {}
                case "/exit", "/quit" -> {
                    return;
                }
                case "/new" -> {
                    while (messages.size() > system) {
                        messages.remove(messages.size() - 1);
                    }
                    screen.note("a new conversation");
                }
                default -> {
                    messages.addObject().put("role", "user").put("content", line);
                    if (!answer(server.client(), request, terminal, screen)) {
                        messages.remove(messages.size() - 1);
                    }
                }
            }
        }
    }

    /// Streams one answer and adds it to the conversation.
    ///
    /// @return false if there is no answer to keep
    private static boolean answer(
            ApiClient client,
            ObjectNode request,
            org.jline.terminal.Terminal terminal,
            Terminal screen)
            throws InterruptedException {
        Thread caller = Thread.currentThread();
        var before = terminal.handle(Signal.INT, _ -> caller.interrupt());
        try {
            ApiClient.Answer answer = client.chat(request.deepCopy(), screen);
            screen.endAnswer();
            screen.note(describe(answer));
            request.withArray("messages")
                    .addObject()
                    .put("role", "assistant")
                    .put("content", answer.content());
            return true;
        } catch (InterruptedException | ClosedByInterruptException _) {
            screen.endAnswer();
            screen.note("stopped");
            return false;
        } catch (IOException e) {
            screen.endAnswer();
            screen.note(Thread.interrupted() ? "stopped" : "error: " + e.getMessage());
            return false;
        } finally {
            terminal.handle(Signal.INT, before);
        }
    }

    /// The line of numbers below an answer.
    static String describe(ApiClient.Answer answer) {
        return String.format(
                Locale.ROOT,
                "[%d prompt + %d tokens, first after %.0f ms, then %.0f tokens/s%s]",
                answer.promptTokens(),
                answer.completionTokens(),
                Math.max(0, answer.firstTokenNanos()) / 1e6,
                answer.tokensPerSecond(),
                answer.finishReason().equals("length") ? ", cut at the length limit" : "");
    }
}
