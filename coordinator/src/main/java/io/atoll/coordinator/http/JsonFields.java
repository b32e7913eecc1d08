package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeType;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.proto.ErrorCode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;

/// The fields of one JSON object of a request. Every complaint names the field by its path; `null` counts as absent, as OpenAI's
/// clients write it.
final class JsonFields {
    private final ObjectNode object;
    private final String path;

    /// @param path where the object is in the body, empty for the body itself
    JsonFields(ObjectNode object, String path) {
        this.object = object;
        this.path = path;
    }

    /// The path of a field, for messages.
    String path(String field) {
        return path.isEmpty() ? field : path + "." + field;
    }

    /// The names of all fields, in the order they were written.
    List<String> names() {
        List<String> names = new ArrayList<>(object.size());
        object.fieldNames().forEachRemaining(names::add);
        return names;
    }

    Optional<JsonNode> node(String field) {
        JsonNode value = object.get(field);
        return value == null || value.isNull() ? Optional.empty() : Optional.of(value);
    }

    boolean has(String field) {
        return node(field).isPresent();
    }

    Optional<String> string(String field) {
        return node(field).map(value -> string(value, path(field)));
    }

    String requiredString(String field) {
        return string(field).orElseThrow(() -> missing(field));
    }

    boolean bool(String field, boolean absent) {
        return node(field)
                .map(
                        value -> {
                            if (!value.isBoolean()) {
                                throw wrongType(path(field), "a boolean", value);
                            }
                            return value.booleanValue();
                        })
                .orElse(absent);
    }

    /// A number from `low` to `high`, both included.
    float number(String field, double low, double high, double absent) {
        Optional<JsonNode> value = node(field);
        if (value.isEmpty()) {
            return (float) absent;
        }
        if (!value.get().isNumber()) {
            throw wrongType(path(field), "a number", value.get());
        }
        double number = value.get().doubleValue();
        if (!(number >= low && number <= high)) {
            throw RequestException.invalid(
                    path(field), "must be from " + low + " to " + high + ": " + value.get());
        }
        return (float) number;
    }

    OptionalInt integer(String field, int low, int high) {
        Optional<JsonNode> value = node(field);
        if (value.isEmpty()) {
            return OptionalInt.empty();
        }
        return OptionalInt.of(integer(value.get(), path(field), low, high));
    }

    /// Any whole number that fits 64 bits.
    Optional<Long> wholeNumber(String field) {
        return node(field)
                .map(
                        value -> {
                            if (!value.isIntegralNumber() || !value.canConvertToLong()) {
                                throw wrongType(path(field), "a 64-bit integer", value);
                            }
                            return value.longValue();
                        });
    }

    Optional<JsonFields> object(String field) {
        return node(field).map(value -> object(value, path(field)));
    }

    /// The elements of an array, with their paths.
    Optional<List<Element>> array(String field) {
        return node(field).map(value -> elements(value, path(field)));
    }

    RequestException missing(String field) {
        return RequestException.of(
                ErrorCode.INVALID_REQUEST, path(field), path(field) + " is missing");
    }

    /// One element of an array and its path.
    record Element(JsonNode value, String path) {}

    static List<Element> elements(JsonNode value, String path) {
        if (!value.isArray()) {
            throw wrongType(path, "an array", value);
        }
        List<Element> elements = new ArrayList<>(value.size());
        for (JsonNode element : value) {
            elements.add(new Element(element, path + "[" + elements.size() + "]"));
        }
        return elements;
    }

    static JsonFields object(JsonNode value, String path) {
        if (!(value instanceof ObjectNode object)) {
            throw wrongType(path, "an object", value);
        }
        return new JsonFields(object, path);
    }

    static String string(JsonNode value, String path) {
        if (!value.isTextual()) {
            throw wrongType(path, "a string", value);
        }
        return value.textValue();
    }

    static int integer(JsonNode value, String path, int low, int high) {
        if (!value.isIntegralNumber()) {
            throw wrongType(path, "an integer", value);
        }
        if (!value.canConvertToInt() || value.intValue() < low || value.intValue() > high) {
            String bound =
                    high == Integer.MAX_VALUE
                            ? "must be at least " + low
                            : "must be from " + low + " to " + high;
            throw RequestException.invalid(path, bound + ": " + value);
        }
        return value.intValue();
    }

    static RequestException wrongType(String path, String wanted, JsonNode found) {
        return RequestException.invalid(path, "must be " + wanted + ", not " + kind(found));
    }

    /// Token ids that the model has.
    static int[] tokens(List<Element> elements, Tokenizer tokenizer) {
        int[] tokens = new int[elements.size()];
        for (int i = 0; i < tokens.length; i++) {
            Element element = elements.get(i);
            int token = integer(element.value(), element.path(), 0, Integer.MAX_VALUE);
            if (!tokenizer.isToken(token)) {
                throw RequestException.invalid(
                        element.path(), "is no token of the model: " + token);
            }
            tokens[i] = token;
        }
        return tokens;
    }

    /// What a value is, for people.
    static String kind(JsonNode value) {
        JsonNodeType type = value.getNodeType();
        return switch (type) {
            case ARRAY -> "an array";
            case OBJECT -> "an object";
            case MISSING -> "nothing";
            case NULL -> "null";
            default -> "a " + type.name().toLowerCase(Locale.ROOT);
        };
    }
}
