package io.atoll.model.jinja;

import java.util.List;

/// What `keys()`, `values()` and `items()` of a dict return: it has a length and can be iterated, but not indexed.
///
/// @param type Python's name for it: `dict_keys`, `dict_values` or `dict_items`
record DictView(String type, List<Object> items) {}
