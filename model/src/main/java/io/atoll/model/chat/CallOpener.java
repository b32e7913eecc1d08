package io.atoll.model.chat;

import io.atoll.model.chat.TextWindow.Match;

/// Recognises what begins a call: `<tool_call>`, white space, `<function=`.
///
/// Remembers how far it has looked, so that white space that comes in many pieces is looked at once.
final class CallOpener {
    static final String CALL = "<tool_call>";
    static final String FUNCTION = "<function=";

    private final TextWindow window;
    private int openedAt = -1;
    private int behindSpace;

    CallOpener(TextWindow window) {
        this.window = window;
    }

    Match match(int at) {
        if (openedAt != at) {
            Match call = window.match(CALL, at);
            if (call != Match.YES) {
                return call;
            }
            openedAt = at;
            behindSpace = at + CALL.length();
        }
        behindSpace = window.skipSpace(behindSpace);
        return window.match(FUNCTION, behindSpace);
    }

    /// After a match: where the function's name begins.
    int nameStart() {
        return behindSpace + FUNCTION.length();
    }
}
