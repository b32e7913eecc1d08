package io.atoll.model.tokenizer;

/// Decodes UTF-8 that arrives in pieces.
///
/// A character is given out when its last byte is there. A broken sequence becomes one U+FFFD for each maximal
/// subpart (Unicode Standard, section 3.9, "U+FFFD Substitution of Maximal Subparts"), as soon as the byte that
/// breaks it is seen. One exception: the first two bytes of a surrogate written as three bytes wait for the byte
/// that follows, as they do in Python's incremental decoder, so that streams are cut at the same places.
final class Utf8Decoder {
    private static final char REPLACEMENT = '\uFFFD';
    private static final int NONE = 0x100;

    private int codePoint;
    private int missing; // continuation bytes still wanted
    private int owed; // U+FFFD that the pending bytes become if they break; 0 if none are pending
    private int lowest; // range of the next continuation byte
    private int highest;

    void decode(byte[] bytes, StringBuilder out) {
        for (byte value : bytes) {
            decode(value & 0xFF, out);
        }
    }

    /// Gives out what is left, if a character was begun.
    void finish(StringBuilder out) {
        for (; owed > 0; owed--) {
            out.append(REPLACEMENT);
        }
    }

    private void decode(int value, StringBuilder out) {
        if (owed > 0 && value >= lowest && value <= highest) {
            proceed(value, out);
            return;
        }
        if (owed > 0 && isSurrogateStart(value)) {
            owed = 2;
            lowest = NONE; // whatever follows breaks it
            return;
        }
        finish(out); // the byte broke a sequence, and is looked at anew
        // Table 3-7, "Well-Formed UTF-8 Byte Sequences": the second byte's range keeps out overlong
        // forms, surrogates and
        // what is beyond U+10FFFF.
        if (value < 0x80) {
            out.append((char) value);
        } else if (value >= 0xC2 && value <= 0xDF) {
            begin(value & 0x1F, 1, 0x80, 0xBF);
        } else if (value >= 0xE0 && value <= 0xEF) {
            begin(value & 0x0F, 2, value == 0xE0 ? 0xA0 : 0x80, value == 0xED ? 0x9F : 0xBF);
        } else if (value >= 0xF0 && value <= 0xF4) {
            begin(value & 0x07, 3, value == 0xF0 ? 0x90 : 0x80, value == 0xF4 ? 0x8F : 0xBF);
        } else {
            out.append(REPLACEMENT);
        }
    }

    private void proceed(int value, StringBuilder out) {
        codePoint = (codePoint << 6) | (value & 0x3F);
        lowest = 0x80;
        highest = 0xBF;
        missing--;
        if (missing == 0) {
            owed = 0;
            out.appendCodePoint(codePoint);
        }
    }

    /// Whether the pending byte is 0xED, the only one whose second byte ends at 0x9F, and this one makes it a
    /// surrogate.
    private boolean isSurrogateStart(int value) {
        return lowest != NONE && highest == 0x9F && value >= 0xA0 && value <= 0xBF;
    }

    private void begin(int bits, int continuations, int low, int high) {
        codePoint = bits;
        missing = continuations;
        owed = 1;
        lowest = low;
        highest = high;
    }
}
