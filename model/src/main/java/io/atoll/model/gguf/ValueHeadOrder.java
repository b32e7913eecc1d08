package io.atoll.model.gguf;

import io.atoll.model.config.TextConfig;

/// The order in which a GGUF file stores the value heads of a Gated DeltaNet layer.
///
/// A release keeps the value heads of a key head together: head `k * r + s` is number `s` of key head `k`, with `r` value
/// heads for each key head. llama.cpp's converter tiles them instead, so that value head `j` uses key head `j mod keyHeads`:
/// that one is stored as head `s * keyHeads + k`. Where there is one value head for each key head the two are the same.
final class ValueHeadOrder {
    private ValueHeadOrder() {}

    /// For each value head, in the release's order, where the file has it.
    static int[] storedHeads(TextConfig config) {
        int perKeyHead = config.valueHeadsPerKeyHead();
        int[] stored = new int[config.linearValueHeads()];
        for (int head = 0; head < stored.length; head++) {
            stored[head] = head % perKeyHead * config.linearKeyHeads() + head / perKeyHead;
        }
        return stored;
    }

    /// Puts runs of `unit` values, after the first `kept`, from the file's order into the release's.
    static float[] restore(float[] values, int kept, int unit, int[] storedHeads) {
        float[] restored = values.clone();
        for (int head = 0; head < storedHeads.length; head++) {
            System.arraycopy(
                    values, kept + storedHeads[head] * unit, restored, kept + head * unit, unit);
        }
        return restored;
    }
}
