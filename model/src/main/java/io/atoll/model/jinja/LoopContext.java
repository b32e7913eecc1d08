package io.atoll.model.jinja;

import java.util.List;
import java.util.Optional;
import java.util.function.BiFunction;

/// The variable `loop` inside a `for`.
final class LoopContext implements Function {
    private final Python python;
    private final List<Object> items;
    private final int depth0;
    private final Optional<BiFunction<Object, Integer, String>> recursion;
    private int index0;
    private List<Object> lastChanged = List.of();
    private boolean changedBefore;

    /// A loop over `items`, before its first iteration.
    ///
    /// @param recursion renders the loop's body over other items, one level deeper; only for a `recursive` loop
    LoopContext(
            Python python,
            List<Object> items,
            int depth0,
            Optional<BiFunction<Object, Integer, String>> recursion) {
        this.python = python;
        this.items = items;
        this.depth0 = depth0;
        this.recursion = recursion;
    }

    void moveTo(int index) {
        index0 = index;
    }

    int length() {
        return items.size();
    }

    Object attribute(String name) {
        return switch (name) {
            case "index" -> index0 + 1L;
            case "index0" -> (long) index0;
            case "revindex" -> (long) items.size() - index0;
            case "revindex0" -> items.size() - index0 - 1L;
            case "first" -> index0 == 0;
            case "last" -> index0 == items.size() - 1;
            case "length" -> (long) items.size();
            case "depth" -> depth0 + 1L;
            case "depth0" -> (long) depth0;
            case "previtem" ->
                    index0 > 0
                            ? items.get(index0 - 1)
                            : Undefined.because("there is no previous item");
            case "nextitem" ->
                    index0 < items.size() - 1
                            ? items.get(index0 + 1)
                            : Undefined.because("there is no next item");
            case "cycle" -> (Function) this::cycle;
            case "changed" -> (Function) this::changed;
            default -> Undefined.because("'LoopContext object' has no attribute '" + name + "'");
        };
    }

    private Object cycle(Arguments arguments) {
        List<Object> choices = arguments.positional();
        if (choices.isEmpty()) {
            throw PythonException.typeError("no items for cycling given");
        }
        return choices.get(index0 % choices.size());
    }

    private Object changed(Arguments arguments) {
        boolean changed = !changedBefore || !python.equal(lastChanged, arguments.positional());
        lastChanged = arguments.positional();
        changedBefore = true;
        return changed;
    }

    @Override
    public String type() {
        return "LoopContext";
    }

    @Override
    public Object call(Arguments arguments) {
        if (recursion.isEmpty()) {
            throw PythonException.typeError(
                    "The loop must have the 'recursive' marker to be called recursively.");
        }
        return recursion.get().apply(arguments.bindRequired(1, "iterable")[0], depth0 + 1);
    }
}
