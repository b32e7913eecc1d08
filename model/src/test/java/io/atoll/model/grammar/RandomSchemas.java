package io.atoll.model.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/// Schemas of every offered kind, documents they describe, and ways to write those.
final class RandomSchemas {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    private static final List<String> NAMES = List.of("a", "ab", "name", "é", "q\"", "日本", "x/y");
    private static final List<String> CHARACTERS =
            List.of("a", "b", "\"", "\\", "\n", "\u0001", "é", "本", "😀", " ", "/", "\u007f");

    private final Random random;

    RandomSchemas(Random random) {
        this.random = random;
    }

    /// A schema whose `$defs` hold a recursive one.
    ObjectNode schema() {
        ObjectNode root = schema(3, true);
        ObjectNode tree = JSON.objectNode();
        tree.put("type", "object");
        ObjectNode properties = tree.putObject("properties");
        properties.putObject("value").put("type", "integer");
        properties
                .putObject("children")
                .put("type", "array")
                .putObject("items")
                .put("$ref", "#/$defs/tree");
        tree.putArray("required").add("value");
        tree.put("additionalProperties", false);
        root.putObject("$defs").set("tree", tree);
        return root;
    }

    private ObjectNode schema(int depth, boolean composed) {
        ObjectNode schema = JSON.objectNode();
        switch (random.nextInt(depth == 0 ? 7 : composed ? 13 : 10)) {
            case 0 -> schema.putArray("type").add("null").add("boolean");
            case 1 -> string(schema);
            case 2 -> number(schema, "integer");
            case 3 -> number(schema, "number");
            case 4 ->
                    schema.putArray("enum")
                            .add("x")
                            .add("q\"é")
                            .add(7)
                            .add(1.5)
                            .addNull()
                            .addArray()
                            .add(1);
            case 5 -> schema.put("const", text(3));
            case 6 -> schema.put("$ref", "#/$defs/tree");
            case 7 -> array(schema, depth);
            case 8, 9 -> object(schema, depth);
            case 10 -> {
                ArrayNode branches = schema.putArray("anyOf");
                for (int i = random.nextInt(3); i >= 0; i--) {
                    branches.add(schema(depth - 1, true));
                }
            }
            case 11 -> {
                ArrayNode branches = schema.putArray("oneOf");
                branches.addObject().put("type", "string");
                object(branches.addObject(), depth - 1);
            }
            default -> {
                ArrayNode parts = schema.putArray("allOf");
                object(parts.addObject(), depth);
                ObjectNode second = parts.addObject();
                second.putObject("properties").putObject("name").put("minLength", 1);
            }
        }
        return schema;
    }

    private void string(ObjectNode schema) {
        schema.put("type", "string");
        if (random.nextBoolean()) {
            schema.put("minLength", random.nextInt(3));
            schema.put("maxLength", 3 + random.nextInt(4));
        }
        if (random.nextInt(3) == 0) {
            schema.put(
                    "pattern", List.of("^[a-c]*$", "a", "^\"|é$", "b.?$").get(random.nextInt(4)));
        }
    }

    private void number(ObjectNode schema, String type) {
        schema.put("type", type);
        if (random.nextBoolean()) {
            schema.put(random.nextBoolean() ? "minimum" : "exclusiveMinimum", bound());
        }
        if (random.nextBoolean()) {
            schema.put(random.nextBoolean() ? "maximum" : "exclusiveMaximum", bound());
        }
    }

    private BigDecimal bound() {
        return switch (random.nextInt(4)) {
            case 0 -> BigDecimal.valueOf(random.nextInt(41) - 20);
            case 1 -> BigDecimal.valueOf(random.nextInt(20_001) - 10_000);
            case 2 -> BigDecimal.valueOf(random.nextInt(401) - 200, 1);
            default -> BigDecimal.valueOf(random.nextInt(400_001) - 200_000, 3);
        };
    }

    private void array(ObjectNode schema, int depth) {
        schema.put("type", "array");
        if (random.nextInt(3) > 0) {
            schema.set("items", schema(depth - 1, true));
        }
        if (random.nextInt(3) == 0) {
            schema.putArray("prefixItems")
                    .add(schema(depth - 1, true))
                    .add(schema(depth - 1, true));
        }
        if (random.nextBoolean()) {
            schema.put("minItems", random.nextInt(3));
        }
        if (random.nextBoolean()) {
            schema.put("maxItems", 2 + random.nextInt(3));
        }
    }

    private void object(ObjectNode schema, int depth) {
        schema.put("type", "object");
        ObjectNode properties = schema.putObject("properties");
        ArrayNode required = schema.putArray("required");
        for (String name : NAMES) {
            if (random.nextInt(3) == 0) {
                if (name.equals("name")) {
                    properties.putObject(name).put("type", "string");
                } else {
                    properties.set(name, schema(depth - 1, true));
                }
            }
            if (random.nextInt(5) == 0) {
                required.add(name);
            }
        }
        int additional = random.nextInt(3);
        if (additional == 0) {
            schema.put("additionalProperties", false);
        } else if (additional == 1) {
            schema.putObject("additionalProperties").put("type", "boolean");
        }
    }

