package io.atoll.model.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// The keywords `enum` and `const`: values that are listed.
final class SchemaValues {
    private SchemaValues() {}

    /// The values that all parts list, in the order of the first list; empty if no part lists values.
    static Optional<Set<JsonNode>> of(List<SchemaPart> parts) {
        Optional<Set<JsonNode>> common = Optional.empty();
        for (SchemaPart part : parts) {
            if (part.has("const")) {
                common = Optional.of(both(common, Set.of(part.node().get("const"))));
            }
            if (part.has("enum")) {
                List<JsonNode> values = new ArrayList<>();
                part.list("enum").node().forEach(values::add);
                common = Optional.of(both(common, new LinkedHashSet<>(values)));
            }
        }
        return common;
    }

    private static Set<JsonNode> both(Optional<Set<JsonNode>> common, Set<JsonNode> more) {
        Set<JsonNode> result = new LinkedHashSet<>(common.orElse(more));
        result.retainAll(more);
        return result;
    }
}
