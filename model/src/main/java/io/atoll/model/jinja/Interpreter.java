package io.atoll.model.jinja;

import java.time.Clock;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// One rendering: walks the statements of a template, writes its output and counts what that takes.
final class Interpreter {
    /// How a statement ended, for the loops around it.
    private enum Flow {
        NEXT,
        BREAK,
        CONTINUE
    }

    private final Budget budget;
    private final Python python;
    private final Operators operators;
    private final Attributes attributes;
    private final Tests tests;
    private final Filters filters;
    private StringBuilder out = new StringBuilder();
    private int line = 1;

    Interpreter(TemplateLimits limits) {
        budget = new Budget(limits);
        python = new Python(budget);
        operators = new Operators(python);
        attributes = new Attributes(python);
        tests = new Tests(python);
        filters = new Filters(python, attributes, tests);
    }

    String render(List<Stmt> template, Map<String, ?> variables, Clock clock) {
        Scope globals = new Scope(Optional.empty());
        Attributes.functions(python).forEach(globals::set);
        globals.set("strftime_now", (Function) arguments -> now(clock, arguments));
        variables.forEach((name, value) -> globals.set(name, Values.of(value)));
        try {
            body(template, globals.inner());
        } catch (PythonException e) {
            throw e.at(line);
        } catch (StackOverflowError e) {
            // The depth limit is meant to come first; a caller's thread may have less stack than it
            // allows for.
            throw TemplateException.engine(
                    line, "LimitExceeded: nested too deeply for this thread's stack");
        }
        return out.toString();
    }

    private static String now(Clock clock, Arguments arguments) {
        String format = Python.requireString(arguments.bindRequired(1, "format")[0], "format");
        return DateFormat.format(ZonedDateTime.now(clock), format);
    }

    // ---- statements

    private Flow body(List<Stmt> body, Scope scope) {
        budget.enter();
        Flow flow = Flow.NEXT;
        for (Stmt statement : body) {
            flow = execute(statement, scope);
            if (flow != Flow.NEXT) {
                break;
            }
        }
        budget.leave();
        return flow;
    }

    private Flow execute(Stmt statement, Scope scope) {
        budget.step();
        switch (statement) {
            case Stmt.Data(var text) -> write(text);
            case Stmt.Print(var value) -> write(python.str(evaluate(value, scope)));
            case Stmt.If(var branches, var otherwise) -> {
                for (Stmt.Branch branch : branches) {
                    if (Python.truth(evaluate(branch.condition(), scope))) {
                        return body(branch.body(), scope);
                    }
                }
                return body(otherwise, scope);
            }
            case Stmt.For loop -> {
                line = loop.line();
                return loop(loop, python.iterate(evaluate(loop.iterable(), scope)), 0, scope);
            }
            case Stmt.Set(int at, var target, var value) ->
                    assign(target, evaluate(value, scope), at, scope, scope);
            case Stmt.SetBlock block -> {
                StringBuilder outer = redirect();
                Flow flow = body(block.body(), scope.inner());
                Object text = captured(outer);
                if (flow != Flow.NEXT) {
                    return flow;
                }
                if (block.filter().isPresent()) {
                    text = filterText(block.filter().get(), text, scope);
                }
                assign(block.target(), text, block.line(), scope, scope);
            }
            case Stmt.With(int at, var bindings, var body) -> {
                Scope inner = scope.inner();
                for (Stmt.Binding binding : bindings) {
                    assign(binding.target(), evaluate(binding.value(), scope), at, inner, scope);
                }
                return body(body, inner);
            }
            case Stmt.MacroDefinition macro ->
                    scope.set(
                            macro.name(),
                            new Macro(macro.name(), macro.signature(), macro.body(), scope));
            case Stmt.CallBlock block -> {
                Macro caller = new Macro("caller", block.signature(), block.body(), scope);
                Object target = evaluate(block.call().target(), scope);
                Arguments arguments = arguments("call", block.call().arguments(), scope);
                arguments.keywords().put("caller", caller);
                line = block.line();
                write(python.str(call(target, arguments)));
            }
            case Stmt.FilterBlock(_, var filter, var body) -> {
                StringBuilder outer = redirect();
                Flow flow = body(body, scope.inner());
                String text = captured(outer);
                if (flow != Flow.NEXT) {
                    return flow;
                }
                write(python.str(filterText(filter, text, scope)));
            }
            case Stmt.Generation(var body) -> {
                return body(body, scope.inner());
            }
            case Stmt.Break _ -> {
                return Flow.BREAK;
            }
            case Stmt.Continue _ -> {
                return Flow.CONTINUE;
            }
        }
        return Flow.NEXT;
    }

