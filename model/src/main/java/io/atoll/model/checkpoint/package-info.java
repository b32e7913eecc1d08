/// Weights as a release ships them: [io.atoll.model.checkpoint.Checkpoint] maps safetensors files and finds a
/// [io.atoll.model.checkpoint.Tensor] by name; [io.atoll.model.checkpoint.TensorNames] says what a release calls each weight.
/// Headers are untrusted: every size is checked before it is used. Computes nothing and knows nothing of quantisation or of
/// how weights are packed for the kernels. Start with [io.atoll.model.checkpoint.Checkpoint]; read [io.atoll.model.quant]
/// next.
package io.atoll.model.checkpoint;
