package io.atoll.model.quant;

import io.atoll.model.checkpoint.DType;
import java.util.Optional;

/// A matrix as the codes and scales of its file, each code a weight of its own, so that it can be packed without a rounding.
///
/// A weight is `(code - middle - zero) * scale` for integers of 4 and 8 bits, of which the middle is 8 and 128; else the number
/// that the code stands for, times the scale, in the order that the [Factor] tells.
///
/// @param code what a code is
/// @param scale the type of the scales, which may be packed in as few bytes
/// @param groupColumns columns of a row that share a scale, from the first column on; all of them if it is the row's
/// @param factor what else makes a weight; empty for none
/// @param reader takes rows apart
public record StoredCodes(
        Code code, DType scale, int groupColumns, Optional<Factor> factor, Reader reader) {
    /// What a code stands for.
    public enum Code {
        INT4,
        INT8,
        /// 4-bit floats.
        E2M1,
        /// 8-bit floats.
        E4M3
    }

    /// A number of the whole matrix.
    ///
    /// @param value finite and not 0
    /// @param divides whether scales are divided by it before they meet a code; else it is multiplied in last
    public record Factor(float value, boolean divides) {}

    /// Takes rows apart.
    @FunctionalInterface
    public interface Reader {
        /// Writes the codes of some rows and their scales.
        ///
        /// @param codes `[count, cols]`, unsigned; overwritten
        /// @param scales `[count, groups]`, overwritten
        /// @param zeros `[count, groups]` of integers, overwritten with zero points less the middle; else left alone
        void read(int first, int count, byte[] codes, float[] scales, byte[] zeros);
    }

    /// As this, but with rows from elsewhere.
    StoredCodes withReader(Reader other) {
        return new StoredCodes(code, scale, groupColumns, factor, other);
    }
}
