package io.atoll.model.config;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// One JSON object of a configuration file, read field by field. Every complaint carries the file, the field's path
/// and the value found. A field that is `null` counts as absent, as the files of this family write it for "not
/// set".
final class JsonFields {
    /// Larger than any configuration seen by three orders of magnitude.
    private static final long MAX_FILE_BYTES = 16L << 20;

    private static final JsonMapper MAPPER =
            JsonMapper.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .build();

    private final Path file;
    private final String path;
    private final JsonNode object;

    private JsonFields(Path file, String path, JsonNode object) {
        this.file = file;
        this.path = path;
        this.object = object;
    }

    /// Reads a whole file, which must hold one object.
    static JsonFields read(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new ConfigException(file, "file", "is missing");
        }
        try {
            long bytes = Files.size(file);
            if (bytes > MAX_FILE_BYTES) {
                throw new ConfigException(
                        file,
                        "file",
                        "is too large: " + bytes + " bytes, at most " + MAX_FILE_BYTES);
            }
            JsonNode root = MAPPER.readTree(Files.readAllBytes(file));
            if (root == null || !root.isObject()) {
                throw new ConfigException(file, "file", "does not hold a JSON object");
            }
            return new JsonFields(file, "", root);
        } catch (JsonProcessingException e) {
            throw new ConfigException(
                    file, "file", "is not valid JSON: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new ConfigException(file, "file", "cannot be read: " + e, e);
        }
    }

    /// The file it was read from.
    Path file() {
        return file;
    }

    /// Names of the fields, in the file's order.
    List<String> names() {
        return object.properties().stream().map(Map.Entry::getKey).toList();
    }

    boolean has(String field) {
        return object.hasNonNull(field);
    }

    /// The object in `field`, which must be there.
    JsonFields object(String field) {
        return optionalObject(field).orElseThrow(() -> missing(field));
    }

    Optional<JsonFields> optionalObject(String field) {
        if (!has(field)) {
            return Optional.empty();
        }
        JsonNode value = object.get(field);
        if (!value.isObject()) {
            throw wrong(field, "an object", value);
        }
        return Optional.of(new JsonFields(file, at(field), value));
    }

    /// An integer in `[min, max]`, which must be there.
    int integer(String field, int min, int max) {
        if (!has(field)) {
            throw missing(field);
        }
        return integer(field, object.get(field), min, max);
    }

    int integer(String field, int min, int max, int absent) {
        return has(field) ? integer(field, min, max) : absent;
    }

    /// A list of integers in `[min, max]`.
    List<Integer> integers(String field, int min, int max) {
        if (!has(field)) {
            throw missing(field);
        }
        JsonNode value = object.get(field);
        if (!value.isArray()) {
            throw wrong(field, "a list of integers", value);
        }
        List<Integer> result = new ArrayList<>(value.size());
        for (JsonNode element : value) {
            result.add(integer(field, element, min, max));
        }
        return List.copyOf(result);
    }

    /// One integer or a list of them; an absent field gives an empty list.
    List<Integer> integerOrIntegers(String field, int min, int max) {
        if (!has(field)) {
            return List.of();
        }
        return object.get(field).isArray()
                ? integers(field, min, max)
                : List.of(integer(field, min, max));
    }

    /// A finite number in `[min, max]`.
    double number(String field, double min, double max) {
        if (!has(field)) {
            throw missing(field);
        }
        JsonNode value = object.get(field);
        if (!value.isNumber()) {
            throw wrong(field, "a number", value);
        }
        double number = value.doubleValue();
        if (!(number >= min && number <= max)) {
            throw wrong(field, "in [" + min + ", " + max + "]", value);
        }
        return number;
    }

    double number(String field, double min, double max, double absent) {
        return has(field) ? number(field, min, max) : absent;
    }

    /// A list of finite numbers.
    List<Double> numbers(String field) {
        JsonNode value = has(field) ? object.get(field) : null;
        if (value == null) {
            throw missing(field);
        }
        List<Double> result = new ArrayList<>();
        for (JsonNode element : value) {
            if (!element.isNumber() || !Double.isFinite(element.doubleValue())) {
                throw wrong(field, "a list of numbers", value);
            }
            result.add(element.doubleValue());
        }
        if (!value.isArray()) {
            throw wrong(field, "a list of numbers", value);
        }
        return List.copyOf(result);
    }

    String string(String field) {
        if (!has(field)) {
            throw missing(field);
        }
        JsonNode value = object.get(field);
        if (!value.isTextual()) {
            throw wrong(field, "a string", value);
        }
        return value.textValue();
    }

    String string(String field, String absent) {
        return has(field) ? string(field) : absent;
    }

    List<String> strings(String field) {
        if (!has(field)) {
            throw missing(field);
        }
        JsonNode value = object.get(field);
        if (!value.isArray()) {
            throw wrong(field, "a list of strings", value);
        }
        List<String> result = new ArrayList<>(value.size());
        for (JsonNode element : value) {
            if (!element.isTextual()) {
                throw wrong(field, "a list of strings", value);
            }
            result.add(element.textValue());
        }
        return List.copyOf(result);
    }

    boolean bool(String field, boolean absent) {
        if (!has(field)) {
            return absent;
        }
        JsonNode value = object.get(field);
        if (!value.isBoolean()) {
            throw wrong(field, "true or false", value);
        }
        return value.booleanValue();
    }

    /// Refuses a switch of the architecture that is set to anything but the one value this program computes.
    void mustBe(String field, boolean only) {
        if (bool(field, only) != only) {
            throw refused(field, "only " + only + " is supported, found " + !only);
        }
    }

    /// As the other, for a string. An absent field is taken as `only`.
    void mustBe(String field, String only) {
        String found = string(field, only);
        if (!found.equals(only)) {
            throw refused(field, "only \"" + only + "\" is supported, found \"" + found + "\"");
        }
    }

    /// Refuses a list that has entries; absent and empty are the same.
    void mustBeEmpty(String field) {
        if (has(field) && !(object.get(field).isArray() && object.get(field).isEmpty())) {
            throw wrong(field, "absent or an empty list", object.get(field));
        }
    }

    ConfigException refused(String field, String message) {
        return new ConfigException(file, at(field), message);
    }

    private ConfigException missing(String field) {
        return refused(field, "is missing");
    }

    private ConfigException wrong(String field, String wanted, JsonNode found) {
        String text = found.toString();
        return refused(
                field,
                "must be "
                        + wanted
                        + ", found "
                        + (text.length() > 80 ? text.substring(0, 80) + "…" : text));
    }

    private int integer(String field, JsonNode value, int min, int max) {
        if (!value.isIntegralNumber()) {
            throw wrong(field, "an integer", value);
        }
        if (!value.canConvertToInt() || value.intValue() < min || value.intValue() > max) {
            throw wrong(field, "in [" + min + ", " + max + "]", value);
        }
        return value.intValue();
    }

    private String at(String field) {
        return path.isEmpty() ? field : path + "." + field;
    }
}
