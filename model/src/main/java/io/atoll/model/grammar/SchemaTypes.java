package io.atoll.model.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/// The keyword `type`.
final class SchemaTypes {
    /// The types of JSON Schema. An integer is a number, too.
    enum Type {
        NULL,
        BOOLEAN,
        INTEGER,
        NUMBER,
        STRING,
        ARRAY,
        OBJECT;

        String word() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private SchemaTypes() {}

    /// The types that all parts allow. `NUMBER` never stands without `INTEGER`.
    static Set<Type> of(List<SchemaPart> parts) {
        Set<Type> types = EnumSet.allOf(Type.class);
        for (SchemaPart part : parts) {
            if (part.node().isBoolean()) {
                return EnumSet.noneOf(Type.class);
            }
            if (part.has("type")) {
                types.retainAll(of(part.at("type")));
            }
        }
        return types;
    }

    private static Set<Type> of(SchemaPart type) {
        List<SchemaPart> names = new ArrayList<>();
        if (type.node().isArray()) {
            for (int i = 0; i < type.node().size(); i++) {
                names.add(type.at(i));
            }
        } else {
            names.add(type);
        }
        Set<Type> types = EnumSet.noneOf(Type.class);
        for (SchemaPart name : names) {
            types.add(one(name));
        }
        if (types.isEmpty()) {
            throw type.syntax("must name a type");
        }
        if (types.contains(Type.NUMBER)) {
            types.add(Type.INTEGER);
        }
        return types;
    }

    private static Type one(SchemaPart name) {
        for (Type type : Type.values()) {
            if (name.node().isTextual() && name.node().textValue().equals(type.word())) {
                return type;
            }
        }
        throw name.syntax("no such type: " + SchemaPart.shown(name.node()));
    }

    /// Whether a value is of one of the types.
    static boolean allow(Set<Type> types, JsonNode value) {
        return switch (value.getNodeType()) {
            case NULL -> types.contains(Type.NULL);
            case BOOLEAN -> types.contains(Type.BOOLEAN);
            case STRING -> types.contains(Type.STRING);
            case ARRAY -> types.contains(Type.ARRAY);
            case OBJECT -> types.contains(Type.OBJECT);
            case NUMBER ->
                    types.contains(Type.NUMBER)
                            || (types.contains(Type.INTEGER) && isWhole(value.decimalValue()));
            case BINARY, MISSING, POJO -> false;
        };
    }

    private static boolean isWhole(BigDecimal number) {
        return number.signum() == 0 || number.stripTrailingZeros().scale() <= 0;
    }
}
