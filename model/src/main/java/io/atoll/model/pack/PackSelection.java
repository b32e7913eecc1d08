package io.atoll.model.pack;

import io.atoll.model.config.TextConfig;
import java.util.BitSet;
import java.util.StringJoiner;

/// Which part of a model is packed: the dense parts of some layers, and some experts of some layers. Immutable.
///
/// Layers are counted through, as in [io.atoll.model.weights.TextWeights]: those of the multi-token prediction module follow the
/// model's.
public final class PackSelection {
    private final int layers;
    private final int experts;
    private final BitSet dense; // by layer
    private final BitSet routed; // layer * experts + expert

    private PackSelection(int layers, int experts, BitSet dense, BitSet routed) {
        this.layers = layers;
        this.experts = experts;
        this.dense = dense;
        this.routed = routed;
    }

    /// Nothing of a model; add to it with [#withDense] and [#withExperts].
    public static PackSelection none(TextConfig config) {
        return new PackSelection(
                config.layerCount() + config.mtpLayers(),
                config.experts(),
                new BitSet(),
                new BitSet());
    }

    /// Everything.
    public static PackSelection all(TextConfig config) {
        PackSelection none = none(config);
        PackSelection chosen = none.withDense(0, none.layers - 1);
        for (int layer = 0; layer < none.layers; layer++) {
            chosen = chosen.withExperts(layer, 0, none.experts - 1);
        }
        return chosen;
    }

    /// And the dense parts of these layers.
    public PackSelection withDense(int first, int last) {
        checkRange("layers", first, last, layers);
        BitSet more = (BitSet) dense.clone();
        more.set(first, last + 1);
        return new PackSelection(layers, experts, more, routed);
    }

    /// And these experts of a layer.
    public PackSelection withExperts(int layer, int first, int last) {
        checkRange("layers", layer, layer, layers);
        checkRange("experts", first, last, experts);
        BitSet more = (BitSet) routed.clone();
        more.set(layer * experts + first, layer * experts + last + 1);
        return new PackSelection(layers, experts, dense, more);
    }

    private static void checkRange(String what, int first, int last, int count) {
        if (first < 0 || last < first || last >= count) {
            throw new IllegalArgumentException(
                    what + " must be within 0-" + (count - 1) + ": " + first + "-" + last);
        }
    }

    int layers() {
        return layers;
    }

    int experts() {
        return experts;
    }

    boolean hasDense(int layer) {
        return dense.get(layer);
    }

    /// Whether it has what belongs to no layer: embedding, final norm, LM head.
    boolean hasModelParts() {
        return !dense.isEmpty();
    }

    boolean hasExpert(int layer, int expert) {
        return routed.get(layer * experts + expert);
    }

    boolean hasExperts(int layer) {
        int next = routed.nextSetBit(layer * experts);
        return next >= 0 && next < (layer + 1) * experts;
    }

    /// The layers whose dense part is chosen: `0-39`, or `none`.
    String denseText() {
        return runs(dense, 0, layers);
    }

    /// The experts that are chosen: `0-39:0-255`, or `none`.
    String expertText() {
        StringJoiner terms = new StringJoiner(";").setEmptyValue("none");
        for (int from = 0, to; from < layers; from = to) {
            String here = runs(routed, from * experts, (from + 1) * experts);
            to = from + 1;
            while (to < layers && runs(routed, to * experts, (to + 1) * experts).equals(here)) {
                to++;
            }
            if (!here.equals("none")) {
                terms.add((to == from + 1 ? "" + from : from + "-" + (to - 1)) + ":" + here);
            }
        }
        return terms.toString();
    }

    private static String runs(BitSet set, int begin, int end) {
        StringJoiner runs = new StringJoiner(",").setEmptyValue("none");
        for (int first = set.nextSetBit(begin); first >= 0 && first < end; ) {
            int next = Math.min(set.nextClearBit(first), end);
            runs.add(
                    next - first == 1
                            ? "" + (first - begin)
                            : (first - begin) + "-" + (next - 1 - begin));
            first = set.nextSetBit(next);
        }
        return runs.toString();
    }

    @Override
    public String toString() {
        return "layers " + denseText() + ", experts " + expertText();
    }
}
