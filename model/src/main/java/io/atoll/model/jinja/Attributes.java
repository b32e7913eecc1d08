package io.atoll.model.jinja;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// `value.name` and `value[index]`.
///
/// The first looks for a method and then for a key, the second the other way round, so `schema.items` is a method even where
/// the schema has such a key. Methods that would change a value are hidden, as the sandbox that chat templates run in hides
/// them.
final class Attributes {
    private static final Set<String> DICT_CHANGES =
            Set.of("clear", "pop", "popitem", "setdefault", "update");
    private static final Set<String> LIST_CHANGES =
            Set.of("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort");
    private static final Set<String> OBJECT_INTERNALS =
            Set.of(
                    "__class__",
                    "__doc__",
                    "__dir__",
                    "__eq__",
                    "__format__",
                    "__getattribute__",
                    "__hash__",
                    "__init__",
                    "__module__",
                    "__new__",
                    "__reduce__",
                    "__repr__",
                    "__setattr__",
                    "__sizeof__",
                    "__str__",
                    "__subclasshook__");

    private final Python python;
    private final StringMethods strings;

    Attributes(Python python) {
        this.python = python;
        this.strings = new StringMethods(python);
    }

    Object attribute(Object target, String name) {
        Optional<Object> own = own(target, name);
        if (own.isPresent()) {
            return own.get();
        }
        return target instanceof Dict dict
                ? dict.getOrDefault(name, missing(target, name))
                : missing(target, name);
    }

    Object item(Object target, Object index) {
        if (target instanceof Undefined undefined) {
            throw undefined.failure();
        }
        Optional<Object> element = element(target, index);
        if (element.isPresent()) {
            return element.get();
        }
        if (Python.isString(index)) {
            String name = Python.chars(index);
            return own(target, name).orElseGet(() -> missing(target, name));
        }
        return Undefined.because(
                Python.typeName(target) + " object has no element " + python.repr(index));
    }

    private Optional<Object> element(Object target, Object index) {
        if (target instanceof Dict dict) {
            return index instanceof List<?> || index instanceof Dict
                    ? Optional.empty()
                    : Optional.ofNullable(dict.getOrDefault(index, null));
        }
        if (!Numbers.isInteger(index)) {
            return Optional.empty();
        }
        long i = Numbers.index(index, "index");
        if (Python.isString(target)) {
            String text = Python.chars(target);
            int size = Text.length(text);
            long at = i < 0 ? i + size : i;
            return at < 0 || at >= size
                    ? Optional.empty()
                    : Optional.of(
                            Python.remark(
                                    target, Text.slice(text, size, (int) at, (int) at + 1, 1)));
        }
        List<Object> items =
                switch (target) {
                    case List<?> list -> Python.list(list);
                    case Tuple(var elements) -> elements;
                    default -> List.of();
                };
        long at = i < 0 ? i + items.size() : i;
        return at < 0 || at >= items.size() ? Optional.empty() : Optional.of(items.get((int) at));
    }

    private static Undefined missing(Object target, String name) {
        String owner = target == None.NONE ? "None" : Python.typeName(target) + " object";
        return Undefined.because("'" + owner + "' has no attribute '" + name + "'");
    }

