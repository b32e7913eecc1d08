package io.atoll.model.chat;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Splits what the model writes into reasoning and content, while it writes it.
///
/// A state machine without a clock or a thread: it is fed text in pieces of any size, cut anywhere, and says what is known so
/// far. The pieces' sizes do not change the joined result. It keeps back only what may still turn out to be a tag, or white
/// space next to one.
///
/// - A prompt that ends inside a thinking block starts in reasoning, and a `<think>` the model repeats is dropped. Otherwise
///   everything is content, unless the output itself opens a block at its start.
/// - The first `</think>` ends reasoning; later ones are content. Without any, reasoning ends where `<tool_call>` is followed by
///   `<function=`, because dropping the call would end an agent's turn for nothing; without that, all is reasoning. As an end
///   tag may always follow, reasoning from such a call on is known only at the end.
/// - White space around reasoning and blank lines before the content go. Content is otherwise left as it is, calls included.
public final class OutputParser {
    private static final String OPEN = "<think>";
    private static final String CLOSE = "</think>";
    private static final String CALL = "<tool_call>";
    private static final String FUNCTION = "<function=";
    private static final Pattern CALL_OPENER =
            Pattern.compile("<tool_call>[ \\t\\r\\n]*<function=");

    private enum State {
        /// Nothing but white space yet: a `<think>` may come.
        START,
        /// In reasoning, before its first visible character.
        REASONING_START,
        REASONING,
        /// In reasoning that may end at the call which begins `held`.
        CALL_IN_REASONING,
        /// After `</think>`, before the first visible character.
        CONTENT_START,
        CONTENT,
        FINISHED
    }

    private final boolean promptOpensThinking;
    private State state = State.START;
    private final StringBuilder held = new StringBuilder();
    private int searched; // of `held`, in CALL_IN_REASONING
    private List<OutputDelta> deltas = new ArrayList<>();

    /// A parser for one output.
    ///
    /// @param promptOpensThinking whether the prompt ended inside a thinking block
    public OutputParser(boolean promptOpensThinking) {
        this.promptOpensThinking = promptOpensThinking;
    }

    /// A parser for the output that follows `prompt`.
    public static OutputParser after(String prompt) {
        return new OutputParser(prompt.stripTrailing().endsWith(OPEN));
    }

    /// Takes the next piece of output. Returns what it makes known; often nothing, seldom more than one delta.
    public List<OutputDelta> feed(String piece) {
        if (state == State.FINISHED) {
            throw new IllegalStateException(
                    "output after its end: " + piece.length() + " characters");
        }
        held.append(piece);
        State before;
        do {
            before = state;
            advance();
        } while (state != before);
        return take();
    }

    /// Ends the output. Returns what was kept back.
    public List<OutputDelta> finish() {
        if (state == State.FINISHED) {
            throw new IllegalStateException("the output has ended before");
        }
        if (state == State.START) {
            state = promptOpensThinking ? State.REASONING_START : State.CONTENT;
            advance();
        }
        if (state == State.REASONING) {
            reasoning(beforeSpace(held.length()));
        } else if (state == State.CALL_IN_REASONING) {
            held.delete(0, leadingSpace());
            content();
        }
        // What is still held in the other states is white space that belongs to nothing.
        state = State.FINISHED;
        held.setLength(0);
        return take();
    }

    private List<OutputDelta> take() {
        List<OutputDelta> taken = List.copyOf(deltas);
        deltas = new ArrayList<>();
        return taken;
    }

    /// Goes as far in `held` as one state can.
    private void advance() {
        switch (state) {
            case START -> start();
            case REASONING_START -> {
                held.delete(0, leadingSpace());
                if (!held.isEmpty()) {
                    state = State.REASONING;
                }
            }
            case REASONING -> reason();
            case CALL_IN_REASONING -> {
                int close = held.indexOf(CLOSE, searched);
                searched = Math.max(0, held.length() - CLOSE.length() + 1);
                if (close >= 0) {
                    endReasoning(close);
                }
            }
            case CONTENT_START -> {
                int visible = leadingSpace();
                if (visible < held.length()) {
                    held.delete(0, held.substring(0, visible).lastIndexOf('\n') + 1);
                    state = State.CONTENT;
                }
            }
            case CONTENT -> content();
            case FINISHED -> throw new IllegalStateException("the output has ended");
        }
    }

    private void start() {
        int visible = leadingSpace();
        String text = held.substring(visible);
        if (text.startsWith(OPEN)) {
            held.delete(0, visible + OPEN.length());
            state = State.REASONING_START;
        } else if (!OPEN.startsWith(text)) {
            state = promptOpensThinking ? State.REASONING_START : State.CONTENT;
        }
    }

    private void reason() {
        int close = held.indexOf(CLOSE);
        Matcher opener = CALL_OPENER.matcher(held);
        boolean called = opener.find();
        if (close >= 0 && (!called || close < opener.start())) {
            endReasoning(close);
        } else if (called) {
            reasoning(beforeSpace(opener.start()));
            searched = 0;
            state = State.CALL_IN_REASONING;
        } else {
            reasoning(beforeSpace(possibleTag()));
        }
    }

    private void endReasoning(int close) {
        int end = beforeSpace(close);
        reasoning(end);
        held.delete(0, close - end + CLOSE.length());
        state = State.CONTENT_START;
    }

    private void reasoning(int end) {
        if (end > 0) {
            deltas.add(new OutputDelta.Reasoning(held.substring(0, end)));
            held.delete(0, end);
        }
    }

    private void content() {
        if (!held.isEmpty()) {
            deltas.add(new OutputDelta.Content(held.toString()));
            held.setLength(0);
        }
    }

    /// Where the first suffix begins that more text could make a tag of; the length if there is none.
    private int possibleTag() {
        for (int i = held.indexOf("<"); i >= 0; i = held.indexOf("<", i + 1)) {
            String suffix = held.substring(i);
            if (CLOSE.startsWith(suffix) || CALL.startsWith(suffix) || mayOpenCall(suffix)) {
                return i;
            }
        }
        return held.length();
    }

    private static boolean mayOpenCall(String suffix) {
        return suffix.startsWith(CALL)
                && FUNCTION.startsWith(suffix.substring(CALL.length()).stripLeading());
    }

    private int leadingSpace() {
        int i = 0;
        while (i < held.length() && isSpace(held.charAt(i))) {
            i++;
        }
        return i;
    }

    private int beforeSpace(int end) {
        int i = end;
        while (i > 0 && isSpace(held.charAt(i - 1))) {
            i--;
        }
        return i;
    }

    private static boolean isSpace(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
    }
}
