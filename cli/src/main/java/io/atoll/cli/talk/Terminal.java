package io.atoll.cli.talk;

import io.atoll.cli.client.ApiClient;
import java.io.PrintStream;

/// Writes an answer to a person as it comes: reasoning dimmed where the output is a terminal, content plain.
final class Terminal implements ApiClient.Listener {
    private static final String DIM = "\u001b[2m";
    private static final String BOLD = "\u001b[1m";
    private static final String RESET = "\u001b[0m";

    private final PrintStream out;
    private final boolean styled;
    private boolean inReasoning;

    Terminal(PrintStream out, boolean styled) {
        this.out = out;
        this.styled = styled;
    }

    /// Whether standard output is a terminal that wants colours.
    static boolean stdoutIsStyled() {
        return hasTerminal()
                && System.getenv("NO_COLOR") == null
                && !"dumb".equals(System.getenv("TERM"));
    }

    @SuppressWarnings(
            "SystemConsoleNull") // it is null in a JVM started with -Djdk.console=java.base
    private static boolean hasTerminal() {
        return System.console() != null && System.console().isTerminal();
    }

    @Override
    public void reasoning(String text) {
        if (!inReasoning && styled) {
            out.print(DIM);
        }
        inReasoning = true;
        out.print(text);
        out.flush();
    }

    @Override
    public void content(String text) {
        endReasoning();
        out.print(text);
        out.flush();
    }

    /// Ends an answer, complete or not, and its line.
    void endAnswer() {
        if (inReasoning) {
            inReasoning = false;
            out.print(styled ? RESET : "");
        }
        out.println();
    }

    void heading(String text) {
        out.println(styled ? BOLD + text + RESET : text);
    }

    void note(String text) {
        out.println(styled ? DIM + text + RESET : text);
    }

    private void endReasoning() {
        if (inReasoning) {
            inReasoning = false;
            out.print(styled ? RESET + "\n\n" : "\n\n");
        }
    }
}
