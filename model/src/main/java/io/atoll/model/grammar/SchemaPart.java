package io.atoll.model.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import io.atoll.model.grammar.GrammarException.Kind;
import java.math.BigDecimal;
import java.util.Optional;
import java.util.Set;

/// One schema object of a document: its keywords, read with complaints that name their JSON pointer.
///
/// @param node an object or a boolean
/// @param pointer where it stands, from `#`
record SchemaPart(JsonNode node, String pointer) {
    private static final Set<String> ANNOTATIONS =
            Set.of(
                    "title",
                    "description",
                    "default",
                    "examples",
                    "$schema",
                    "$comment",
                    "$defs",
                    "definitions",
                    "deprecated",
                    "readOnly",
                    "writeOnly");

    /// Keywords that put schemas together rather than constrain a value.
    private static final Set<String> COMBINING = Set.of("$ref", "allOf", "anyOf", "oneOf");

    private static final Set<String> CONSTRAINING =
            Set.of(
                    "type",
                    "enum",
                    "const",
                    "properties",
                    "required",
                    "additionalProperties",
                    "items",
                    "prefixItems",
                    "minItems",
                    "maxItems",
                    "minLength",
                    "maxLength",
                    "pattern",
                    "format",
                    "minimum",
                    "maximum",
                    "exclusiveMinimum",
                    "exclusiveMaximum");

    /// Refuses what is no schema, and every keyword that is not offered.
    void check() {
        if (node.isBoolean()) {
            return;
        }
        if (!node.isObject()) {
            throw syntax("must be a schema, an object or a boolean");
        }
        node.fieldNames()
                .forEachRemaining(
                        keyword -> {
                            boolean known =
                                    ANNOTATIONS.contains(keyword)
                                            || COMBINING.contains(keyword)
                                            || CONSTRAINING.contains(keyword)
                                            || (keyword.equals("$id") && pointer.equals("#"));
                            boolean off =
                                    keyword.equals("uniqueItems")
                                            && node.get(keyword).equals(BooleanNode.FALSE);
                            if (!known && !off) {
                                throw at(keyword).unsupported("the keyword `" + keyword + "`");
                            }
                        });
    }

    /// Whether the keyword constrains a value beyond its type and a list of values.
    static boolean narrows(String keyword) {
        return CONSTRAINING.contains(keyword)
                && !keyword.equals("type")
                && !keyword.equals("enum")
                && !keyword.equals("const");
    }

    /// Whether the part says anything by itself, apart from the schemas it refers to.
    boolean constrains() {
        if (node.isBoolean()) {
            return !node.booleanValue();
        }
        return CONSTRAINING.stream().anyMatch(node::has);
    }

    boolean has(String keyword) {
        return node.has(keyword);
    }

    /// The value of a keyword, with its pointer.
    SchemaPart at(String keyword) {
        return new SchemaPart(node.path(keyword), pointer + "/" + escape(keyword));
    }

    SchemaPart at(int index) {
        return new SchemaPart(node.path(index), pointer + "/" + index);
    }

    /// A count, such as `minItems`.
    Optional<Integer> count(String keyword) {
        if (!has(keyword)) {
            return Optional.empty();
        }
        JsonNode value = node.get(keyword);
        BigDecimal number = value.isNumber() ? value.decimalValue() : BigDecimal.ONE.negate();
        if (number.signum() < 0 || number.stripTrailingZeros().scale() > 0) {
            throw at(keyword).syntax("must be an integer from 0, found " + shown(value));
        }
        // Beyond any limit is beyond any limit.
        return Optional.of(number.min(BigDecimal.valueOf(Integer.MAX_VALUE)).intValue());
    }

    /// A bound of numbers, such as `minimum`.
    Optional<BigDecimal> bound(String keyword) {
        if (!has(keyword)) {
            return Optional.empty();
        }
        JsonNode value = node.get(keyword);
        if (!value.isNumber()) {
            throw at(keyword).syntax("must be a number, found " + shown(value));
        }
        BigDecimal number = value.decimalValue();
        int max = NumberRange.MAX_DIGITS;
        if (Math.abs((long) number.precision() - number.scale()) > max || number.scale() > max) {
            throw new GrammarException(
                    Kind.LIMIT, at(keyword).pointer, "more than " + max + " digits");
        }
        return Optional.of(number);
    }

    String text(String keyword) {
        JsonNode value = node.get(keyword);
        if (!value.isTextual()) {
            throw at(keyword).syntax("must be a string, found " + shown(value));
        }
        return value.textValue();
    }

    /// Requires a list that is not empty.
    SchemaPart list(String keyword) {
        SchemaPart list = at(keyword);
        if (!list.node.isArray() || list.node.isEmpty()) {
            throw list.syntax("must be a list that is not empty, found " + shown(list.node));
        }
        return list;
    }

    GrammarException syntax(String problem) {
        return new GrammarException(Kind.SYNTAX, pointer, problem);
    }

    GrammarException unsupported(String what) {
        return new GrammarException(Kind.UNSUPPORTED, pointer, what + " is not offered");
    }

    static String shown(JsonNode value) {
        String text = value.isMissingNode() ? "nothing" : value.toString();
        return text.length() <= 80 ? text : text.substring(0, 80) + "...";
    }

    /// RFC 6901, section 3.
    private static String escape(String name) {
        return name.replace("~", "~0").replace("/", "~1");
    }
}
