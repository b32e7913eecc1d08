package io.atoll.model.jinja;

import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.temporal.WeekFields;
import java.util.Locale;

/// `strftime` in the C locale.
final class DateFormat {
    private DateFormat() {}

    static String format(ZonedDateTime time, String format) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            char c = format.charAt(i);
            if (c != '%' || i + 1 == format.length()) {
                out.append(c);
                continue;
            }
            c = format.charAt(++i);
            boolean unpadded = c == '-' && i + 1 < format.length();
            if (unpadded) {
                c = format.charAt(++i);
            }
            String field = field(time, c);
            if (unpadded && field.length() > 1) {
                field = field.replaceFirst("^[0 ]+(?=.)", "");
            }
            out.append(field);
        }
        return out.toString();
    }

    private static String field(ZonedDateTime time, char directive) {
        String pattern =
                switch (directive) {
                    case 'Y' -> "uuuu";
                    case 'y' -> "uu";
                    case 'm' -> "MM";
                    case 'B' -> "MMMM";
                    case 'b', 'h' -> "MMM";
                    case 'd' -> "dd";
                    case 'e' -> "ppd";
                    case 'A' -> "EEEE";
                    case 'a' -> "EEE";
                    case 'H' -> "HH";
                    case 'I' -> "hh";
                    case 'M' -> "mm";
                    case 'S' -> "ss";
                    case 'f' -> "SSSSSS";
                    case 'p' -> "a";
                    case 'j' -> "DDD";
                    case 'F' -> "uuuu-MM-dd";
                    case 'T', 'X' -> "HH:mm:ss";
                    case 'R' -> "HH:mm";
                    case 'D', 'x' -> "MM/dd/uu";
                    case 'c' -> "EEE MMM ppd HH:mm:ss uuuu";
                    default -> "";
                };
        if (!pattern.isEmpty()) {
            return DateTimeFormatter.ofPattern(pattern, Locale.ENGLISH).format(time);
        }
        return switch (directive) {
            case '%' -> "%";
            case 'n' -> "\n";
            case 't' -> "\t";
            case 'u' -> Integer.toString(time.getDayOfWeek().getValue());
            case 'w' -> Integer.toString(time.getDayOfWeek().getValue() % 7);
            case 'V' ->
                    String.format(
                            Locale.ROOT, "%02d", time.get(WeekFields.ISO.weekOfWeekBasedYear()));
            case 's' -> Long.toString(time.toEpochSecond());
            case 'z', 'Z' -> ""; // the time that templates ask for has no zone in Python
            default -> throw PythonException.unsupported("strftime directive %" + directive);
        };
    }
}
