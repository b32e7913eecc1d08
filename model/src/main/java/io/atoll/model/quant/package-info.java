/// Quantised weights, decoded exactly: [io.atoll.model.quant.GgmlType] knows the block formats of GGUF files,
/// [io.atoll.model.quant.WeightStore] finds each weight of a model under the name a release gives it, however it is stored,
/// and [io.atoll.model.quant.WeightMatrix] decodes a matrix row by row to f32. The values are those of each format's formula
/// in f32 arithmetic, one rounding after the other, so a weight means the same number here as in other engines. Knows
/// nothing of how weights are packed for the kernels. Start with [io.atoll.model.quant.WeightStore]; read
/// [io.atoll.model.gguf] next.
package io.atoll.model.quant;
