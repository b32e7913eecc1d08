package io.atoll.model.grammar;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/// Recognises a [ByteNetwork] byte by byte: Earley's algorithm (CACM 13, 1970) over transition networks, with columns that are shared
/// and remembered. So any context-free grammar works, left recursion and ambiguity included, and a step that was taken once costs
/// a look-up. A rule that is called where its caller has nothing more to do completes for its caller, so right recursion does not
/// grow (in the spirit of Leo, TCS 82, 1991); empty rules are passed when they are called (Aycock and Horspool, 2002).
///
/// What is remembered is bounded: beyond the limit all of it is dropped and built again. Results do not depend on it. Safe for use by
/// several threads: remembered steps are read without a lock, columns are built under one.
final class Automaton {
    private static final int MASK_OVERHEAD_BYTES = 64;

    private final ByteNetwork network;
    private final long cacheBytes;
    private final ItemSet items;
    private final TreeSet<Long> escapes = new TreeSet<>(); // of the column under construction
    private final Map<Column.Key, Column> columns = new HashMap<>();
    private final Map<Column.Key, Column> closed = new HashMap<>(); // by the items before closing
    private final List<Column> listed = new ArrayList<>();
    private final List<Column> unknown = new ArrayList<>();
    private final int[] byteOfClass;
    private final Column start;
    private int nextId;
    private long usedBytes;

    Automaton(ByteNetwork network, GrammarLimits limits) {
        this.network = network;
        cacheBytes = limits.cacheBytes();
        items = new ItemSet(limits.items());
        byteOfClass = new int[network.classes()];
        for (int value = 0; value < 256; value++) {
            byteOfClass[network.classOf(value)] = value;
        }
        synchronized (this) {
            items.clear();
            items.add(network.startOf(network.startRule()), network.startRule(), Column.ROOT);
            start = close();
        }
    }

    /// Where the empty text stands.
    Column start() {
        return start;
    }

    /// Where the text stands after one more byte; [Column#DEAD] if no text goes on so.
    Column step(Column column, int value) {
        Column[] next = column.next;
        Column found = next == null ? null : next[network.classOf(value)];
        return found != null ? found : build(column, network.classOf(value));
    }

    Column step(Column column, byte[] bytes, int from) {
        Column at = column;
        for (int i = from; i < bytes.length && at != Column.DEAD; i++) {
            at = step(at, bytes[i] & 0xFF);
        }
        return at;
    }

    /// The column with unknown columns in the place of its callers, and each state's twin in the place of the state: equal for all
    /// places where the innermost rules stand alike as far as one token can tell.
    Column local(Column column) {
        Column local = column.local;
        return local != null ? local : buildLocal(column);
    }

    /// Remembers what may follow a column. Under the lock, as everything that is remembered.
    synchronized void remember(Column column, TokenMask mask) {
        column.mask = mask;
        account(column, mask.bytes() + MASK_OVERHEAD_BYTES);
    }

    synchronized void remember(Column column, LocalMask mask) {
        column.localMask = mask;
        account(column, mask.bytes() + MASK_OVERHEAD_BYTES);
    }

    /// Remembers where the characters of a run lead; see [FreeRuns].
    synchronized void rememberRun(Column column, CharacterRun run, Column next) {
        if (column.afterRun == null) {
            column.afterRun = new Column[CharacterRun.ALL.size()];
            column.afterRun[run.number()] = next;
            account(column, 32);
        } else {
            column.afterRun[run.number()] = next;
        }
    }

    private synchronized Column build(Column column, int byteClass) {
        if (!column.hasItems()) {
            return Column.DEAD;
        }
        int value = byteOfClass[byteClass];
        items.clear();
        for (int i = 0; i < column.states.length; i++) {
            int state = column.states[i];
            for (int e = network.firstByteEdge(state); e < network.firstByteEdge(state + 1); e++) {
                if (network.passes(e, value)) {
                    items.add(network.byteTarget(e), column.rules[i], column.origin(i));
                }
            }
        }
        Column next = items.size() == 0 ? Column.DEAD : closeOnce();
        if (column.next == null) {
            Column[] memo = new Column[network.classes()];
            memo[byteClass] = next;
            column.next = memo;
            account(column, 16 + 4L * memo.length);
        } else {
            column.next[byteClass] = next;
        }
        return next;
    }

