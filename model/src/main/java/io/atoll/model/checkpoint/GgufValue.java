package io.atoll.model.checkpoint;

import java.util.List;

/// A value in the metadata of a GGUF file. The file's ten number types are kept as two: whole and real.
public sealed interface GgufValue {

    record Text(String value) implements GgufValue {}

    /// Any integer type. Unsigned 64-bit values above the largest `long` are refused when read.
    record Whole(long value) implements GgufValue {}

    record Real(double value) implements GgufValue {}

    record Flag(boolean value) implements GgufValue {}

    /// An array; the format gives all elements the same type.
    record Items(List<GgufValue> values) implements GgufValue {
        public Items {
            values = List.copyOf(values);
        }
    }
}
