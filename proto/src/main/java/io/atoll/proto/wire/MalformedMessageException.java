package io.atoll.proto.wire;

/// Bytes from a peer that do not parse, contradict themselves or are not what this stream agreed on.
public final class MalformedMessageException extends Exception {
    private static final long serialVersionUID = 1L;

    private final String field;

    /// @param field the field that is wrong, as a path: `hidden.buffer`, `routes.offsets[3]`
    /// @param problem its value and what it should have been
    public MalformedMessageException(String field, String problem) {
        super(field + ": " + problem);
        this.field = field;
    }

    /// The field that is wrong.
    public String field() {
        return field;
    }
}
