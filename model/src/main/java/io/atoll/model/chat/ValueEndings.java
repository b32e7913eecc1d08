package io.atoll.model.chat;

import io.atoll.model.chat.TextWindow.Match;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;

/// Where the values of a complete text may end, in tables made in one pass, by the rules of [ValueEnd].
///
/// Many values without an end, each looked for up to the end of the text, would take time that grows with its square.
final class ValueEndings {
    private static final int NONE = -1;

    private final TextWindow window;

    /// `</parameter>` tags, and the newlines before lines that begin with `<parameter=`, in order.
    private final Positions marks = new Positions();

    /// For each mark: where a value that begins before it, and behind the mark before, is closed.
    private int[] closes = {};

    /// Newlines before lines that begin with `<parameter=NAME>`.
    private final Positions lines = new Positions();

    /// `</function>` tags with the end of the call or of the text behind them.
    private final Positions functions = new Positions();

    /// For each set of parameters: the first of the lines not yet passed. Values are asked about in order.
    private final Map<ToolDefinitions.Parameters, Integer> nextLine = new HashMap<>();

    private int nextMark;
    private int nextFunction;

    /// @param from no value that is asked about begins before it, except one that has no ending before it
    ValueEndings(TextWindow window, int from) {
        this.window = window;
        Positions closing = new Positions(); // marks that can end a value
        for (int at = window.find('<', from); at < window.end(); at = window.find('<', at + 1)) {
            if (window.match(ValueEnd.PARAMETER_CLOSE, at) == Match.YES) {
                int behind = window.skipSpace(at + ValueEnd.PARAMETER_CLOSE.length());
                if (behind == window.end() || ValueEnd.tagOfCall(window, behind) == Match.YES) {
                    closing.add(marks.count);
                }
                marks.add(at);
            } else if (at > from
                    && window.charAt(at - 1) == '\n'
                    && window.match(ToolCallParser.PARAMETER, at) == Match.YES) {
                marks.add(at - 1);
                int name = at + ToolCallParser.PARAMETER.length();
                if (nameEnd(name) >= 0) {
                    lines.add(at - 1);
                }
            } else if (window.match(ToolCallParser.FUNCTION_CLOSE, at) == Match.YES) {
                int behind = window.skipSpace(at + ToolCallParser.FUNCTION_CLOSE.length());
                if (behind == window.end()
                        || window.match(ToolCallParser.CALL_CLOSE, behind) == Match.YES) {
                    functions.add(at);
                }
            }
        }
        closes = closes(closing);
    }

    /// From the last mark to the first: a closing tag that can end a value does, another one is text, and a nested level goes on
    /// behind its own closing tag.
    private int[] closes(Positions closing) {
        int[] ownClose = new int[marks.count];
        Arrays.fill(ownClose, NONE);
        Deque<Integer> open = new ArrayDeque<>();
        for (int i = 0; i < marks.count; i++) {
            if (opens(i)) {
                open.push(i);
            } else if (!open.isEmpty()) {
                ownClose[open.pop()] = i;
            }
        }
        int[] result = new int[marks.count + 1];
        result[marks.count] = NONE;
        int last = closing.count - 1;
        for (int i = marks.count - 1; i >= 0; i--) {
            boolean ends = last >= 0 && closing.values[last] == i;
            last -= ends ? 1 : 0;
            if (opens(i)) {
                result[i] = ownClose[i] == NONE ? NONE : result[ownClose[i] + 1];
            } else {
                result[i] = ends ? marks.values[i] : result[i + 1];
            }
        }
        return result;
    }

    private boolean opens(int mark) {
        return window.charAt(marks.values[mark]) == '\n';
    }

    /// Where the `</parameter>` of a value stands, or -1.
    int close(int start) {
        nextMark = marks.firstFrom(start, nextMark);
        return closes[nextMark];
    }

    /// The newline before the next line that opens one of these parameters, or -1.
    int parameterLine(int start, ToolDefinitions.Parameters parameters) {
        int i = lines.firstFrom(start, nextLine.getOrDefault(parameters, 0));
        while (i < lines.count && !parameters.has(lineName(i))) {
            i++;
        }
        nextLine.put(parameters, i);
        return i < lines.count ? lines.values[i] : NONE;
    }

    /// Where the function's end stands, or -1.
    int functionClose(int start) {
        nextFunction = functions.firstFrom(start, nextFunction);
        return nextFunction < functions.count ? functions.values[nextFunction] : NONE;
    }

    private String lineName(int line) {
        int name = lines.values[line] + 1 + ToolCallParser.PARAMETER.length();
        return window.substring(name, nameEnd(name));
    }

    private int nameEnd(int from) {
        int at = from;
        while (at < window.end() && window.charAt(at) != '>' && window.charAt(at) != '\n') {
            at++;
        }
        return at < window.end() && window.charAt(at) == '>' ? at : NONE;
    }

    /// Ascending positions.
    private static final class Positions {
        private int[] values = new int[16];
        private int count;

        void add(int value) {
            if (count == values.length) {
                values = Arrays.copyOf(values, 2 * count);
            }
            values[count++] = value;
        }

        /// Index of the first that is not before `start`, looked for from index `from` on.
        int firstFrom(int start, int from) {
            int i = from;
            while (i < count && values[i] < start) {
                i++;
            }
            return i;
        }
    }
}
