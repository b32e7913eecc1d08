package io.atoll.cluster.placement;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// A set of (layer, expert) pairs: what one worker holds. Immutable.
///
/// Written as `experts`, for all layers, or as `layers:experts` terms separated by `;`, where both sides are ranges: `0-15`,
/// `0-3:0-15;4-7:8-31`, `*:0-7,12`. `*` is all; the empty set is `none`.
public final class ExpertShard {
    private static final String NONE = "none";

    private final int layers;
    private final int experts;
    private final BitSet held; // layer * experts + expert

    private ExpertShard(int layers, int experts, BitSet held) {
        this.layers = layers;
        this.experts = experts;
        this.held = held;
    }

    /// No expert.
    public static ExpertShard none(int layers, int experts) {
        return new ExpertShard(layers, experts, new BitSet());
    }

    /// Every expert of every layer.
    public static ExpertShard all(int layers, int experts) {
        BitSet held = new BitSet();
        held.set(0, Math.multiplyExact(layers, experts));
        return new ExpertShard(layers, experts, held);
    }

    /// Part `part` (from 0) of `parts` equal parts: every layer, experts cut into consecutive runs.
    public static ExpertShard part(int layers, int experts, int part, int parts) {
        if (parts <= 0 || part < 0 || part >= parts || parts > experts) {
            throw new IllegalArgumentException(
                    "no part " + part + " of " + parts + " for " + experts + " experts");
        }
        int first = (int) ((long) experts * part / parts);
        int end = (int) ((long) experts * (part + 1) / parts);
        BitSet held = new BitSet();
        for (int layer = 0; layer < layers; layer++) {
            held.set(layer * experts + first, layer * experts + end);
        }
        return new ExpertShard(layers, experts, held);
    }

    /// Reads the form described above.
    ///
    /// @throws IllegalArgumentException naming the term that is not a range, or is out of range
    public static ExpertShard parse(String text, int layers, int experts) {
        if (text.strip().equals(NONE)) {
            return none(layers, experts);
        }
        BitSet held = new BitSet();
        for (String term : text.split(";", -1)) {
            int colon = term.indexOf(':');
            BitSet layerSet = ranges(colon < 0 ? "*" : term.substring(0, colon), layers, text);
            BitSet expertSet = ranges(term.substring(colon + 1), experts, text);
            layerSet.stream()
                    .forEach(
                            layer ->
                                    expertSet.stream()
                                            .forEach(expert -> held.set(layer * experts + expert)));
        }
        return new ExpertShard(layers, experts, held);
    }

    /// From ranges that a worker announced. Ranges past the model are refused.
    public static ExpertShard of(int layers, int experts, List<LayerRange> ranges) {
        BitSet held = new BitSet();
        for (LayerRange range : ranges) {
            if (range.layer() < 0
                    || range.layer() >= layers
                    || range.first() < 0
                    || range.last() < range.first()
                    || range.last() >= experts) {
                throw new IllegalArgumentException(
                        range + " is not in " + layers + " layers of " + experts + " experts");
            }
            held.set(
                    range.layer() * experts + range.first(),
                    range.layer() * experts + range.last() + 1);
        }
        return new ExpertShard(layers, experts, held);
    }

    private static BitSet ranges(String text, int count, String whole) {
        BitSet set = new BitSet();
        for (String range : text.split(",", -1)) {
            String trimmed = range.strip();
            int first;
            int last;
            if (trimmed.equals("*")) {
                first = 0;
                last = count - 1;
            } else {
                int dash = trimmed.indexOf('-');
                try {
                    first =
                            Integer.parseInt(
                                    dash < 0 ? trimmed : trimmed.substring(0, dash).strip());
                    last = dash < 0 ? first : Integer.parseInt(trimmed.substring(dash + 1).strip());
                } catch (NumberFormatException _) {
                    throw new IllegalArgumentException(
                            "not a range: '" + trimmed + "' in '" + whole + "'");
                }
            }
            if (first < 0 || last < first || last >= count) {
                throw new IllegalArgumentException(
                        "range "
                                + trimmed
                                + " is not within 0-"
                                + (count - 1)
                                + " in '"
                                + whole
                                + "'");
            }
            set.set(first, last + 1);
        }
        return set;
    }

