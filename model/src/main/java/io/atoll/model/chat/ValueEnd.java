package io.atoll.model.chat;

import io.atoll.model.chat.TextWindow.Match;
import java.util.function.Supplier;

/// Finds where a parameter's value ends, and says meanwhile how much of it is certain.
///
/// `</parameter>` ends a value only if a tag of the call follows: another parameter, the end of the function or of the call, or
/// the end of the text. A line that begins with `<parameter=` inside a value opens a nested level, which its own `</parameter>`
/// closes. If no end is found so, the closing tag is missing: the value ends at the next line that opens a parameter the function
/// has, or else at the end of the function, or else at the end of the text. One newline is taken off each end of the value.
///
/// Only the end of the text shows that a closing tag is missing, so what stands behind the first possible end is held until then.
final class ValueEnd {
    static final String PARAMETER_CLOSE = "</parameter>";
    private static final int NOWHERE = Integer.MAX_VALUE;

    private final TextWindow window;
    private final int start;
    private final ToolDefinitions.Parameters parameters;
    private final boolean textWasComplete; // when the value began
    private int scanned;
    private int depth;
    private int held = NOWHERE; // the value may turn out to have ended here
    private int spaceBehind = -1; // a tag at whose end white space was skipped
    private int behindSpace;
    private int taken;
    private int end = -1;
    private int next = -1;

    /// @param start where the value begins, just behind its opening tag
    /// @param parameters those of the function that is called
    ValueEnd(TextWindow window, int start, ToolDefinitions.Parameters parameters) {
        this.window = window;
        this.start = start;
        this.parameters = parameters;
        this.textWasComplete = window.isComplete();
        this.scanned = start;
        this.taken = start;
    }

    /// Goes as far as the text allows.
    ///
    /// @param endings asked only when the text is complete, where looking for each value's end anew would take too long
    /// @return whether the value's end is known
    boolean advance(Supplier<ValueEndings> endings) {
        if (textWasComplete) {
            int close = endings.get().close(start);
            if (close >= 0) {
                endAtClose(close);
            } else {
                endWithoutClose(endings.get());
            }
        } else if (!walk() && window.isComplete()) {
            if (held == NOWHERE) {
                end(window.end(), window.end());
            } else {
                endWithoutClose(endings.get());
            }
        }
        return next >= 0;
    }

    /// The part of the value that has become certain since the last time.
    String takeCertain() {
        if (taken == start && start < window.end() && window.charAt(start) == '\n') {
            taken++;
        }
        int certain = next >= 0 ? end : withoutNewline(Math.min(scanned, held));
        String text = window.substring(taken, Math.max(taken, certain));
        taken += text.length();
        return text;
    }

    /// Behind the value's end: where the text goes on.
    int next() {
        return next;
    }

    /// The first position that is still needed: the last character given out is, too, as it may be a newline.
    int needed() {
        return Math.max(start, Math.min(taken, held) - 1);
    }

    private boolean walk() {
        while (true) {
            scanned = window.find('<', scanned);
            if (scanned == window.end()) {
                return false;
            }
            Match close = window.match(PARAMETER_CLOSE, scanned);
            if (close == Match.YES) {
                Match last = depth > 0 ? Match.NO : tagFollows(scanned + PARAMETER_CLOSE.length());
                switch (last) {
                    case YES -> {
                        endAtClose(scanned);
                        return true;
                    }
                    case MORE -> {
                        return false;
                    }
                    case NO -> {
                        depth = Math.max(0, depth - 1);
                        scanned += PARAMETER_CLOSE.length();
                    }
                }
                continue;
            }
            boolean line = scanned > start && window.charAt(scanned - 1) == '\n';
            Match nested = line ? window.match(ToolCallParser.PARAMETER, scanned) : Match.NO;
            if (nested == Match.YES) {
                depth++;
                held = Math.min(held, scanned - 1);
                scanned += ToolCallParser.PARAMETER.length();
                continue;
            }
            Match function = held == NOWHERE ? functionEnds() : Match.NO;
            if (function == Match.YES) {
                held = scanned;
            } else if (close == Match.MORE || nested == Match.MORE || function == Match.MORE) {
                return false;
            }
            scanned++;
        }
    }

    /// Whether a tag of the call, or the end of the text, follows behind white space.
    private Match tagFollows(int from) {
        int at = skipSpace(from);
        return at == window.end() ? atEnd() : tagOfCall(window, at);
    }

    /// Whether `</function>` stands at `scanned` and the end of the call, or of the text, follows.
    private Match functionEnds() {
        Match tag = window.match(ToolCallParser.FUNCTION_CLOSE, scanned);
        if (tag != Match.YES) {
            return tag;
        }
        int at = skipSpace(scanned + ToolCallParser.FUNCTION_CLOSE.length());
        return at == window.end() ? atEnd() : window.match(ToolCallParser.CALL_CLOSE, at);
    }

    private Match atEnd() {
        return window.isComplete() ? Match.YES : Match.MORE;
    }

    /// Whether one of the tags that follow a value in a call stands at a position.
    static Match tagOfCall(TextWindow window, int at) {
        Match parameter = window.match(ToolCallParser.PARAMETER, at);
        Match function = window.match(ToolCallParser.FUNCTION_CLOSE, at);
        Match call = window.match(ToolCallParser.CALL_CLOSE, at);
        if (parameter == Match.YES || function == Match.YES || call == Match.YES) {
            return Match.YES;
        }
        boolean cut = parameter == Match.MORE || function == Match.MORE || call == Match.MORE;
        return cut ? Match.MORE : Match.NO;
    }

    /// Remembers how far it has looked: white space may come in many pieces.
    private int skipSpace(int from) {
        behindSpace = window.skipSpace(spaceBehind == from ? behindSpace : from);
        spaceBehind = from;
        return behindSpace;
    }

    private void endAtClose(int close) {
        end(close, close + PARAMETER_CLOSE.length());
    }

    private void endWithoutClose(ValueEndings endings) {
        int line = endings.parameterLine(start, parameters);
        if (line >= 0) {
            end(line + 1, line + 1);
            return;
        }
        int function = endings.functionClose(start);
        if (function < 0) {
            end(window.end(), window.end());
            return;
        }
        int tag = function - PARAMETER_CLOSE.length();
        boolean closed = tag >= taken && window.match(PARAMETER_CLOSE, tag) == Match.YES;
        end(closed ? tag : function, function);
    }

    private void end(int valueEnd, int goesOn) {
        end = withoutNewline(valueEnd);
        next = goesOn;
    }

    private int withoutNewline(int at) {
        int first =
                start < at && taken == start && window.charAt(start) == '\n' ? start + 1 : taken;
        return at > first && window.charAt(at - 1) == '\n' ? at - 1 : at;
    }
}