    /// What the value itself has under that name, its elements aside.
    private Optional<Object> own(Object target, String name) {
        if (target instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (OBJECT_INTERNALS.contains(name)) {
            return Optional.of(Undefined.unsafe(name, Python.typeName(target)));
        }
        return switch (target) {
            case String _, Markup _ ->
                    StringMethods.exists(name)
                            ? method(arguments -> strings.call(target, name, arguments))
                            : Optional.empty();
            case Dict dict -> dictMethod(dict, name);
            case Range _ -> Optional.empty();
            case List<?> list ->
                    LIST_CHANGES.contains(name)
                            ? Optional.of(Undefined.unsafe(name, "list"))
                            : sequenceMethod(Python.list(list), name, true);
            case Tuple(var items) -> sequenceMethod(items, name, false);
            case Namespace(var attributes) ->
                    Optional.ofNullable(attributes.getOrDefault(name, null));
            case LoopContext loop -> Optional.of(loop.attribute(name));
            default -> Optional.empty();
        };
    }

    private static Optional<Object> method(Function function) {
        return Optional.of(function);
    }

    private Optional<Object> dictMethod(Dict dict, String name) {
        if (DICT_CHANGES.contains(name)) {
            return Optional.of(Undefined.unsafe(name, "dict"));
        }
        return switch (name) {
            case "get" ->
                    method(
                            arguments -> {
                                if (!arguments.keywords().isEmpty()) {
                                    throw PythonException.typeError(
                                            "dict.get() takes no keyword arguments");
                                }
                                Object[] given = arguments.bindRequired(1, "key", "default");
                                return dict.getOrDefault(
                                        given[0], given[1] == null ? None.NONE : given[1]);
                            });
            case "items" -> method(arguments -> view(arguments, "dict_items", dict.items()));
            case "keys" -> method(arguments -> view(arguments, "dict_keys", dict.keys()));
            case "values" -> method(arguments -> view(arguments, "dict_values", dict.values()));
            case "copy" ->
                    method(
                            arguments -> {
                                arguments.none();
                                python.budget().steps(dict.size());
                                return dict.copy();
                            });
            default -> Optional.empty();
        };
    }

    private DictView view(Arguments arguments, String type, List<Object> items) {
        arguments.none();
        python.budget().steps(items.size());
        return new DictView(type, items);
    }

    private Optional<Object> sequenceMethod(List<Object> items, String name, boolean list) {
        return switch (name) {
            case "index" ->
                    method(
                            arguments -> {
                                Object wanted = arguments.bindRequired(1, "value")[0];
                                for (int i = 0; i < items.size(); i++) {
                                    if (python.equal(items.get(i), wanted)) {
                                        return (long) i;
                                    }
                                }
                                throw PythonException.valueError(
                                        python.repr(wanted) + " is not in list");
                            });
            case "count" ->
                    method(
                            arguments -> {
                                Object wanted = arguments.bindRequired(1, "value")[0];
                                return items.stream()
                                        .filter(item -> python.equal(item, wanted))
                                        .count();
                            });
            case "copy" ->
                    list
                            ? method(
                                    arguments -> {
                                        arguments.none();
                                        return items;
                                    })
                            : Optional.empty();
            default -> Optional.empty();
        };
    }

    /// The functions every template can call, apart from those that need the interpreter.
    static Map<String, Function> functions(Python python) {
        return Map.of(
                "range", arguments -> range(arguments),
                "dict", arguments -> dict(python, arguments),
                "namespace", arguments -> new Namespace(dict(python, arguments)),
                "raise_exception",
                        arguments -> {
                            throw PythonException.raised(
                                    python.str(arguments.bindRequired(1, "message")[0]));
                        });
    }

    private static Range range(Arguments arguments) {
        List<Object> given = arguments.positional();
        if (given.isEmpty() || given.size() > 3 || !arguments.keywords().isEmpty()) {
            throw PythonException.typeError("range expected 1 to 3 arguments, got " + given.size());
        }
        long first = Numbers.index(given.getFirst(), "range argument");
        return given.size() == 1
                ? new Range(0, first, 1)
                : new Range(
                        first,
                        Numbers.index(given.get(1), "range argument"),
                        given.size() == 2 ? 1 : Numbers.index(given.get(2), "range argument"));
    }

    /// `dict(mapping_or_pairs, **keywords)`.
    private static Dict dict(Python python, Arguments arguments) {
        Dict dict = new Dict();
        if (arguments.positional().size() > 1) {
            throw PythonException.typeError(
                    "dict expected at most 1 argument, got " + arguments.positional().size());
        }
        for (Object source : arguments.positional()) {
            if (source instanceof Dict other) {
                other.entries().forEach(entry -> dict.put(entry.key(), entry.value()));
                continue;
            }
            for (Object pair : python.items(source)) {
                List<Object> parts = python.items(pair);
                if (parts.size() != 2) {
                    throw PythonException.valueError(
                            "dictionary update sequence element has length "
                                    + parts.size()
                                    + "; 2 is required");
                }
                dict.put(parts.get(0), parts.get(1));
            }
        }
        arguments.keywords().forEach(dict::put);
        python.budget().steps(dict.size());
        return dict;
    }
}
