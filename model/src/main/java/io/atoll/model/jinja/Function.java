package io.atoll.model.jinja;

/// Something a template can call.
interface Function {
    /// How Python would name its type in an error.
    default String type() {
        return "builtin_function_or_method";
    }

    Object call(Arguments arguments);
}
