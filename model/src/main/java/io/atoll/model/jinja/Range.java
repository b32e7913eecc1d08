package io.atoll.model.jinja;

import java.util.AbstractList;

/// Python's `range`: a sequence that is computed, not stored.
final class Range extends AbstractList<Object> {
    /// The longest range Jinja2's sandbox makes.
    static final int MAX_LENGTH = 100_000;

    private final long start;
    private final long stop;
    private final long step;
    private final int size;

    Range(long start, long stop, long step) {
        if (step == 0) {
            throw PythonException.valueError("range() arg 3 must not be zero");
        }
        double span = step > 0 ? (double) stop - start : (double) start - stop;
        double count = Math.max(0, Math.ceil(span / Math.abs((double) step)));
        if (count > MAX_LENGTH) {
            throw PythonException.overLimit("range too big: at most " + MAX_LENGTH + " items");
        }
        this.start = start;
        this.stop = stop;
        this.step = step;
        this.size = (int) count;
    }

    @Override
    public Object get(int index) {
        return start + index * step;
    }

    @Override
    public int size() {
        return size;
    }

    Range slice(int from, int to, int stride) {
        return new Range(start + from * step, start + to * step, step * stride);
    }

    String repr() {
        return "range(" + start + ", " + stop + (step == 1 ? "" : ", " + step) + ")";
    }
}
