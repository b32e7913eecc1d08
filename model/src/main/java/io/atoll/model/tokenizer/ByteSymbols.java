package io.atoll.model.tokenizer;

import java.util.Arrays;

/// The table by which byte-level vocabularies write bytes as characters, first used by GPT-2: a byte that is a
/// printable Latin-1 character stands for itself, and the others, in ascending order, are the characters from
/// U+0100 on.
final class ByteSymbols {
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
