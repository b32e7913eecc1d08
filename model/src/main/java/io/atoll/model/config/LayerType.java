package io.atoll.model.config;

/// How a decoder layer mixes the tokens of a sequence.
public enum LayerType {
    /// Gated DeltaNet: a recurrent state of fixed size per sequence.
    LINEAR_ATTENTION,
    /// Gated softmax attention: keys and values of every earlier token.
    FULL_ATTENTION
}