    private synchronized Column buildLocal(Column column) {
        List<Column> callers = callers(column);
        items.clear();
        for (int i = 0; i < column.states.length; i++) {
            Column origin = column.origins[i];
            items.add(
                    network.twin(column.states[i]),
                    column.rules[i],
                    origin == Column.SELF ? origin : unknown(callers.indexOf(origin)));
        }
        Column local = close(false, new long[0]);
        column.local = local;
        account(column, 8);
        return local;
    }

    private static List<Column> callers(Column column) {
        List<Column> callers = new ArrayList<>();
        for (Column origin : column.origins) {
            if (origin != Column.SELF && !callers.contains(origin)) {
                callers.add(origin);
            }
        }
        return callers;
    }

    private Column unknown(int index) {
        while (unknown.size() <= index) {
            unknown.add(Column.unknown(unknown.size()));
        }
        return unknown.get(index);
    }

    /// As [#close()], for items that others are often equal to: many bytes lead to the same ones.
    private Column closeOnce() {
        Column.Key begun = new Column.Key(items.toColumn());
        Column known = closed.get(begun);
        if (known == null) {
            known = close();
            closed.put(begun, known);
            account(known, begun.column().bytes());
        }
        return known;
    }

    /// The column of [#items] and all that follows from them without a byte.
    private Column close() {
        boolean accepting = false;
        escapes.clear();
        for (int i = 0; i < items.size(); i++) {
            int state = items.state(i);
            int rule = items.rule(i);
            Column origin = items.origin(i);
            for (int e = network.firstEmpty(state); e < network.firstEmpty(state + 1); e++) {
                items.add(network.emptyTarget(e), rule, origin);
            }
            for (int c = network.firstCall(state); c < network.firstCall(state + 1); c++) {
                call(network.calledRule(c), network.callTarget(c), rule, origin);
            }
            if (network.isEnd(state)) {
                if (origin == Column.ROOT) {
                    accepting = true;
                } else if (origin.isUnknown()) {
                    escapes.add(origin.escape(rule));
                } else if (origin != Column.SELF) {
                    complete(rule, origin);
                }
                // A rule that ends where it began matches nothing, and its caller has passed it
                // already.
            }
        }
        return close(accepting, escapes.stream().mapToLong(Long::longValue).toArray());
    }

    private void call(int called, int target, int rule, Column origin) {
        if (network.isTail(target)) {
            items.add(network.startOf(called), rule, origin);
        } else {
            items.add(network.startOf(called), called, Column.SELF);
        }
        if (network.isNullable(called)) {
            items.add(target, rule, origin);
        }
    }

    private void complete(int rule, Column caller) {
        for (int i = 0; i < caller.states.length; i++) {
            int state = caller.states[i];
            for (int c = network.firstCall(state); c < network.firstCall(state + 1); c++) {
                int target = network.callTarget(c);
                if (network.calledRule(c) == rule && !network.isTail(target)) {
                    items.add(target, caller.rules[i], caller.origin(i));
                }
            }
        }
    }

    /// Keeps the items from which something is still to come and looks the column up.
    private Column close(boolean accepting, long[] escapesOfIt) {
        int[] kept = new int[items.size()];
        int count = 0;
        for (int i = 0; i < items.size(); i++) {
            if (network.hasByteEdge(items.state(i)) || network.hasReturningCall(items.state(i))) {
                kept[count++] = i;
            }
        }
        items.sort(kept, count);
        int[] states = new int[count];
        int[] rules = new int[count];
        Column[] origins = new Column[count];
        for (int i = 0; i < count; i++) {
            states[i] = items.state(kept[i]);
            rules[i] = items.rule(kept[i]);
            origins[i] = items.origin(kept[i]);
        }
        Column candidate = new Column(nextId, states, rules, origins, accepting, escapesOfIt);
        Column known = columns.get(new Column.Key(candidate));
        if (known != null) {
            return known;
        }
        nextId++;
        account(candidate, candidate.bytes());
        columns.put(new Column.Key(candidate), candidate);
        return candidate;
    }

    /// Counts what a column keeps, and forgets everything if it has become too much. Columns that are in use stay whole: only what
    /// can be built again goes.
    private void account(Column column, long bytes) {
        usedBytes += bytes;
        if (!column.listed) {
            column.listed = true;
            listed.add(column);
        }
        if (usedBytes > cacheBytes) {
            for (Column each : listed) {
                each.listed = false;
                each.next = null;
                each.afterRun = null;
                each.local = null;
                each.localMask = null;
                each.mask = null;
            }
            listed.clear();
            columns.clear();
            closed.clear();
            usedBytes = 0;
        }
    }

    synchronized long usedBytes() {
        return usedBytes;
    }
}
