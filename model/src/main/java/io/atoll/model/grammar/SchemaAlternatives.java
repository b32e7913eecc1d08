package io.atoll.model.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.model.grammar.GrammarException.Kind;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/// Takes `$ref`, `allOf`, `anyOf` and `oneOf` apart: a schema becomes alternatives, each a list of parts that hold together and have
/// none of these keywords left to follow.
final class SchemaAlternatives {
    private final JsonNode root;
    private final GrammarLimits limits;
    private long made;

    SchemaAlternatives(JsonNode root, GrammarLimits limits) {
        this.root = root;
        this.limits = limits;
    }

    /// The alternatives of schemas that hold together. Within one, a part stands once, and parts that say nothing are left out.
    List<List<SchemaPart>> of(List<SchemaPart> parts) {
        return all(parts, new HashSet<>());
    }

    /// @param open pointers of the schemas around; meeting one again means a schema that is defined by itself
    private List<List<SchemaPart>> all(List<SchemaPart> parts, Set<String> open) {
        List<List<SchemaPart>> result = List.of(List.of());
        for (SchemaPart part : parts) {
            result = product(result, one(part, open), part);
        }
        return result;
    }

    private List<List<SchemaPart>> one(SchemaPart part, Set<String> open) {
        part.check();
        if (!open.add(part.pointer())) {
            throw new GrammarException(
                    Kind.UNSATISFIABLE,
                    part.pointer(),
                    "the schema refers to itself with nothing between");
        }
        if (open.size() > limits.depth()) {
            throw GrammarException.limit(
                    part.pointer(), "references in a row", open.size(), limits.depth());
        }
        List<List<SchemaPart>> result =
                List.of(part.constrains() ? List.of(part) : List.<SchemaPart>of());
        if (part.has("$ref")) {
            result = product(result, one(target(part), open), part);
        }
        if (part.has("allOf")) {
            SchemaPart list = part.list("allOf");
            for (int i = 0; i < list.node().size(); i++) {
                result = product(result, one(list.at(i), open), part);
            }
        }
        if (part.has("anyOf")) {
            List<List<SchemaPart>> either = new ArrayList<>();
            branches(part.list("anyOf"), open).forEach(either::addAll);
            result = product(result, either, part);
        }
        if (part.has("oneOf")) {
            List<List<List<SchemaPart>>> branches = branches(part.list("oneOf"), open);
            requireDisjoint(part.at("oneOf"), branches);
            List<List<SchemaPart>> either = new ArrayList<>();
            branches.forEach(either::addAll);
            result = product(result, either, part);
        }
        open.remove(part.pointer());
        return result;
    }

    private List<List<List<SchemaPart>>> branches(SchemaPart list, Set<String> open) {
        List<List<List<SchemaPart>>> branches = new ArrayList<>();
        for (int i = 0; i < list.node().size(); i++) {
            branches.add(one(list.at(i), open));
        }
        return branches;
    }

    private List<List<SchemaPart>> product(
            List<List<SchemaPart>> left, List<List<SchemaPart>> right, SchemaPart where) {
        List<List<SchemaPart>> result = new ArrayList<>();
        for (List<SchemaPart> l : left) {
            for (List<SchemaPart> r : right) {
                Map<String, SchemaPart> merged = new LinkedHashMap<>();
                l.forEach(part -> merged.putIfAbsent(part.pointer(), part));
                r.forEach(part -> merged.putIfAbsent(part.pointer(), part));
                result.add(List.copyOf(merged.values()));
                made += 1 + merged.size();
                if (made > limits.states()) {
                    throw GrammarException.limit(
                            where.pointer(), "alternatives", made, limits.states());
                }
            }
        }
        return result;
    }

    private SchemaPart target(SchemaPart part) {
        String reference = part.text("$ref");
        if (!reference.equals("#") && !reference.startsWith("#/")) {
            throw part.at("$ref")
                    .unsupported("a reference to elsewhere than this document, " + reference + ",");
        }
        String pointer;
        try {
            pointer = URLDecoder.decode(reference.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw part.at("$ref").syntax("not a JSON pointer: " + reference);
        }
        JsonNode node = root.at(pointer.substring(1));
        if (node.isMissingNode()) {
            throw part.at("$ref").syntax("nothing stands at " + reference);
        }
        return new SchemaPart(node, pointer);
    }

    /// A grammar matches any of its alternatives; that is the same as exactly one only if no value matches two.
    private void requireDisjoint(SchemaPart oneOf, List<List<List<SchemaPart>>> branches) {
        for (int i = 0; i < branches.size(); i++) {
            for (int j = 0; j < i; j++) {
                for (List<SchemaPart> a : branches.get(i)) {
                    for (List<SchemaPart> b : branches.get(j)) {
                        made++;
                        if (!disjoint(a, b)) {
                            throw oneOf.unsupported(
                                    "`oneOf` whose branches "
                                            + j
                                            + " and "
                                            + i
                                            + " cannot be told apart by type, or by a constant of"
                                            + " a required property,");
                        }
                        if (made > limits.states()) {
                            throw GrammarException.limit(
                                    oneOf.pointer(), "alternatives", made, limits.states());
                        }
                    }
                }
            }
        }
    }

    private static boolean disjoint(List<SchemaPart> a, List<SchemaPart> b) {
        if (disjointValues(a, b)) {
            return true;
        }
        Set<SchemaTypes.Type> types = SchemaTypes.of(a);
        types.retainAll(SchemaTypes.of(b));
        if (types.isEmpty()) {
            return true;
        }
        if (!types.equals(Set.of(SchemaTypes.Type.OBJECT))) {
            return false;
        }
        Set<String> required = new TreeSet<>(SchemaObject.required(a));
        required.retainAll(SchemaObject.required(b));
        return required.stream()
                .anyMatch(
                        name ->
                                disjointValues(
                                        SchemaObject.property(a, name),
                                        SchemaObject.property(b, name)));
    }

    private static boolean disjointValues(List<SchemaPart> a, List<SchemaPart> b) {
        return SchemaValues.of(a)
                .flatMap(
                        left ->
                                SchemaValues.of(b)
                                        .map(right -> left.stream().noneMatch(right::contains)))
                .orElse(false);
    }
}
