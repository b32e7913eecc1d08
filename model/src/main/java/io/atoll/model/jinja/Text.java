package io.atoll.model.jinja;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/// Python's view of strings: sequences of code points, with Python's idea of what is white and what can be printed.
final class Text {
    private Text() {}

    static boolean isSpace(int c) {
        return c == ' '
                || (c >= '\t' && c <= '\r')
                || (c >= 0x1c && c <= 0x1f)
                || c == 0x85
                || c == 0xa0
                || c == 0x1680
                || (c >= 0x2000 && c <= 0x200a)
                || c == 0x2028
                || c == 0x2029
                || c == 0x202f
                || c == 0x205f
                || c == 0x3000;
    }

    /// Whether there are characters, and all of them are white.
    static boolean isBlank(String text) {
        return !text.isEmpty() && text.chars().allMatch(Text::isSpace);
    }

    static String strip(String text) {
        return stripLeft(stripRight(text));
    }

    static String stripLeft(String text) {
        int start = 0;
        while (start < text.length() && isSpace(text.charAt(start))) {
            start++;
        }
        return text.substring(start);
    }

    static String stripRight(String text) {
        int end = text.length();
        while (end > 0 && isSpace(text.charAt(end - 1))) {
            end--;
        }
        return text.substring(0, end);
    }

    /// Strips the characters of `set` from the chosen ends.
    static String strip(String text, String set, boolean left, boolean right) {
        int start = 0;
        int end = text.length();
        while (left && start < end && set.indexOf(text.codePointAt(start)) >= 0) {
            start += Character.charCount(text.codePointAt(start));
        }
        while (right && start < end && set.indexOf(text.codePointBefore(end)) >= 0) {
            end -= Character.charCount(text.codePointBefore(end));
        }
        return text.substring(start, end);
    }

    static int length(String text) {
        return text.codePointCount(0, text.length());
    }

    /// Order by code points, which is not the order of UTF-16 units.
    static int compare(String left, String right) {
        int common = Math.min(left.length(), right.length());
        for (int i = 0; i < common; i++) {
            char a = left.charAt(i);
            char b = right.charAt(i);
            if (a != b) {
                return Integer.compare(rank(a), rank(b));
            }
        }
        return Integer.compare(left.length(), right.length());
    }

    /// A surrogate stands for a code point above every other unit.
    private static int rank(char unit) {
        return Character.isSurrogate(unit) ? unit + 0x10000 : unit;
    }

    /// Code points `from`, `from + step`, ... before `to`, of a text of `length` code points.
    static String slice(String text, int length, int from, int to, int step) {
        if (step == 1) {
            if (from >= to) {
                return "";
            }
            int start = text.offsetByCodePoints(0, from);
            return text.substring(start, text.offsetByCodePoints(start, to - from));
        }
        int[] codePoints = length == text.length() ? null : text.codePoints().toArray();
        StringBuilder out = new StringBuilder();
        for (long i = from; step > 0 ? i < to : i > to; i += step) {
            out.appendCodePoint(codePoints == null ? text.charAt((int) i) : codePoints[(int) i]);
        }
        return out.toString();
    }

    /// `repr` of a string: single quotes unless it has only those inside, and escapes for what does not print.
    static void repr(String text, StringBuilder out) {
        char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
        out.append(quote);
        text.codePoints()
                .forEach(
                        c -> {
                            switch (c) {
                                case '\n' -> out.append("\\n");
                                case '\r' -> out.append("\\r");
                                case '\t' -> out.append("\\t");
                                case '\\' -> out.append("\\\\");
                                default -> {
                                    if (c == quote) {
                                        out.append('\\').append(quote);
                                    } else if (isPrintable(c)) {
                                        out.appendCodePoint(c);
                                    } else {
                                        String format =
                                                c < 0x100
                                                        ? "\\x%02x"
                                                        : c < 0x10000 ? "\\u%04x" : "\\U%08x";
                                        out.append(String.format(Locale.ROOT, format, c));
                                    }
                                }
                            }
                        });
        out.append(quote);
    }

