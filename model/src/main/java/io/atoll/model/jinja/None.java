package io.atoll.model.jinja;

/// Python's `None`, and JSON's null.
enum None {
    NONE
}
