package io.atoll.model.grammar;

/// Finds where a constraint cannot tell the characters of a [CharacterRun] apart, so that all tokens made of them are allowed
/// without looking at each.
final class FreeRuns {
    private final Automaton automaton;

    FreeRuns(Automaton automaton) {
        this.automaton = automaton;
    }

    /// Whether any characters of the run may follow the column, `length` of them. May say no for a long run if it takes long to
    /// find out: in a bounded string each place is another column.
    boolean allow(Column column, CharacterRun run, int length) {
        Column at = column;
        for (int i = 0; i < length; i++) {
            if (i == TokenTrie.SHORT_RUN) {
                return false;
            }
            Column next = next(at, run);
            if (next == Column.DEAD) {
                return false;
            }
            if (next == at) {
                return true;
            }
            at = next;
        }
        return true;
    }

    /// The one column to which every character of the run leads; [Column#DEAD] if they lead to several or some lead nowhere.
    private Column next(Column column, CharacterRun run) {
        Column[] memo = column.afterRun;
        if (memo != null && memo[run.number()] != null) {
            return memo[run.number()];
        }
        Column target = automaton.step(column, 'a');
        Column next =
                target != Column.DEAD && allLeadTo(target, column, run) ? target : Column.DEAD;
        automaton.rememberRun(column, run, next);
        return next;
    }

    private boolean allLeadTo(Column target, Column column, CharacterRun run) {
        CodePoints set = run.characters();
        boolean[] all = {true};
        for (int range = 0; range < set.ranges() && all[0]; range++) {
            Utf8Ranges.split(
                    set.first(range),
                    set.last(range),
                    (low, high, length) ->
                            all[0] = all[0] && lead(target, column, low, high, 0, length));
        }
        return all[0];
    }

    private boolean lead(Column target, Column from, int[] low, int[] high, int at, int length) {
        Column checked = Column.DEAD;
        for (int value = low[at]; value <= high[at]; value++) {
            Column next = automaton.step(from, value);
            if (at == length - 1 ? next != target : next == Column.DEAD) {
                return false;
            }
            if (at < length - 1 && next != checked) {
                if (!lead(target, next, low, high, at + 1, length)) {
                    return false;
                }
                checked = next;
            }
        }
        return true;
    }
}
