/// Weights as a release ships them: [io.atoll.model.checkpoint.Checkpoint] maps safetensors files and finds a
/// [io.atoll.model.checkpoint.Tensor] by name; [io.atoll.model.checkpoint.TextWeights] knows where each weight of
/// the text model is and checks its shape and type against the configuration;
/// [io.atoll.model.checkpoint.GgufMetadata] reads the metadata of a GGUF file. Headers are untrusted: every size is
/// checked before it is used. Computes nothing and knows nothing of how weights are packed for the kernels. Start
/// with [io.atoll.model.checkpoint.Checkpoint].
package io.atoll.model.checkpoint;
