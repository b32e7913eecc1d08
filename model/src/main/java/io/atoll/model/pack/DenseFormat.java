package io.atoll.model.pack;

import com.fasterxml.jackson.annotation.JsonProperty;

/// What becomes of the dense matrices, routed experts and the embedding table apart. Those that decide with a few outputs over
/// everything behind them (router, gates) are never rounded.
public enum DenseFormat {
    /// Every value as it is.
    @JsonProperty("keep")
    KEEP,

    /// Matrices of more than 8 bits a weight are rounded to `Q8`.
    @JsonProperty("q8")
    Q8,

    /// Matrices of more than 16 bits a weight are rounded to BF16.
    @JsonProperty("bf16")
    BF16
}
