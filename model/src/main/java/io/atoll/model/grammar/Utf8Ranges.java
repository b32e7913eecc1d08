package io.atoll.model.grammar;

/// Cuts a range of code points into sequences of byte ranges, so that the UTF-8 forms of the range are exactly the byte strings
/// with each byte in its range (RFC 3629, section 4).
final class Utf8Ranges {
    private static final int[] LAST_OF_LENGTH = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};

    /// Takes one sequence. Byte `i` is from `low[i]` to `high[i]`, for `i < length`; the arrays are reused.
    @FunctionalInterface
    interface Sink {
        void sequence(int[] low, int[] high, int length);
    }

    private Utf8Ranges() {}

    /// `first` to `last` must not hold surrogates.
    static void split(int first, int last, Sink sink) {
        int[] low = new int[4];
        int[] high = new int[4];
        int from = first;
        for (int length = 1; length <= 4; length++) {
            int end = Math.min(last, LAST_OF_LENGTH[length - 1]);
            if (from <= end) {
                split(from, end, length, low, high, sink);
                from = end + 1;
            }
        }
    }

    /// All code points here have the same length. A cut is made where the leading bytes differ and the rest does not cover all
    /// continuation bytes.
    private static void split(int first, int last, int length, int[] low, int[] high, Sink sink) {
        for (int i = 1; i < length; i++) {
            int rest = (1 << (6 * i)) - 1;
            if ((first & ~rest) != (last & ~rest)) {
                if ((first & rest) != 0) {
                    split(first, first | rest, length, low, high, sink);
                    split((first | rest) + 1, last, length, low, high, sink);
                    return;
                }
                if ((last & rest) != rest) {
                    split(first, (last & ~rest) - 1, length, low, high, sink);
                    split(last & ~rest, last, length, low, high, sink);
                    return;
                }
            }
        }
        encode(first, length, low);
        encode(last, length, high);
        sink.sequence(low, high, length);
    }

    private static void encode(int codePoint, int length, int[] bytes) {
        if (length == 1) {
            bytes[0] = codePoint;
            return;
        }
        for (int i = length - 1; i > 0; i--) {
            bytes[i] = 0x80 | ((codePoint >> (6 * (length - 1 - i))) & 0x3F);
        }
        bytes[0] = (0xF00 >> length & 0xFF) | (codePoint >> (6 * (length - 1)));
    }
}
