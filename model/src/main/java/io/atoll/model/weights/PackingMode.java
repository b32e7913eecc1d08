package io.atoll.model.weights;

/// What weights that are stored in blocks of integers become. Both modes keep every weight's value.
public enum PackingMode {
    /// The float that each weight means: rows that meet them stay f32, so nothing is rounded but the sums. Floats of 8 and 16
    /// bits stay as small as they are; integers become f32, four bytes each. The reference computes so.
    EXACT,

    /// The integers and scales of the file, where the kernels have a format for them: as small as the file and read at its size,
    /// but rows that meet them are rounded to int8. Everything else is as in `EXACT`.
    PACKED
}
