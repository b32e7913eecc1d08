package io.atoll.model.jinja;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Turns what callers have into the values of the language.
final class Values {
    private static final int MAX_DEPTH = 500;

    private Values() {}

    static Object of(Object value) {
        return of(value, 0);
    }

    private static Object of(Object value, int depth) {
        if (depth > MAX_DEPTH) {
            throw TemplateException.badVariables(
                    "LimitExceeded: a variable is nested deeper than " + MAX_DEPTH);
        }
        return switch (value) {
            case null -> None.NONE;
            case Boolean _, String _, Long _, Double _ -> value;
            case Integer i -> (long) i;
            case Short s -> (long) s;
            case Byte b -> (long) b;
            case Float f -> (double) f;
            case BigInteger b -> big(b);
            case BigDecimal d -> d.doubleValue();
            case Optional<?> optional -> of(optional.orElse(null), depth);
            case Map<?, ?> map -> {
                Dict dict = new Dict();
                map.forEach((key, item) -> dict.put(of(key, depth + 1), of(item, depth + 1)));
                yield dict;
            }
            case JsonNode node -> json(node, depth);
            case Iterable<?> items -> {
                List<Object> list = new ArrayList<>();
                items.forEach(item -> list.add(of(item, depth + 1)));
                yield list;
            }
            default ->
                    throw new IllegalArgumentException(
                            "a template variable cannot hold a " + value.getClass().getName());
        };
    }

    private static Object big(BigInteger value) {
        try {
            return Numbers.integer(value);
        } catch (PythonException e) {
            throw TemplateException.badVariables(e.getMessage());
        }
    }

    private static Object json(JsonNode node, int depth) {
        return switch (node.getNodeType()) {
            case NULL, MISSING -> None.NONE;
            case BOOLEAN -> node.booleanValue();
            case STRING -> node.textValue();
            case NUMBER ->
                    node.isIntegralNumber()
                            ? big(node.bigIntegerValue())
                            : (Object) node.doubleValue();
            case ARRAY -> {
                List<Object> list = new ArrayList<>(node.size());
                node.forEach(item -> list.add(of(item, depth + 1)));
                yield list;
            }
            case OBJECT -> {
                Dict dict = new Dict();
                node.properties()
                        .forEach(
                                field -> dict.put(field.getKey(), of(field.getValue(), depth + 1)));
                yield dict;
            }
            case BINARY, POJO ->
                    throw new IllegalArgumentException(
                            "a template variable cannot hold a JSON node of type "
                                    + node.getNodeType());
        };
    }
}
