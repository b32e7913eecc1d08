package io.atoll.model.grammar;

import java.util.Arrays;

/// Where the recognition of a text stands, as a set of open parses (a column of Earley's algorithm): each item is a state of the
/// network, the rule it will complete, and the column in which that rule was called. Two texts with the same open parses share one
/// column, so columns are the states of an automaton that is built as it is needed.
///
/// The items never change. The rest is a memo that [Automaton] fills and drops; a reader without its lock sees an entry or none.
final class Column {
    /// An item's origin where it is the column itself, which cannot refer to itself before it exists.
    static final Column SELF = new Column(-1);

    /// Origin of the start rule: whoever completes it has a whole text.
    static final Column ROOT = new Column(-2);

    /// Not a continuation of any text.
    static final Column DEAD = new Column(-3);

    final int[] states;
    final int[] rules;
    final Column[] origins;

    /// Whether the text so far is a whole one.
    final boolean accepting;

    /// The rules that were completed for unknown callers, as [#escape] writes them, ascending: what may follow is known only to
    /// those. Columns with other escapes are others, even where nothing else remains of them.
    final long[] escapes;

    private final int id;
    private final int hash;

    /// Set while the memo is listed with the automaton.
    boolean listed;

    Column[] next;
    Column[] afterRun;
    Column local;
    LocalMask localMask;
    TokenMask mask;

    private Column(int id) {
        this(id, new int[0], new int[0], new Column[0], false, new long[0]);
    }

    Column(int id, int[] states, int[] rules, Column[] origins, boolean accepting, long[] escapes) {
        this.id = id;
        this.states = states;
        this.rules = rules;
        this.origins = origins;
        this.accepting = accepting;
        this.escapes = escapes;
        int h = 31 * Arrays.hashCode(states) + Arrays.hashCode(rules);
        for (Column origin : origins) {
            h = 31 * h + origin.id;
        }
        hash = 2 * (31 * h + Arrays.hashCode(escapes)) + (accepting ? 1 : 0);
    }

    /// A stand-in for a column that is not known, number `index` of several.
    static Column unknown(int index) {
        return new Column(-4 - index);
    }

    boolean isUnknown() {
        return id <= -4;
    }

    /// Orders origins.
    int id() {
        return id;
    }

    /// The column in which item `i`'s rule was called.
    Column origin(int i) {
        return origins[i] == SELF ? this : origins[i];
    }

    /// That a rule was completed which this unknown column had called.
    long escape(int rule) {
        return ((long) rule << 32) | (-4 - id);
    }

    boolean isEscaped() {
        return escapes.length > 0;
    }

    boolean hasItems() {
        return states.length > 0;
    }

    long bytes() {
        return 112 + 16L * states.length + 8L * escapes.length;
    }

    boolean sameAs(Column other) {
        return hash == other.hash
                && accepting == other.accepting
                && Arrays.equals(escapes, other.escapes)
                && Arrays.equals(states, other.states)
                && Arrays.equals(rules, other.rules)
                && sameOrigins(other);
    }

    private boolean sameOrigins(Column other) {
        for (int i = 0; i < origins.length; i++) {
            if (origins[i] != other.origins[i]) {
                return false;
            }
        }
        return true;
    }

    /// A column as a key of the table of columns.
    record Key(Column column) {
        @Override
        public boolean equals(Object other) {
            return other instanceof Key(Column theirs) && column.sameAs(theirs);
        }

        @Override
        public int hashCode() {
            return column.hash;
        }
    }
}
