package io.atoll.model.grammar;

import java.util.Map;
import java.util.Optional;

/// What JSON Schema's `format` means for strings, as regular expressions of whole strings. Stricter than the standards where those
/// allow forms that hardly anyone reads: no leap seconds, no quoted local parts or address literals in e-mail addresses.
final class StringFormats {
    private static final String LEAP_YEAR =
            "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
    private static final String DATE =
            "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
                    + "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
                    + "|"
                    + LEAP_YEAR
                    + "-02-29)";
    private static final String TIME =
            "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?"
                    + "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
    private static final String LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
    private static final String HOSTNAME = LABEL + "(?:\\." + LABEL + "){0,9}";
    private static final String BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    private static final String IPV4 = BYTE + "(?:\\." + BYTE + "){3}";
    private static final String H = "[0-9a-fA-F]{1,4}";
    private static final String DURATION_TIME =
            "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)";
    private static final String DURATION_DATE =
            "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)";
    private static final String URI_CHARACTER =
            "(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|\\[|\\]|%[0-9A-Fa-f]{2})";

    private static final Map<String, String> PATTERNS =
            Map.of(
                    "date",
                    DATE,
                    "time",
                    TIME,
                    "date-time",
                    DATE + "T" + TIME,
                    "duration",
                    "P(?:"
                            + DURATION_DATE
                            + "(?:"
                            + DURATION_TIME
                            + ")?|"
                            + DURATION_TIME
                            + "|[0-9]+W)",
                    "uuid",
                    "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
                    "email",
                    "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(?:\\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*@"
                            + HOSTNAME,
                    "hostname",
                    HOSTNAME,
                    "ipv4",
                    IPV4,
                    "ipv6",
                    ipv6(),
                    "uri",
                    "[A-Za-z][A-Za-z0-9+.-]*:" + URI_CHARACTER + "+");

    private StringFormats() {}

    /// The expression that a string of the format matches from its start to its end; empty if there is no such format here.
    static Optional<String> pattern(String format) {
        return Optional.ofNullable(PATTERNS.get(format));
    }

    /// RFC 4291, section 2.2: eight groups, of which one run may be left out, the last two possibly as an IPv4 address.
    private static String ipv6() {
        String last = "(?:" + H + ":" + H + "|" + IPV4 + ")";
        StringBuilder pattern = new StringBuilder("(?:(?:" + H + ":){6}" + last);
        for (int before = 0; before <= 7; before++) {
            String head =
                    before == 0
                            ? ""
                            : H + (before > 1 ? "(?::" + H + "){" + (before - 1) + "}" : "");
            int after = 7 - before;
            pattern.append('|').append(head).append("::");
            if (after == 1) {
                pattern.append("(?:").append(H).append(")?");
            } else if (after > 1) {
                String groups = "(?:" + H + "(?::" + H + "){0," + (after - 1) + "}";
                String mapped = "|(?:" + H + ":){0," + (after - 2) + "}" + IPV4;
                pattern.append(groups).append(mapped).append(")?");
            }
        }
        return pattern.append(')').toString();
    }
}
