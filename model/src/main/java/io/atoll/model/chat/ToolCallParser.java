package io.atoll.model.chat;

import io.atoll.model.chat.TextWindow.Match;
import java.util.Optional;
import java.util.function.Supplier;

/// Takes the calls out of content that may hold some:
///
/// ```
/// <tool_call>
/// <function=NAME>
/// <parameter=KEY>
/// value
/// </parameter>
/// </function>
/// </tool_call>
/// ```
///
/// What is not quite so is read for what it was meant to be, and what cannot be a call stays content, so that no output is an
/// error and none is lost:
///
/// - `<function=NAME>` without `<tool_call>` counts at the start of a line if a tool has that name. A name that is empty, is
///   cut off or holds white space, quotes, braces or angle brackets is no call.
/// - End tags may be missing ([ValueEnd] says where a value ends), and text between parameters is skipped. A call that the end
///   of the output cuts is a call with the arguments it has.
/// - White space between content and a call goes, unless content follows the call.
final class ToolCallParser {
    static final String CALL_CLOSE = "</tool_call>";
    static final String FUNCTION_CLOSE = "</function>";
    static final String PARAMETER = "<parameter=";
    private static final String NOT_IN_NAMES = "{}<>\"' \t\r\n";

    private enum State {
        TEXT,
        /// At `position` begins what may be a call; its name is being read.
        NAME,
        /// In content, up to the `>` that would have ended a name.
        NO_NAME,
        /// In a call, between parameters.
        PARAMETERS,
        /// In a call, in text that means nothing.
        STRAY,
        KEY,
        VALUE,
        /// Behind a function's end: `</tool_call>` may come.
        AFTER_CALL
    }

    private final TextWindow window;
    private final CallOpener opener;
    private final ToolDefinitions tools;
    private final Supplier<String> callIds;
    private final Deltas deltas;
    private State state = State.TEXT;
    private int position; // what stands before it has been given out, or means nothing
    private int scanned;
    private int nameStart;

    // Content
    private final StringBuilder heldSpace = new StringBuilder();
    private boolean contentSeen;
    private boolean lineStart = true;

    // Calls
    private int callCount;
    private CallWriter call;
    private ValueEnd value;
    private Optional<ValueEndings> endings = Optional.empty();

    ToolCallParser(
            TextWindow window,
            CallOpener opener,
            ToolDefinitions tools,
            Supplier<String> callIds,
            Deltas deltas) {
        this.window = window;
        this.opener = opener;
        this.tools = tools;
        this.callIds = callIds;
        this.deltas = deltas;
    }

    /// Content begins here.
    void begin(int from) {
        position = from;
    }

    /// Goes as far as the text allows.
    ///
    /// @return the first position that is still needed
    int advance() {
        boolean goesOn;
        do {
            goesOn =
                    switch (state) {
                        case TEXT -> text();
                        case NAME -> name();
                        case NO_NAME -> noName();
                        case PARAMETERS -> parameters();
                        case STRAY -> stray();
                        case KEY -> key();
                        case VALUE -> value();
                        case AFTER_CALL -> afterCall();
                    };
        } while (goesOn);
        if (window.isComplete() && callCount == 0) {
            deltas.content(heldSpace); // the end of an answer is left as it is
            heldSpace.setLength(0);
        }
        return state == State.VALUE ? value.needed() : position;
    }

    private boolean enter(State next) {
        state = next;
        scanned = position;
        return true;
    }

    // Content

    private boolean text() {
        while (position < window.end()) {
            content(window.find('<', position));
            if (position == window.end()) {
                break;
            }
            Match wrapped = opener.match(position);
            Match bare = wrapped == Match.YES ? Match.NO : bareFunction();
            if (wrapped == Match.YES || bare == Match.YES) {
                nameStart =
                        wrapped == Match.YES
                                ? opener.nameStart()
                                : position + CallOpener.FUNCTION.length();
                state = State.NAME;
                scanned = nameStart;
                return true;
            }
            if (wrapped == Match.MORE || bare == Match.MORE) {
                break;
            }
            content(position + 1);
        }
        return false;
    }

    /// Whether a function that exists begins at `position` without `<tool_call>`.
    private Match bareFunction() {
        Match tag = lineStart ? window.match(CallOpener.FUNCTION, position) : Match.NO;
        if (tag != Match.YES) {
            return tag;
        }
        int from = position + CallOpener.FUNCTION.length();
        int longest = (int) Math.min(window.end(), (long) from + tools.longestName() + 1);
        int to = from;
        while (to < longest && window.charAt(to) != '>' && window.charAt(to) != '\n') {
            to++;
        }
        String name = window.substring(from, to);
        if (to < longest) {
            boolean known = window.charAt(to) == '>' && tools.has(name);
            return known ? Match.YES : Match.NO;
        }
        boolean cut = to == window.end() && !window.isComplete();
        return cut && tools.anyNameBegins(name) ? Match.MORE : Match.NO;
    }

