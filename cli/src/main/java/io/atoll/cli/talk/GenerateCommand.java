package io.atoll.cli.talk;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.client.ApiClient;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// One prompt, one answer.
@Command(
        name = "generate",
        description = {
            "Answer one prompt.",
            "The answer goes to standard output, reasoning and numbers to standard error."
        },
        footer = {
            "",
            "Examples:",
            "  atoll generate demo-model --prompt 'What is the capital of France?'",
            "  atoll generate --url http://127.0.0.1:8000 --prompt - < question.txt"
        })
public final class GenerateCommand implements Callable<Integer> {
    @Mixin private Endpoint endpoint;
    @Mixin private RequestOptions options;

    @Option(
            names = {"-p", "--prompt"},
            required = true,
            paramLabel = "TEXT",
            description = "The prompt; - reads it from standard input.")
    private String prompt;

    @Override
    public Integer call() throws Exception {
        String text =
                prompt.equals("-")
                        ? new String(System.in.readAllBytes(), StandardCharsets.UTF_8)
                        : prompt;
        try (Endpoint.Open server = endpoint.open()) {
            ObjectNode request = options.request(server.model());
            request.withArray("messages").addObject().put("role", "user").put("content", text);
            Terminal errors = new Terminal(System.err, Terminal.stdoutIsStyled());
            ApiClient.Answer answer =
                    server.client()
                            .chat(
                                    request,
                                    new ApiClient.Listener() {
                                        private boolean thought;

                                        @Override
                                        public void reasoning(String piece) {
                                            thought = true;
                                            errors.reasoning(piece);
                                        }

                                        @Override
                                        public void content(String piece) {
                                            if (thought) {
                                                thought = false;
                                                errors.endAnswer();
                                            }
                                            System.out.print(piece);
                                            System.out.flush();
                                        }
                                    });
            System.out.println();
            errors.note(ChatCommand.describe(answer));
            return 0;
        }
    }
}