    private void write(String text) {
        budget.output(out.length() + (long) text.length());
        budget.text(text.length());
        out.append(text);
    }

    /// Collects the output that follows apart, until [#captured].
    private StringBuilder redirect() {
        StringBuilder outer = out;
        out = new StringBuilder();
        return outer;
    }

    private String captured(StringBuilder outer) {
        String text = out.toString();
        out = outer;
        return budget.made(text);
    }

    private Flow loop(Stmt.For loop, Iterator<Object> source, int depth, Scope scope) {
        List<Object> items = chosen(loop, source, scope);
        if (items.isEmpty()) {
            return body(loop.otherwise(), scope.inner());
        }
        LoopContext context =
                new LoopContext(
                        python,
                        items,
                        depth,
                        loop.recursive()
                                ? Optional.of((inner, level) -> recurse(loop, inner, level, scope))
                                : Optional.empty());
        for (int i = 0; i < items.size(); i++) {
            budget.step();
            context.moveTo(i);
            Scope iteration = scope.inner();
            iteration.set("loop", context);
            assign(loop.target(), items.get(i), loop.line(), iteration, scope);
            if (body(loop.body(), iteration) == Flow.BREAK) {
                break;
            }
        }
        return Flow.NEXT;
    }

    private List<Object> chosen(Stmt.For loop, Iterator<Object> source, Scope scope) {
        List<Object> items = new ArrayList<>();
        while (source.hasNext()) {
            budget.step();
            Object item = source.next();
            if (loop.condition().isPresent()) {
                Scope candidate = scope.inner();
                assign(loop.target(), item, loop.line(), candidate, scope);
                if (!Python.truth(evaluate(loop.condition().get(), candidate))) {
                    continue;
                }
            }
            items.add(item);
        }
        return items;
    }

    private String recurse(Stmt.For loop, Object items, int depth, Scope scope) {
        StringBuilder outer = redirect();
        loop(loop, python.iterate(items), depth, scope);
        return captured(outer);
    }

    /// Assigns `value`, taken apart if there are several targets.
    ///
    /// @param names where names are set
    /// @param readFrom where a namespace to write to is looked up
    private void assign(Stmt.Target target, Object value, int at, Scope names, Scope readFrom) {
        switch (target) {
            case Stmt.Target.Name(var name) -> names.set(name, value);
            case Stmt.Target.NamespaceAttribute(var name, var attribute) -> {
                line = at;
                if (!(readFrom.get(name) instanceof Namespace namespace)) {
                    throw PythonException.runtimeError(
                            "cannot assign attribute on non-namespace object");
                }
                namespace.attributes().put(attribute, value);
            }
            case Stmt.Target.Several(var targets) -> {
                line = at;
                if (!Python.isIterable(value)) {
                    throw PythonException.typeError(
                            "cannot unpack non-iterable " + Python.typeName(value) + " object");
                }
                List<Object> parts = python.items(value);
                if (parts.size() != targets.size()) {
                    throw PythonException.valueError(
                            parts.size() > targets.size()
                                    ? "too many values to unpack (expected " + targets.size() + ")"
                                    : "not enough values to unpack (expected "
                                            + targets.size()
                                            + ", got "
                                            + parts.size()
                                            + ")");
                }
                for (int i = 0; i < targets.size(); i++) {
                    assign(targets.get(i), parts.get(i), at, names, readFrom);
                }
            }
        }
    }

    /// A macro together with the scope it was defined in.
    private final class Macro implements Function {
        private final String name;
        private final Stmt.Signature signature;
        private final List<Stmt> body;
        private final Scope definition;

        Macro(String name, Stmt.Signature signature, List<Stmt> body, Scope definition) {
            this.name = name;
            this.signature = signature;
            this.body = body;
            this.definition = definition;
        }

        @Override
        public String type() {
            return "Macro";
        }

