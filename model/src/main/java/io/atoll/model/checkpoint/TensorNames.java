package io.atoll.model.checkpoint;

/// What a release calls each weight of the text model.
///
/// Releases with a vision tower put the text model under `model.language_model.`, text-only exports under `model.`;
/// the multi-token prediction module is under `mtp.` in both.
///
/// @param prefix what the text model's names begin with
public record TensorNames(String prefix) {
    private static final String WITH_VISION = "model.language_model.";
    private static final String TEXT_ONLY = "model.";
    private static final String EMBEDDING = "embed_tokens.weight";

    /// Finds out which names a checkpoint uses.
    ///
    /// @throws CheckpointException if it has no token embedding under either
    public static TensorNames of(Checkpoint checkpoint) {
        for (String prefix : new String[] {WITH_VISION, TEXT_ONLY}) {
            if (checkpoint.contains(prefix + EMBEDDING)) {
                return new TensorNames(prefix);
            }
        }
        throw new CheckpointException(
                checkpoint.source(),
                EMBEDDING,
                "tensor is missing, under " + WITH_VISION + " as well as under " + TEXT_ONLY);
    }

    /// Whether a tensor belongs to the vision tower.
    public static boolean isVision(String name) {
        return name.startsWith("model.visual.") || name.startsWith("visual.");
    }

    public String embedding() {
        return prefix + EMBEDDING;
    }

    public String finalNorm() {
        return prefix + "norm.weight";
    }

    public String lmHead() {
        return "lm_head.weight";
    }

    /// Names of a decoder layer.
    public Layer layer(int index) {
        return new Layer(prefix + "layers." + index + ".");
    }

    /// Names of a decoder layer of the multi-token prediction module.
    public Layer mtpLayer(int index) {
        return new Layer("mtp.layers." + index + ".");
    }

    public String mtpProjection() {
        return "mtp.fc.weight";
    }

    public String mtpEmbeddingNorm() {
        return "mtp.pre_fc_norm_embedding.weight";
    }

    public String mtpHiddenNorm() {
        return "mtp.pre_fc_norm_hidden.weight";
    }

    public String mtpFinalNorm() {
        return "mtp.norm.weight";
    }

    /// Names inside one decoder layer.
    ///
    /// @param prefix what they begin with, dot included
    public record Layer(String prefix) {
        public String inputNorm() {
            return prefix + "input_layernorm.weight";
        }

        public String postMixerNorm() {
            return prefix + "post_attention_layernorm.weight";
        }

        /// A weight of the full-attention mixer: `q_proj.weight`, `k_norm.weight` and so on.
        public String attention(String rest) {
            return prefix + "self_attn." + rest;
        }

        /// A weight of the Gated DeltaNet mixer: `in_proj_qkv.weight`, `A_log` and so on.
        public String linearAttention(String rest) {
            return prefix + "linear_attn." + rest;
        }

        public String router() {
            return prefix + "mlp.gate.weight";
        }

        /// A weight of the shared expert: `gate_proj`, `up_proj` or `down_proj`.
        public String sharedExpert(String projection) {
            return prefix + "mlp.shared_expert." + projection + ".weight";
        }

        public String sharedExpertGate() {
            return prefix + "mlp.shared_expert_gate.weight";
        }

        /// Gate and up projections of all experts in one tensor, where the release fuses them.
        public String fusedGateUp() {
            return prefix + "mlp.experts.gate_up_proj";
        }

        /// Down projections of all experts in one tensor, where the release fuses them.
        public String fusedDown() {
            return prefix + "mlp.experts.down_proj";
        }

        /// A weight of one expert, where each has tensors of its own.
        public String expert(int expert, String projection) {
            return expertPrefix(expert) + projection + ".weight";
        }

        /// What the names of an expert's own tensors begin with.
        public String expertPrefix(int expert) {
            return prefix + "mlp.experts." + expert + ".";
        }
    }
}
