package io.atoll.model.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.util.regex.Pattern;

/// JSON Schema validation by the book, for the keywords that the tests use.
final class TinyValidator {
    private final JsonNode root;

    TinyValidator(JsonNode root) {
        this.root = root;
    }

    boolean valid(JsonNode value) {
        return valid(root, value);
    }

    private boolean valid(JsonNode schema, JsonNode value) {
        if (schema.isBoolean()) {
            return schema.booleanValue();
        }
        boolean ok = !schema.has("$ref") || valid(at(schema.get("$ref").textValue()), value);
        ok &= !schema.has("type") || type(schema.get("type"), value);
        ok &= !schema.has("const") || same(schema.get("const"), value);
        ok &= !schema.has("enum") || contains(schema.get("enum"), value);
        ok &= !schema.has("anyOf") || count(schema.get("anyOf"), value) > 0;
        ok &= !schema.has("oneOf") || count(schema.get("oneOf"), value) == 1;
        ok &=
                !schema.has("allOf")
                        || count(schema.get("allOf"), value) == schema.get("allOf").size();
        if (value.isNumber()) {
            ok &= number(schema, value.decimalValue());
        }
        if (value.isTextual()) {
            ok &= string(schema, value.textValue());
        }
        if (value.isArray()) {
            ok &= array(schema, value);
        }
        if (value.isObject()) {
            ok &= object(schema, value);
        }
        return ok;
    }

    private JsonNode at(String reference) {
        return root.at(reference.substring(1));
    }

    private long count(JsonNode schemas, JsonNode value) {
        long count = 0;
        for (JsonNode schema : schemas) {
            count += valid(schema, value) ? 1 : 0;
        }
        return count;
    }

    private static boolean contains(JsonNode list, JsonNode value) {
        for (JsonNode each : list) {
            if (same(each, value)) {
                return true;
            }
        }
        return false;
    }

    private static boolean same(JsonNode a, JsonNode b) {
        boolean numbers = a.isNumber() && b.isNumber();
        return numbers ? a.decimalValue().compareTo(b.decimalValue()) == 0 : a.equals(b);
    }

    private static boolean type(JsonNode type, JsonNode value) {
        if (type.isArray()) {
            for (JsonNode each : type) {
                if (type(each, value)) {
                    return true;
                }
            }
            return false;
        }
        return switch (type.textValue()) {
            case "null" -> value.isNull();
            case "boolean" -> value.isBoolean();
            case "string" -> value.isTextual();
            case "array" -> value.isArray();
            case "object" -> value.isObject();
            case "number" -> value.isNumber();
            case "integer" ->
                    value.isNumber()
                            && value.decimalValue().remainder(BigDecimal.ONE).signum() == 0;
            default -> throw new IllegalArgumentException(type.toString());
        };
    }

    private static boolean number(JsonNode schema, BigDecimal value) {
        return (!schema.has("minimum")
                        || value.compareTo(schema.get("minimum").decimalValue()) >= 0)
                && (!schema.has("exclusiveMinimum")
                        || value.compareTo(schema.get("exclusiveMinimum").decimalValue()) > 0)
                && (!schema.has("maximum")
                        || value.compareTo(schema.get("maximum").decimalValue()) <= 0)
                && (!schema.has("exclusiveMaximum")
                        || value.compareTo(schema.get("exclusiveMaximum").decimalValue()) < 0);
    }

    private static boolean string(JsonNode schema, String value) {
        int length = value.codePointCount(0, value.length());
        return length >= schema.path("minLength").asInt(0)
                && length <= schema.path("maxLength").asInt(Integer.MAX_VALUE)
                && (!schema.has("pattern") || pattern(schema).matcher(value).find());
    }

    /// In ECMAScript, and so in JSON Schema, `$` is the end and not a place before a last line break.
    private static Pattern pattern(JsonNode schema) {
        return Pattern.compile(schema.get("pattern").textValue().replaceAll("\\$$", "\\\\z"));
    }

    private boolean array(JsonNode schema, JsonNode value) {
        boolean ok =
                value.size() >= schema.path("minItems").asInt(0)
                        && value.size() <= schema.path("maxItems").asInt(Integer.MAX_VALUE);
        JsonNode prefix = schema.path("prefixItems");
        for (int i = 0; i < value.size(); i++) {
            if (i < prefix.size()) {
                ok &= valid(prefix.get(i), value.get(i));
            } else if (schema.has("items")) {
                ok &= valid(schema.get("items"), value.get(i));
            }
        }
        return ok;
    }

    private boolean object(JsonNode schema, JsonNode value) {
        boolean ok = true;
        for (JsonNode name : schema.path("required")) {
            ok &= value.has(name.textValue());
        }
        for (var member : value.properties()) {
            JsonNode property = schema.path("properties").path(member.getKey());
            if (!property.isMissingNode()) {
                ok &= valid(property, member.getValue());
            } else if (schema.has("additionalProperties")) {
                ok &= valid(schema.get("additionalProperties"), member.getValue());
            }
        }
        return ok;
    }
}
