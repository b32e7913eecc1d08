package io.atoll.model.pack;

import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import java.util.zip.CRC32C;

/// CRC-32C (RFC 3720, appendix B.4) of memory, and of pieces of memory that were summed apart.
final class Crc32c {
    private static final int REVERSED_POLYNOMIAL = 0x82F63B78;

    /// Bytes of one call: a buffer has no more than an int's worth.
    private static final long STRIDE = 1L << 30;

    private Crc32c() {}

    static int of(MemorySegment bytes) {
        CRC32C crc = new CRC32C();
        for (long at = 0; at < bytes.byteSize(); at += STRIDE) {
            crc.update(bytes.asSlice(at, Math.min(STRIDE, bytes.byteSize() - at)).asByteBuffer());
        }
        return (int) crc.getValue();
    }

    static int of(byte[] bytes) {
        return of(MemorySegment.ofArray(bytes));
    }

    /// The sum of two pieces that follow each other. A sum is a polynomial over GF(2), so bytes that follow multiply it by
    /// `x^(8 bytes)` modulo the generator; what is inverted at both ends cancels out.
    static int join(int first, int second, long secondBytes) {
        int power = 1 << 30; // x, reflected: the highest bit is x^0
        int factor = 1 << 31;
        for (long exponent = Math.multiplyExact(8, secondBytes); exponent != 0; exponent >>>= 1) {
            if ((exponent & 1) != 0) {
                factor = multiply(factor, power);
            }
            power = multiply(power, power);
        }
        return multiply(first, factor) ^ second;
    }

    /// The product of two reflected polynomials modulo the generator.
    private static int multiply(int a, int b) {
        int product = 0;
        int shifted = b; // b x^i
        for (int bit = 31; bit >= 0; bit--) {
            product ^= shifted & -((a >>> bit) & 1);
            shifted = (shifted >>> 1) ^ (REVERSED_POLYNOMIAL & -(shifted & 1));
        }
        return product;
    }

    static String hex(int crc) {
        return HexFormat.of().toHexDigits(crc);
    }
}
