package io.atoll.model.grammar;

/// A constraint cannot be used, and why. The message names the place and the value, and is meant for whoever sent it.
public final class GrammarException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /// What is wrong with the constraint.
    public enum Kind {
        /// It is not well formed.
        SYNTAX,
        /// It is well formed and uses something that is not offered.
        UNSUPPORTED,
        /// It needs more memory or time than [GrammarLimits] grants.
        LIMIT,
        /// No text satisfies it.
        UNSATISFIABLE
    }

    private final Kind kind;
    private final String where;

    /// @param where a JSON pointer such as `#/properties/name`, a line and column, or an offset
    GrammarException(Kind kind, String where, String problem) {
        super(where + ": " + problem);
        this.kind = kind;
        this.where = where;
    }

    /// What is wrong with the constraint.
    public Kind kind() {
        return kind;
    }

    /// The place in the constraint.
    public String where() {
        return where;
    }

    static GrammarException limit(String where, String what, long needed, long allowed) {
        return new GrammarException(
                Kind.LIMIT, where, what + ": needs " + needed + ", at most " + allowed);
    }
}
