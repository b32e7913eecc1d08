package io.atoll.model.chat;

/// A text that arrives in pieces, read by position. Positions count characters from the beginning and never change; what lies
/// before the reader's own position is let go.
final class TextWindow {
    /// Whether something stands at a position, as far as the text is known.
    enum Match {
        YES,
        NO,
        /// More text decides.
        MORE
    }

    private static final int SMALLEST_RELEASE = 1024;

    private final StringBuilder text = new StringBuilder();
    private int base; // position of the first character of `text`
    private boolean complete;
    private long looks;

    void append(String piece) {
        text.append(piece);
    }

    /// No more text comes.
    void complete() {
        complete = true;
    }

    boolean isComplete() {
        return complete;
    }

    int end() {
        return base + text.length();
    }

    char charAt(int at) {
        looks++;
        return text.charAt(at - base);
    }

    String substring(int from, int to) {
        looks += to - from;
        return text.substring(from - base, to - base);
    }

    /// Where the character comes next, or the end.
    int find(char wanted, int from) {
        int at = from;
        while (at < end() && charAt(at) != wanted) {
            at++;
        }
        return at;
    }

    /// Whether `tag` stands at a position.
    Match match(String tag, int at) {
        int known = Math.min(tag.length(), end() - at);
        for (int i = 0; i < known; i++) {
            if (charAt(at + i) != tag.charAt(i)) {
                return Match.NO;
            }
        }
        if (known == tag.length()) {
            return Match.YES;
        }
        return complete ? Match.NO : Match.MORE;
    }

    /// The first position from `from` on that holds no white space, or the end.
    int skipSpace(int from) {
        int at = from;
        while (at < end() && isSpace(charAt(at))) {
            at++;
        }
        return at;
    }

    /// The position behind the last character of `[from, to)` that is no white space, or `from`.
    int visibleEnd(int from, int to) {
        int at = to;
        while (at > from && isSpace(charAt(at - 1))) {
            at--;
        }
        return at;
    }

    /// Lets go of what stands before a position.
    void release(int before) {
        int length = before - base;
        // Moving the rest costs its length, so it has to pay off.
        if (length >= SMALLEST_RELEASE && 2 * length >= text.length()) {
            text.delete(0, length);
            base = before;
        }
    }

    /// Characters looked at so far: what the parsers' work grows with.
    long looks() {
        return looks;
    }

    /// The white space of the format itself.
    static boolean isSpace(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
    }
}
