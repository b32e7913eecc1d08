package io.atoll.model.jinja;

import java.util.Iterator;

/// A lazy sequence, as the filters `map`, `select` and `items` return: always true, without a length, and used up by the
/// first walk over it.
///
/// @param items yields each element once
record Generator(Iterator<Object> items) {}
