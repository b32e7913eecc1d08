package io.atoll.model.grammar;

import java.util.Arrays;

/// The items of a column under construction, each once, in the order they were added. Reused from column to column.
final class ItemSet {
    private static final int INSERTION_SORT = 40;

    private final int limit;
    private int[] states = new int[64];
    private int[] rules = new int[64];
    private Column[] origins = new Column[64];
    private int[] table = new int[128]; // position + 1 of an item, open addressing; 0 is free
    private int size;

    /// @param limit items of one column
    ItemSet(int limit) {
        this.limit = limit;
    }

    void clear() {
        if (size < table.length / 16) {
            for (int i = 0; i < size; i++) {
                erase(i);
            }
        } else {
            Arrays.fill(table, 0);
        }
        Arrays.fill(origins, 0, size, null);
        size = 0;
    }

    /// Empties the slots that item `i` could have taken.
    private void erase(int i) {
        int slot = slot(states[i], rules[i], origins[i]);
        while (table[slot] != 0) {
            table[slot] = 0;
            slot = (slot + 1) & (table.length - 1);
        }
    }

    int size() {
        return size;
    }

    int state(int i) {
        return states[i];
    }

    int rule(int i) {
        return rules[i];
    }

    Column origin(int i) {
        return origins[i];
    }

    /// @throws GrammarException if there are too many
    void add(int state, int rule, Column origin) {
        int slot = slot(state, rule, origin);
        while (table[slot] != 0) {
            int i = table[slot] - 1;
            if (states[i] == state && rules[i] == rule && origins[i] == origin) {
                return;
            }
            slot = (slot + 1) & (table.length - 1);
        }
        if (size == limit) {
            throw GrammarException.limit("constraint", "open parses", size + 1L, limit);
        }
        if (size == states.length) {
            grow();
            add(state, rule, origin);
            return;
        }
        table[slot] = size + 1;
        states[size] = state;
        rules[size] = rule;
        origins[size++] = origin;
    }

    /// The items as a column, in their order.
    Column toColumn() {
        return new Column(
                0,
                Arrays.copyOf(states, size),
                Arrays.copyOf(rules, size),
                Arrays.copyOf(origins, size),
                false,
                new long[0]);
    }

    /// Sorts positions of items by state, rule and origin.
    void sort(int[] positions, int count) {
        if (count > INSERTION_SORT) {
            Integer[] boxed = new Integer[count];
            for (int i = 0; i < count; i++) {
                boxed[i] = positions[i];
            }
            Arrays.sort(boxed, this::compare);
            for (int i = 0; i < count; i++) {
                positions[i] = boxed[i];
            }
            return;
        }
        for (int i = 1; i < count; i++) {
            int moved = positions[i];
            int at = i;
            while (at > 0 && compare(moved, positions[at - 1]) < 0) {
                positions[at] = positions[at - 1];
                at--;
            }
            positions[at] = moved;
        }
    }

    private int compare(int a, int b) {
        if (states[a] != states[b]) {
            return Integer.compare(states[a], states[b]);
        }
        return rules[a] != rules[b]
                ? Integer.compare(rules[a], rules[b])
                : Integer.compare(origins[a].id(), origins[b].id());
    }

    private int slot(int state, int rule, Column origin) {
        int hash = (state * 0x9E3779B1 + rule) * 0x85EBCA6B + origin.id();
        return (hash ^ (hash >>> 15)) & (table.length - 1);
    }

    private void grow() {
        states = Arrays.copyOf(states, 2 * size);
        rules = Arrays.copyOf(rules, 2 * size);
        origins = Arrays.copyOf(origins, 2 * size);
        table = new int[4 * size];
        for (int i = 0; i < size; i++) {
            int slot = slot(states[i], rules[i], origins[i]);
            while (table[slot] != 0) {
                slot = (slot + 1) & (table.length - 1);
            }
            table[slot] = i + 1;
        }
    }
}
