package io.atoll.model.chat;

import io.atoll.model.chat.TextWindow.Match;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/// Tells apart what the model writes, while it writes it: reasoning, content and, where tools were offered, calls.
///
/// A state machine without a clock or a thread: it is fed text in pieces of any size, cut anywhere, and says what is known so
/// far. The pieces' sizes do not change the joined result. It keeps back only what may still turn out to be markup, or white
/// space next to it. Its work grows with the length of the output, whatever the output is.
///
/// - A prompt that ends inside a thinking block starts in reasoning, and a `<think>` the model repeats is dropped. Otherwise
///   everything is content, unless the output itself opens a block at its start.
/// - The first `</think>` ends reasoning; later ones are content. Without any, reasoning ends where `<tool_call>` is followed by
///   `<function=`, because dropping the call would end an agent's turn for nothing; without that, all is reasoning. As an end
///   tag may always follow, reasoning from such a call on is known only at the end.
/// - White space around reasoning and blank lines before the content go. Content is otherwise left as it is, but for the calls
///   that [ToolCallParser] takes out of it.
public final class OutputParser {
    private static final String OPEN = "<think>";
    private static final String CLOSE = "</think>";

    private enum State {
        /// Nothing but white space yet: a `<think>` may come.
        START,
        /// In reasoning, before its first visible character.
        REASONING_START,
        REASONING,
        /// In reasoning that may end at the call at `callAt`.
        CALL_IN_REASONING,
        /// After `</think>`, before the first visible character.
        CONTENT_START,
        CONTENT,
        FINISHED
    }

    private final boolean promptOpensThinking;
    private final TextWindow window = new TextWindow();
    private final CallOpener opener = new CallOpener(window);
    private final Deltas deltas = new Deltas();
    private final Optional<ToolCallParser> calls;
    private State state = State.START;
    private int position; // what stands before it has been given out
    private int scanned; // what stands before it holds no markup
    private int visibleEnd; // behind the last visible character before `scanned`
    private int callAt;
    private String halfCharacter = "";

    /// A parser for one output that may hold calls.
    ///
    /// @param promptOpensThinking whether the prompt ended inside a thinking block
    /// @param tools the tools that were offered; without any, nothing is a call
    /// @param callIds gives each call its id
    public OutputParser(
            boolean promptOpensThinking, ToolDefinitions tools, Supplier<String> callIds) {
        this.promptOpensThinking = promptOpensThinking;
        this.calls =
                tools.isEmpty()
                        ? Optional.empty()
                        : Optional.of(new ToolCallParser(window, opener, tools, callIds, deltas));
    }

    /// Takes the next piece of output. Returns what it makes known; often nothing, seldom more than one delta.
    public List<OutputDelta> feed(String piece) {
        if (state == State.FINISHED) {
            throw new IllegalStateException(
                    "output after its end: " + piece.length() + " characters");
        }
        String text = halfCharacter + piece;
        boolean half = !text.isEmpty() && Character.isHighSurrogate(text.charAt(text.length() - 1));
        int whole = text.length() - (half ? 1 : 0);
        halfCharacter = text.substring(whole);
        window.append(text.substring(0, whole));
        return advance();
    }

    /// Ends the output. Returns what was kept back.
    public List<OutputDelta> finish() {
        if (state == State.FINISHED) {
            throw new IllegalStateException("the output has ended before");
        }
        window.append(halfCharacter);
        window.complete();
        List<OutputDelta> last = advance();
        state = State.FINISHED;
        return last;
    }

    /// Characters looked at so far, for the test that this grows with the length of the output.
    long looks() {
        return window.looks();
    }

    private List<OutputDelta> advance() {
        boolean changed;
        do {
            changed =
                    switch (state) {
                        case START -> start();
                        case REASONING_START -> reasoningStart();
                        case REASONING -> reason();
                        case CALL_IN_REASONING -> callInReasoning();
                        case CONTENT_START -> contentStart();
                        case CONTENT -> content();
                        case FINISHED -> throw new IllegalStateException("the output has ended");
                    };
        } while (changed);
        window.release(position);
        return deltas.take();
    }

    /// These methods go as far as one state can, and say whether they went to another one.
    private boolean start() {
        scanned = window.skipSpace(scanned);
        return switch (window.match(OPEN, scanned)) {
            case YES -> {
                position = scanned + OPEN.length();
                scanned = position;
                yield enter(State.REASONING_START);
            }
            case NO -> promptOpensThinking ? enter(State.REASONING_START) : beginContent(position);
            case MORE -> false;
        };
    }

    private boolean reasoningStart() {
        scanned = window.skipSpace(scanned);
        position = scanned;
        visibleEnd = scanned;
        return scanned < window.end() && enter(State.REASONING);
    }

    private boolean reason() {
        while (scanned < window.end()) {
            int tag = window.find('<', scanned);
            int visible = window.visibleEnd(scanned, tag);
            visibleEnd = visible > scanned ? visible : visibleEnd;
            scanned = tag;
            if (tag == window.end()) {
                break;
            }
            Match close = window.match(CLOSE, tag);
            Match call = opener.match(tag);
            if (close == Match.YES) {
                reasoning(visibleEnd);
                return endReasoning(tag);
            }
            if (call == Match.YES) {
                reasoning(visibleEnd);
                callAt = tag;
                return enter(State.CALL_IN_REASONING);
            }
            if (close == Match.MORE || call == Match.MORE) {
                break;
            }
            scanned = tag + 1;
            visibleEnd = scanned;
        }
        reasoning(visibleEnd);
        return false;
    }

    private boolean callInReasoning() {
        while (scanned < window.end()) {
            scanned = window.find('<', scanned);
            if (scanned == window.end()) {
                break;
            }
            switch (window.match(CLOSE, scanned)) {
                case YES -> {
                    reasoning(window.visibleEnd(position, scanned));
                    return endReasoning(scanned);
                }
                case MORE -> {
                    return false;
                }
                case NO -> scanned++;
            }
        }
        return window.isComplete() && beginContent(callAt);
    }

    private boolean endReasoning(int close) {
        position = close + CLOSE.length();
        scanned = position;
        return enter(State.CONTENT_START);
    }

    private boolean contentStart() {
        int visible = window.skipSpace(scanned);
        for (int i = scanned; i < visible; i++) {
            position = window.charAt(i) == '\n' ? i + 1 : position;
        }
        scanned = visible;
        return visible < window.end() && beginContent(position);
    }

    private boolean beginContent(int from) {
        position = from;
        calls.ifPresent(parser -> parser.begin(from));
        return enter(State.CONTENT);
    }

    private boolean content() {
        if (calls.isPresent()) {
            position = calls.get().advance();
        } else {
            String rest = window.substring(position, window.end());
            deltas.content(rest);
            position = window.end();
        }
        return false;
    }

    private boolean enter(State next) {
        state = next;
        return true;
    }

    private void reasoning(int end) {
        deltas.reasoning(window.substring(position, end));
        position = end;
    }
}
