package io.atoll.proto;

/// A failing machine or a refused request, as a value: what went wrong and the values that say where.
///
/// @param code its row in the table
/// @param message one line for people, with values: `no live replica: layer=12 expert=301 tried=[w2, w5]`
public record Failure(ErrorCode code, String message) {
    @Override
    public String toString() {
        return code + ": " + message;
    }
}
