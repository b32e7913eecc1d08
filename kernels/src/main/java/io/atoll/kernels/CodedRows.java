package io.atoll.kernels;

/// Some rows of a matrix of codes, as [Packing#packCodes] wants them: buffers that a [CodeReader] fills.
///
/// A weight is `(code - middle - zero) * scale` for integers of 4 and 8 bits, of which the middle is 8 and 128; else the number
/// that the code stands for, times the scale. An output's factor comes last.
///
/// @param codes `[rows, cols]`, unsigned
/// @param scales `[rows, groups]`; a group is [WeightFormat]'s: the columns that share a scale, or the whole row
/// @param zeros `[rows, groups]`; ignored by formats without zero points
/// @param factors `[rows]`; ignored by formats without a factor of the output
public record CodedRows(byte[] codes, float[] scales, byte[] zeros, float[] factors) {}
