package io.atoll.model.tokenizer;

import java.util.Arrays;

/// The table by which byte-level vocabularies write bytes as characters, first used by GPT-2: a byte that is a
/// printable Latin-1 character stands for itself, and the others, in ascending order, are the characters from
/// U+0100 on.
public final class ByteSymbols {
    private static final int TABLE = 0x100 + 0x44; // 68 bytes are not printable
    private static final short[] BYTE_OF = new short[TABLE];

    static {
        Arrays.fill(BYTE_OF, (short) -1);
        int next = 0x100;
        for (int value = 0; value < 256; value++) {
            boolean printable =
                    (value >= '!' && value <= '~')
                            || (value >= 0xA1 && value <= 0xAC)
                            || value >= 0xAE;
            BYTE_OF[printable ? value : next++] = (short) value;
        }
    }

    private ByteSymbols() {}

    /// The character that stands for a byte.
    ///
    /// @param value 0 to 255
    public static char symbol(int value) {
        for (char symbol = 0; symbol < TABLE; symbol++) {
            if (BYTE_OF[symbol] == value) {
                return symbol;
            }
        }
        throw new IllegalArgumentException("no byte: " + value);
    }

    /// The 256 characters in ascending order, which is the order in which vocabularies of this kind number them.
    public static String all() {
        StringBuilder symbols = new StringBuilder(256);
        for (char symbol = 0; symbol < TABLE; symbol++) {
            if (BYTE_OF[symbol] >= 0) {
                symbols.append(symbol);
            }
        }
        return symbols.toString();
    }

    /// The bytes that a token's symbols stand for, written into `target` from `offset` on. Returns how many, or -1
    /// if a character stands for no byte.
    static int decode(String symbols, byte[] target, int offset) {
        for (int i = 0; i < symbols.length(); i++) {
            char symbol = symbols.charAt(i);
            int value = symbol < TABLE ? BYTE_OF[symbol] : -1;
            if (value < 0) {
                return -1;
            }
            target[offset + i] = (byte) value;
        }
        return symbols.length();
    }
}