    private boolean name() {
        for (; scanned < window.end(); scanned++) {
            char c = window.charAt(scanned);
            if (c == '>' && scanned > nameStart) {
                startCall(window.substring(nameStart, scanned));
                position = scanned + 1;
                return enter(State.PARAMETERS);
            }
            if (NOT_IN_NAMES.indexOf(c) >= 0) {
                content(scanned);
                return enter(State.NO_NAME);
            }
        }
        if (window.isComplete()) {
            content(window.end());
            return enter(State.TEXT);
        }
        return false;
    }

    private boolean noName() {
        int close = window.find('>', position);
        if (close == window.end()) {
            content(close);
            return false;
        }
        content(close + 1);
        return enter(State.TEXT);
    }

    /// Gives out what stands before `to` as content, but for the white space at its end, which a call may follow.
    private void content(int to) {
        int visible = window.visibleEnd(position, to);
        if (visible > position) {
            // White space that separates two pieces of content stays; what stands next to calls
            // only goes.
            boolean separates = contentSeen || callCount == 0;
            int from = separates ? position : window.skipSpace(position);
            if (separates) {
                deltas.content(heldSpace);
            }
            deltas.content(window.substring(from, visible));
            heldSpace.setLength(0);
            contentSeen = true;
        }
        heldSpace.append(window.substring(visible, to));
        lineStart = lineStart(to);
        position = to;
    }

    /// Whether only spaces stand between a line's beginning and `at`.
    private boolean lineStart(int at) {
        for (int i = at - 1; i >= position; i--) {
            char c = window.charAt(i);
            if (c != ' ' && c != '\t') {
                return c == '\n';
            }
        }
        return lineStart;
    }

    // Calls

    private void startCall(String name) {
        int index = callCount++;
        deltas.callStarted(index, callIds.get(), name);
        call = new CallWriter(index, tools.parameters(name), deltas);
    }

    private boolean parameters() {
        position = window.skipSpace(position);
        if (position == window.end()) {
            return window.isComplete() && endCall();
        }
        Match parameter = window.match(PARAMETER, position);
        if (parameter == Match.YES) {
            position += PARAMETER.length();
            return enter(State.KEY);
        }
        Match function = window.match(FUNCTION_CLOSE, position);
        if (function == Match.YES) {
            position += FUNCTION_CLOSE.length();
            return endCall();
        }
        Match close = window.match(CALL_CLOSE, position);
        Match next = window.match(CallOpener.CALL, position);
        if (close == Match.YES || next == Match.YES) {
            return endCall(); // the function's end is missing
        }
        boolean cut =
                parameter == Match.MORE
                        || function == Match.MORE
                        || close == Match.MORE
                        || next == Match.MORE;
        return !cut && enter(State.STRAY);
    }

    private boolean stray() {
        while (true) {
            position = window.find('<', position);
            if (position == window.end()) {
                return window.isComplete() && enter(State.PARAMETERS);
            }
            switch (ValueEnd.tagOfCall(window, position)) {
                case YES -> {
                    return enter(State.PARAMETERS);
                }
                case MORE -> {
                    return false;
                }
                case NO -> position++;
            }
        }
    }

    private boolean key() {
        scanned = window.find('>', scanned);
        if (scanned == window.end()) {
            if (window.isComplete()) {
                position = scanned; // a parameter without a whole name
                return enter(State.PARAMETERS);
            }
            return false;
        }
        String key = window.substring(position, scanned);
        position = scanned + 1;
        call.beginArgument(key);
        value = new ValueEnd(window, position, call.parameters());
        return enter(State.VALUE);
    }

    private boolean value() {
        boolean ended = value.advance(this::endings);
        call.argumentText(value.takeCertain());
        if (!ended) {
            return false;
        }
        call.endArgument();
        position = value.next();
        return enter(State.PARAMETERS);
    }

    /// Where the values of the rest of a complete text may end; made once.
    private ValueEndings endings() {
        if (endings.isEmpty()) {
            endings = Optional.of(new ValueEndings(window, value.needed()));
        }
        return endings.get();
    }

    private boolean endCall() {
        call.end();
        lineStart = false;
        return enter(State.AFTER_CALL);
    }

    private boolean afterCall() {
        scanned = window.skipSpace(scanned);
        return switch (window.match(CALL_CLOSE, scanned)) {
            case YES -> {
                position = scanned + CALL_CLOSE.length();
                yield enter(State.TEXT);
            }
            case NO -> {
                content(scanned);
                yield enter(State.TEXT);
            }
            case MORE -> false;
        };
    }
}
