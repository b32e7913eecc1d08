package io.atoll.model.jinja;

import java.util.List;

/// A Python tuple. It differs from a list in how it prints, and the two are never equal.
record Tuple(List<Object> items) {
    static Tuple of(Object... items) {
        return new Tuple(List.of(items));
    }
}
