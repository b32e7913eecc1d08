package io.atoll.model.jinja;

/// `namespace(...)`: the one value a template can change, so that a loop can carry something out of itself.
///
/// @param attributes name to value
record Namespace(Dict attributes) {}
