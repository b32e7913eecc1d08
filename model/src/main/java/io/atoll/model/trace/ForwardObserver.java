package io.atoll.model.trace;

import java.lang.foreign.MemorySegment;

/// Is shown the intermediates of a forward pass, for conformance and debugging. [#NONE] costs nothing.
///
/// Names are those of the golden files: per layer `mixer_input`, `mixer_output`, `moe_input`, `router_logits`, `topk_ids`
/// (int32), `topk_weights`, `routed_output`, `shared_output` (after its gate), `output`; and, with layer -1,
/// `embedding`, `final_norm`, `logits`. Where the multi-token prediction module runs over known tokens, `mtp_hidden` and
/// `mtp_logits`.
@FunctionalInterface
public interface ForwardObserver {
    ForwardObserver NONE = (name, layer, data, rows, cols) -> {};

    /// @param layer decoder layer, or -1
    /// @param data `[rows, cols]`, f32 unless the name says otherwise; valid during the call only
    void tensor(String name, int layer, MemorySegment data, int rows, int cols);
}