    String text(int most) {
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(most + 1); i > 0; i--) {
            text.append(CHARACTERS.get(random.nextInt(CHARACTERS.size())));
        }
        return text.toString();
    }

    /// The document in the spelling that a schema's strings have, with any of the white space that is allowed.
    String written(JsonNode value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private void write(JsonNode value, StringBuilder out) {
        if (value.isObject()) {
            out.append('{').append(space());
            boolean first = true;
            for (var member : value.properties()) {
                out.append(first ? "" : "," + space());
                first = false;
                write(JSON.textNode(member.getKey()), out);
                out.append(random.nextBoolean() ? ":" : ": ");
                write(member.getValue(), out);
            }
            out.append(value.isEmpty() ? "" : space()).append('}');
        } else if (value.isArray()) {
            out.append('[').append(space());
            boolean first = true;
            for (JsonNode item : value) {
                out.append(first ? "" : "," + space());
                first = false;
                write(item, out);
            }
            out.append(value.isEmpty() ? "" : space()).append(']');
        } else {
            out.append(value.isNumber() ? value.decimalValue().toPlainString() : value.toString());
        }
    }

    private String space() {
        return switch (random.nextInt(4)) {
            case 0 -> " ";
            case 1 -> "\n" + " ".repeat(random.nextInt(9));
            default -> "";
        };
    }

    /// A guess at a document of the schema: right more often than not.
    JsonNode guess(JsonNode schema, JsonNode root, int depth) {
        if (schema.has("$ref")) {
            return guess(root.at(schema.get("$ref").textValue().substring(1)), root, depth);
        }
        if (schema.has("const")) {
            return schema.get("const");
        }
        if (schema.has("enum")) {
            return schema.get("enum").get(random.nextInt(schema.get("enum").size()));
        }
        for (String choice : List.of("anyOf", "oneOf")) {
            if (schema.has(choice)) {
                return guess(
                        schema.get(choice).get(random.nextInt(schema.get(choice).size())),
                        root,
                        depth);
            }
        }
        if (schema.has("allOf")) {
            return guess(schema.get("allOf").get(0), root, depth);
        }
        String type = schema.path("type").asText("");
        return switch (type) {
            case "string" -> JSON.textNode(text(5));
            case "integer" -> JSON.numberNode(near(schema).toBigInteger());
            case "number" -> JSON.numberNode(near(schema));
            case "array" -> {
                ArrayNode array = JSON.arrayNode();
                int size = schema.path("minItems").asInt(0) + random.nextInt(depth > 0 ? 3 : 1);
                for (int i = 0; i < size; i++) {
                    JsonNode item =
                            i < schema.path("prefixItems").size()
                                    ? schema.get("prefixItems").get(i)
                                    : schema.path("items");
                    array.add(guess(item, root, depth - 1));
                }
                yield array;
            }
            case "object" -> object(schema, root, depth);
            default ->
                    switch (random.nextInt(5)) {
                        case 0 -> JSON.nullNode();
                        case 1 -> JSON.numberNode(near(schema));
                        case 2 -> JSON.arrayNode().add(text(2));
                        case 3 -> JSON.objectNode().put(text(2), 1);
                        default -> JSON.booleanNode(random.nextBoolean());
                    };
        };
    }

    private JsonNode object(JsonNode schema, JsonNode root, int depth) {
        ObjectNode object = JSON.objectNode();
        List<String> required = new ArrayList<>();
        schema.path("required").forEach(name -> required.add(name.textValue()));
        for (var property : schema.path("properties").properties()) {
            boolean wanted = required.remove(property.getKey());
            if (wanted || (depth > 0 && random.nextBoolean())) {
                object.set(property.getKey(), guess(property.getValue(), root, depth - 1));
            }
        }
        required.forEach(name -> object.put(name, random.nextBoolean()));
        if (random.nextInt(3) == 0) {
            object.put(text(2) + "!", true);
        }
        return object;
    }

    private BigDecimal near(JsonNode schema) {
        BigDecimal[] around = {BigDecimal.ZERO};
        for (String keyword :
                List.of("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")) {
            if (schema.has(keyword) && (around[0].signum() == 0 || random.nextBoolean())) {
                around[0] = schema.get(keyword).decimalValue();
            }
        }
        return switch (random.nextInt(4)) {
            case 0 -> around[0];
            case 1 -> around[0].add(BigDecimal.valueOf(random.nextInt(21) - 10));
            case 2 -> around[0].add(BigDecimal.valueOf(random.nextInt(2001) - 1000, 2));
            default -> BigDecimal.valueOf(random.nextInt(2_000_001) - 1_000_000, random.nextInt(4));
        };
    }
}