        @Override
        public Object call(Arguments arguments) {
            Scope scope = definition.inner();
            List<Stmt.Parameter> parameters = signature.parameters();
            List<Object> positional = arguments.positional();
            Map<String, Object> keywords = new LinkedHashMap<>(arguments.keywords());
            for (int i = 0; i < parameters.size(); i++) {
                String parameter = parameters.get(i).name();
                Object given =
                        i < positional.size() ? positional.get(i) : keywords.remove(parameter);
                if (given == null) {
                    Optional<Expr> fallback = parameters.get(i).defaultValue();
                    given =
                            fallback.isPresent()
                                    ? evaluate(fallback.get(), scope)
                                    : Undefined.because(
                                            "parameter '" + parameter + "' was not provided");
                }
                scope.set(parameter, given);
            }
            if (signature.usesCaller()
                    && parameters.stream().noneMatch(p -> p.name().equals("caller"))) {
                Object caller = keywords.remove("caller");
                scope.set(
                        "caller", caller == null ? Undefined.because("No caller defined") : caller);
            }
            surplus(positional, keywords, scope);
            StringBuilder outer = redirect();
            Interpreter.this.body(body, scope);
            return captured(outer);
        }

        private void surplus(List<Object> positional, Map<String, Object> keywords, Scope scope) {
            int expected = signature.parameters().size();
            if (signature.usesKwargs()) {
                Dict kwargs = new Dict();
                keywords.forEach(kwargs::put);
                scope.set("kwargs", kwargs);
            } else if (!keywords.isEmpty()) {
                throw PythonException.typeError(
                        "macro '"
                                + name
                                + "' takes no keyword argument '"
                                + keywords.keySet().iterator().next()
                                + "'");
            }
            if (signature.usesVarargs()) {
                scope.set(
                        "varargs",
                        new Tuple(
                                positional.subList(
                                        Math.min(expected, positional.size()), positional.size())));
            } else if (positional.size() > expected) {
                throw PythonException.typeError(
                        "macro '" + name + "' takes not more than " + expected + " argument(s)");
            }
        }
    }

    // ---- expressions

    private Object evaluate(Expr expression, Scope scope) {
        budget.enter();
        line = expression.line();
        Object value =
                switch (expression) {
                    case Expr.Constant(_, var constant) -> constant;
                    case Expr.Name(_, var name) -> scope.get(name);
                    case Expr.ListOf(_, var items) -> evaluateAll(items, scope);
                    case Expr.TupleOf(_, var items) -> new Tuple(evaluateAll(items, scope));
                    case Expr.DictOf(_, var pairs) -> {
                        Dict dict = new Dict();
                        for (Expr.Pair pair : pairs) {
                            Object key = evaluate(pair.key(), scope);
                            dict.put(key, evaluate(pair.value(), scope));
                        }
                        yield dict;
                    }
                    case Expr.Sign(int at, var negative, var operand) -> {
                        Object number = evaluate(operand, scope);
                        line = at;
                        yield operators.sign(negative, number);
                    }
                    case Expr.Not(_, var operand) -> !Python.truth(evaluate(operand, scope));
                    case Expr.And(_, var left, var right) -> {
                        Object first = evaluate(left, scope);
                        yield Python.truth(first) ? evaluate(right, scope) : first;
                    }
                    case Expr.Or(_, var left, var right) -> {
                        Object first = evaluate(left, scope);
                        yield Python.truth(first) ? first : evaluate(right, scope);
                    }
                    case Expr.Arithmetic(int at, var operator, var left, var right) -> {
                        Object first = evaluate(left, scope);
                        Object second = evaluate(right, scope);
                        line = at;
                        yield operators.apply(operator, first, second);
                    }
                    case Expr.Concat(_, var parts) -> {
                        StringBuilder text = new StringBuilder();
                        for (Expr part : parts) {
                            String next = python.str(evaluate(part, scope));
                            budget.text(next.length());
                            text.append(next);
                        }
                        yield text.toString();
                    }
                    case Expr.Compare compare -> compare(compare, scope);
                    case Expr.Conditional(int at, var condition, var then, var otherwise) -> {
                        if (Python.truth(evaluate(condition, scope))) {
                            yield evaluate(then, scope);
                        }
                        yield otherwise.isPresent()
                                ? evaluate(otherwise.get(), scope)
                                : Undefined.because(
                                        "the inline if-expression on line "
                                                + at
                                                + " evaluated to false and no else section was"
                                                + " defined.");
                    }
                    case Expr.Attribute(int at, var target, var name) -> {
                        Object owner = evaluate(target, scope);
                        line = at;
                        yield attributes.attribute(owner, name);
                    }
                    case Expr.Item item -> item(item, scope);
                    case Expr.Slice(int at, _, _, _) -> {
                        line = at;
                        throw PythonException.unsupported("a slice among other indices");
                    }
                    case Expr.Filter filter ->
                            filter(filter, evaluate(filter.operand().orElseThrow(), scope), scope);
                    case Expr.Test(int at, var operand, var name, var given) -> {
                        Object tested = evaluate(operand, scope);
                        Arguments arguments = arguments(name, given, scope);
                        line = at;
                        yield tests.test(name, tested, arguments);
                    }
                    case Expr.Call(int at, var target, var given) -> {
                        Object function = evaluate(target, scope);
                        Arguments arguments = arguments(nameOf(target), given, scope);
                        line = at;
                        yield call(function, arguments);
                    }
                };
        budget.leave();
        return value;
    }

