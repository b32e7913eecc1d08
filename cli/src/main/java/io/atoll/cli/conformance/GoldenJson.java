package io.atoll.cli.conformance;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// A value of a golden JSON file that knows where it stands, so that a torn file is reported by place.
///
/// @param file the file
/// @param where path of the value, such as `cases[3].prompt_ids`; empty for the whole file
/// @param node the value
record GoldenJson(Path file, String where, JsonNode node) {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    static GoldenJson read(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new FixtureException(file, "missing");
        }
        try {
            JsonNode root = MAPPER.readTree(Files.readAllBytes(file));
            return new GoldenJson(file, "", root);
        } catch (JsonProcessingException e) {
            throw new FixtureException(file, "is not JSON: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new FixtureException(file, "cannot be read: " + e, e);
        }
    }

    /// A field that must be there.
    GoldenJson get(String field) {
        return optional(field).orElseThrow(() -> refused("has no field " + field));
    }

    Optional<GoldenJson> optional(String field) {
        JsonNode value = node.get(field);
        return value == null
                ? Optional.empty()
                : Optional.of(
                        new GoldenJson(file, where.isEmpty() ? field : where + "." + field, value));
    }

    /// The entries of a list.
    List<GoldenJson> items() {
        if (!node.isArray()) {
            throw refused("must be a list");
        }
        List<GoldenJson> items = new ArrayList<>();
        for (int i = 0; i < node.size(); i++) {
            items.add(new GoldenJson(file, where + "[" + i + "]", node.get(i)));
        }
        return items;
    }

    /// The fields of an object.
    List<GoldenJson> fields() {
        if (!node.isObject()) {
            throw refused("must be an object");
        }
        return node.properties().stream().map(field -> get(field.getKey())).toList();
    }

    /// The field's own name: the last step of [#where].
    String lastName() {
        return where.substring(where.lastIndexOf('.') + 1);
    }

    String text() {
        if (!node.isTextual()) {
            throw refused("must be text");
        }
        return node.textValue();
    }

    int integer() {
        if (!node.canConvertToExactIntegral() || !node.canConvertToInt()) {
            throw refused("must be an integer");
        }
        return node.intValue();
    }

    float number() {
        return (float) real();
    }

    boolean isNull() {
        return node.isNull();
    }

    /// A number in full.
    double real() {
        if (!node.isNumber()) {
            throw refused("must be a number");
        }
        return node.doubleValue();
    }

    boolean bool() {
        if (!node.isBoolean()) {
            throw refused("must be true or false");
        }
        return node.booleanValue();
    }

    int[] integers() {
        return items().stream().mapToInt(GoldenJson::integer).toArray();
    }

    List<String> texts() {
        return items().stream().map(GoldenJson::text).toList();
    }

    float[] numbers() {
        List<GoldenJson> items = items();
        float[] numbers = new float[items.size()];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = items.get(i).number();
        }
        return numbers;
    }

    /// An object as plain Java values, in the file's order.
    Map<String, Object> map() {
        if (!node.isObject()) {
            throw refused("must be an object");
        }
        return MAPPER.convertValue(node, new TypeReference<LinkedHashMap<String, Object>>() {});
    }

    /// A list of objects as plain Java values.
    List<Map<String, Object>> maps() {
        return items().stream().map(GoldenJson::map).toList();
    }

    private FixtureException refused(String problem) {
        return new FixtureException(file, (where.isEmpty() ? "the file" : where) + " " + problem);
    }
}