    public int layers() {
        return layers;
    }

    public int experts() {
        return experts;
    }

    /// Whether this shard has the expert. Any argument is allowed; what is not in the model is not held.
    public boolean holds(int layer, int expert) {
        return layer >= 0
                && layer < layers
                && expert >= 0
                && expert < experts
                && held.get(layer * experts + expert);
    }

    /// What either shard holds.
    public ExpertShard plus(ExpertShard other) {
        BitSet both = copyFor(other);
        both.or(other.held);
        return new ExpertShard(layers, experts, both);
    }

    /// What this shard holds and the other does not.
    public ExpertShard without(ExpertShard other) {
        BitSet rest = copyFor(other);
        rest.andNot(other.held);
        return new ExpertShard(layers, experts, rest);
    }

    /// What both shards hold.
    public ExpertShard and(ExpertShard other) {
        BitSet common = copyFor(other);
        common.and(other.held);
        return new ExpertShard(layers, experts, common);
    }

    private BitSet copyFor(ExpertShard other) {
        if (layers != other.layers || experts != other.experts) {
            throw new IllegalArgumentException(
                    "a shard of %d layers of %d experts and one of %d of %d"
                            .formatted(layers, experts, other.layers, other.experts));
        }
        return (BitSet) held.clone();
    }

    /// Pairs held.
    public int size() {
        return held.cardinality();
    }

    public boolean isEmpty() {
        return held.isEmpty();
    }

    /// The held experts as runs, ascending.
    public List<LayerRange> ranges() {
        List<LayerRange> ranges = new ArrayList<>();
        for (int layer = 0; layer < layers; layer++) {
            int end = (layer + 1) * experts;
            int first = held.nextSetBit(layer * experts);
            while (first >= 0 && first < end) {
                int next = Math.min(held.nextClearBit(first), end);
                ranges.add(
                        new LayerRange(layer, first - layer * experts, next - 1 - layer * experts));
                first = held.nextSetBit(next);
            }
        }
        return ranges;
    }

    /// A run of experts of one layer.
    ///
    /// @param last inclusive
    public record LayerRange(int layer, int first, int last) {}

    @Override
    public boolean equals(Object other) {
        return other instanceof ExpertShard shard
                && shard.layers == layers
                && shard.experts == experts
                && shard.held.equals(held);
    }

    @Override
    public int hashCode() {
        return held.hashCode();
    }

    /// The short form that [#parse] reads.
    @Override
    public String toString() {
        if (isEmpty()) {
            return NONE;
        }
        Map<Integer, String> byLayer = new TreeMap<>();
        for (LayerRange range : ranges()) {
            String run =
                    range.first() == range.last()
                            ? "" + range.first()
                            : range.first() + "-" + range.last();
            byLayer.merge(range.layer(), run, (a, b) -> a + "," + b);
        }
        StringBuilder text = new StringBuilder();
        int from = -1;
        int previous = -1;
        for (var entry : byLayer.entrySet()) {
            boolean continues =
                    previous >= 0
                            && entry.getKey() == previous + 1
                            && entry.getValue().equals(byLayer.get(previous));
            if (!continues) {
                append(text, from, previous, byLayer);
                from = entry.getKey();
            }
            previous = entry.getKey();
        }
        append(text, from, previous, byLayer);
        return text.toString();
    }

    private void append(StringBuilder text, int from, int to, Map<Integer, String> byLayer) {
        if (from < 0) {
            return;
        }
        text.append(text.isEmpty() ? "" : ";");
        if (from > 0 || to < layers - 1) {
            text.append(from == to ? "" + from : from + "-" + to).append(':');
        }
        text.append(byLayer.get(from));
    }
}