    private List<Object> evaluateAll(List<Expr> expressions, Scope scope) {
        List<Object> values = new ArrayList<>(expressions.size());
        for (Expr expression : expressions) {
            values.add(evaluate(expression, scope));
        }
        return values;
    }

    private Object compare(Expr.Compare compare, Scope scope) {
        Object left = evaluate(compare.first(), scope);
        for (Expr.Comparison comparison : compare.rest()) {
            Object right = evaluate(comparison.operand(), scope);
            line = compare.line();
            if (!python.holds(comparison.comparator(), left, right)) {
                return false;
            }
            left = right;
        }
        return true;
    }

    private Object item(Expr.Item item, Scope scope) {
        Object target = evaluate(item.target(), scope);
        if (!(item.index() instanceof Expr.Slice slice)) {
            Object index = evaluate(item.index(), scope);
            line = item.line();
            return attributes.item(target, index);
        }
        Object start = bound(slice.start(), scope);
        Object stop = bound(slice.stop(), scope);
        Object step = bound(slice.step(), scope);
        line = item.line();
        if (target instanceof Undefined undefined) {
            throw undefined.failure();
        }
        boolean sliceable =
                Python.isString(target) || target instanceof List<?> || target instanceof Tuple;
        boolean integers = isBound(start) && isBound(stop) && isBound(step);
        if (!sliceable) {
            throw PythonException.typeError(
                    "'" + Python.typeName(target) + "' object is not subscriptable");
        }
        if (!integers) {
            throw PythonException.typeError("slice indices must be integers or None");
        }
        return python.slice(target, start, stop, step);
    }

    private Object bound(Optional<Expr> bound, Scope scope) {
        return bound.isPresent() ? evaluate(bound.get(), scope) : None.NONE;
    }

    private static boolean isBound(Object value) {
        return value == None.NONE || Numbers.isInteger(value);
    }

    /// The filters of a block, innermost first; the innermost takes the block's text.
    private Object filterText(Expr.Filter filter, Object text, Scope scope) {
        Object operand =
                filter.operand().isPresent() && filter.operand().get() instanceof Expr.Filter inner
                        ? filterText(inner, text, scope)
                        : text;
        return filter(filter, operand, scope);
    }

    /// Applies one filter.
    ///
    /// @param value the operand, already evaluated
    private Object filter(Expr.Filter filter, Object value, Scope scope) {
        Arguments arguments = arguments(filter.name(), filter.arguments(), scope);
        line = filter.line();
        return filters.apply(filter.name(), value, arguments);
    }

    private Object call(Object function, Arguments arguments) {
        if (function instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (!(function instanceof Function callable)) {
            throw PythonException.typeError(
                    "'" + Python.typeName(function) + "' object is not callable");
        }
        return callable.call(arguments);
    }

    private static String nameOf(Expr target) {
        return switch (target) {
            case Expr.Name(_, var name) -> name;
            case Expr.Attribute(_, _, var name) -> name;
            default -> "function";
        };
    }

    private Arguments arguments(String callee, Expr.CallArguments given, Scope scope) {
        List<Object> positional = evaluateAll(given.positional(), scope);
        Map<String, Object> keywords = new LinkedHashMap<>();
        given.keywords().forEach((name, value) -> keywords.put(name, evaluate(value, scope)));
        if (given.positionalList().isPresent()) {
            positional.addAll(python.items(evaluate(given.positionalList().get(), scope)));
        }
        if (given.keywordDict().isPresent()) {
            Object dict = evaluate(given.keywordDict().get(), scope);
            if (!(dict instanceof Dict more)) {
                throw PythonException.typeError(
                        callee
                                + "() argument after ** must be a mapping, not "
                                + Python.typeName(dict));
            }
            for (Dict.Entry entry : more.entries()) {
                String name = Python.requireString(entry.key(), "keyword");
                if (keywords.put(name, entry.value()) != null) {
                    throw PythonException.typeError(
                            callee + "() got multiple values for keyword argument '" + name + "'");
                }
            }
        }
        return new Arguments(callee, positional, keywords);
    }
}
