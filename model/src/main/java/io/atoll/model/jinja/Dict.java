package io.atoll.model.jinja;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// A Python dict: keeps the order of insertion, and `1`, `1.0` and `True` are one key.
final class Dict {
    /// One key and its value.
    ///
    /// @param key the key as it was first given, which is how it prints
    record Entry(Object key, Object value) {}

    private final Map<Object, Entry> entries;

    Dict() {
        this(new LinkedHashMap<>());
    }

    private Dict(Map<Object, Entry> entries) {
        this.entries = entries;
    }

    Dict copy() {
        return new Dict(new LinkedHashMap<>(entries));
    }

    void put(Object key, Object value) {
        entries.compute(hashable(key), (_, old) -> new Entry(old == null ? key : old.key(), value));
    }

    boolean contains(Object key) {
        return entries.containsKey(hashable(key));
    }

    Object getOrDefault(Object key, Object missing) {
        Entry entry = entries.get(hashable(key));
        return entry == null ? missing : entry.value();
    }

    int size() {
        return entries.size();
    }

    Collection<Entry> entries() {
        return entries.values();
    }

    List<Object> keys() {
        List<Object> keys = new ArrayList<>(entries.size());
        entries.values().forEach(entry -> keys.add(entry.key()));
        return keys;
    }

    List<Object> values() {
        List<Object> values = new ArrayList<>(entries.size());
        entries.values().forEach(entry -> values.add(entry.value()));
        return values;
    }

    List<Object> items() {
        List<Object> items = new ArrayList<>(entries.size());
        entries.values().forEach(entry -> items.add(Tuple.of(entry.key(), entry.value())));
        return items;
    }

    /// The form of a value that Java compares as Python does.
    static Object hashable(Object key) {
        return switch (key) {
            case Boolean b -> b ? 1L : 0L;
            case Double d when d == Math.rint(d) && Math.abs(d) < 0x1p63 -> (long) (double) d;
            case Double d when d == Math.rint(d) && !Double.isInfinite(d) ->
                    new java.math.BigDecimal(d).toBigInteger();
            case Long _, Double _, BigInteger _, String _, None _ -> key;
            case Markup markup -> markup.text();
            case Undefined _ -> Undefined.class;
            case Tuple tuple -> tuple.items().stream().map(Dict::hashable).toList();
            case Range _, Dict _, List<?> _ ->
                    throw PythonException.typeError(
                            "unhashable type: '" + Python.typeName(key) + "'");
            default -> key;
        };
    }
}
