package io.atoll.model.chat;

import java.math.BigDecimal;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/// The types that a parameter's JSON schema allows.
enum ArgumentType {
    NULL,
    INTEGER,
    NUMBER,
    BOOLEAN,
    OBJECT,
    ARRAY,
    STRING,
    /// A name that JSON schema does not have.
    UNKNOWN;

    /// A schema that says nothing allows text.
    static final Set<ArgumentType> TEXT = Set.of(STRING);

    private static final int MAX_DEPTH = 32;
    private static final String LOCAL = "#/";

    /// The types of `type`, `enum`, `anyOf`, `oneOf` and `allOf`, and of what a `$ref` into the same schema names.
    ///
    /// @param schema of the parameter; what is no map says nothing
    /// @param root of the whole schema, for references
    static Set<ArgumentType> of(Object schema, Map<?, ?> root) {
        EnumSet<ArgumentType> types = EnumSet.noneOf(ArgumentType.class);
        collect(schema, root, types, MAX_DEPTH);
        return types;
    }

    private static void collect(Object schema, Map<?, ?> root, Set<ArgumentType> types, int depth) {
        EnumSet<ArgumentType> found = EnumSet.noneOf(ArgumentType.class);
        if (depth > 0 && schema instanceof Map<?, ?> fields) {
            listOf(fields.get("type")).forEach(name -> found.add(named(name)));
            if (fields.get("enum") instanceof Collection<?> values) {
                values.forEach(value -> found.add(ofValue(value)));
            }
            for (String key : List.of("anyOf", "oneOf", "allOf")) {
                if (fields.get(key) instanceof Collection<?> choices) {
                    choices.forEach(choice -> collect(choice, root, found, depth - 1));
                }
            }
            if (fields.get("$ref") instanceof String reference && reference.startsWith(LOCAL)) {
                collect(resolve(reference, root), root, found, depth - 1);
            }
        }
        types.addAll(found.isEmpty() ? TEXT : found);
    }

    private static Collection<?> listOf(Object value) {
        if (value instanceof Collection<?> several) {
            return several;
        }
        return value == null ? List.of() : List.of(value);
    }

    private static ArgumentType named(Object name) {
        String wanted = String.valueOf(name).toUpperCase(Locale.ROOT);
        for (ArgumentType type : values()) {
            if (type.name().equals(wanted)) {
                return type;
            }
        }
        return UNKNOWN;
    }

    private static ArgumentType ofValue(Object value) {
        return switch (value) {
            case null -> NULL;
            case Boolean _ -> BOOLEAN;
            case String _ -> STRING;
            case Double _, Float _, BigDecimal _ -> NUMBER;
            case Number _ -> INTEGER;
            case Collection<?> _ -> ARRAY;
            default -> OBJECT;
        };
    }

    private static Object resolve(String reference, Map<?, ?> root) {
        Object at = root;
        for (String step : reference.substring(LOCAL.length()).split("/", -1)) {
            String key = step.replace("~1", "/").replace("~0", "~");
            at = at instanceof Map<?, ?> fields ? fields.get(key) : null;
        }
        return at;
    }
}