    private static boolean isPrintable(int c) {
        return switch (Character.getType(c)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR ->
                    false;
            case Character.SPACE_SEPARATOR -> c == ' ';
            default -> true;
        };
    }

    /// Splits at runs of whitespace, without empty parts.
    static List<String> splitWhitespace(String text, int max) {
        List<String> parts = new ArrayList<>();
        int i = 0;
        while (true) {
            while (i < text.length() && isSpace(text.charAt(i))) {
                i++;
            }
            if (i >= text.length()) {
                return parts;
            }
            if (parts.size() == max) {
                parts.add(text.substring(i));
                return parts;
            }
            int start = i;
            while (i < text.length() && !isSpace(text.charAt(i))) {
                i++;
            }
            parts.add(text.substring(start, i));
        }
    }

    static List<String> splitWhitespaceFromRight(String text, int max) {
        List<String> parts = new ArrayList<>();
        int i = text.length();
        while (true) {
            while (i > 0 && isSpace(text.charAt(i - 1))) {
                i--;
            }
            if (i == 0) {
                break;
            }
            if (parts.size() == max) {
                parts.add(text.substring(0, i));
                break;
            }
            int end = i;
            while (i > 0 && !isSpace(text.charAt(i - 1))) {
                i--;
            }
            parts.add(text.substring(i, end));
        }
        Collections.reverse(parts);
        return parts;
    }

    static List<String> splitLines(String text, boolean keepEnds) {
        List<String> lines = new ArrayList<>();
        int start = 0;
        while (start < text.length()) {
            int end = start;
            while (end < text.length() && !isLineEnd(text.charAt(end))) {
                end++;
            }
            int next = end;
            if (next < text.length()) {
                next += text.startsWith("\r\n", next) ? 2 : 1;
            }
            lines.add(text.substring(start, keepEnds ? next : end));
            start = next;
        }
        return lines;
    }

    private static boolean isLineEnd(char c) {
        return (c >= '\n' && c <= '\r')
                || (c >= 0x1c && c <= 0x1e)
                || c == 0x85
                || c == 0x2028
                || c == 0x2029;
    }

    static String capitalize(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int first = text.offsetByCodePoints(0, 1);
        return titleCase(text.codePointAt(0)) + text.substring(first).toLowerCase(Locale.ROOT);
    }

    /// `str.title`: every run of letters starts with a capital.
    static String title(String text) {
        StringBuilder out = new StringBuilder(text.length());
        boolean inWord = false;
        for (int i = 0; i < text.length(); ) {
            int c = text.codePointAt(i);
            i += Character.charCount(c);
            boolean cased = isCased(c);
            if (cased && !inWord) {
                out.append(titleCase(c));
            } else if (cased) {
                out.append(Character.toString(c).toLowerCase(Locale.ROOT));
            } else {
                out.appendCodePoint(c);
            }
            inWord = cased;
        }
        return out.toString();
    }

    private static String titleCase(int c) {
        int title = Character.toTitleCase(c);
        return title == c && !Character.isTitleCase(c)
                ? capitalOfOne(Character.toString(c).toUpperCase(Locale.ROOT))
                : Character.toString(title);
    }

    /// The upper case of one character may be several, of which only the first stays large.
    private static String capitalOfOne(String upper) {
        int first = upper.offsetByCodePoints(0, 1);
        return upper.substring(0, first) + upper.substring(first).toLowerCase(Locale.ROOT);
    }

    static boolean isCased(int c) {
        return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
    }

    static String swapCase(String text) {
        StringBuilder out = new StringBuilder(text.length());
        text.codePoints()
                .forEach(
                        c -> {
                            String one = Character.toString(c);
                            out.append(
                                    Character.isUpperCase(c)
                                            ? one.toLowerCase(Locale.ROOT)
                                            : one.toUpperCase(Locale.ROOT));
                        });
        return out.toString();
    }

    /// `islower` and `isupper`: there is a cased character, and none of the other case.
    static boolean isCase(String text, boolean upper) {
        return text.codePoints().anyMatch(Text::isCased)
                && text.codePoints()
                        .filter(Text::isCased)
                        .allMatch(upper ? Character::isUpperCase : Character::isLowerCase);
    }
}
