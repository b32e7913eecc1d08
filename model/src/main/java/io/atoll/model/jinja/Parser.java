package io.atoll.model.jinja;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/// Builds the tree of a template by recursive descent.
///
/// The precedence is Jinja2's, which is not Python's everywhere: `~` binds tighter than `+`, `**` associates to the left, and a
/// filter binds tighter than any operator, a leading minus included.
final class Parser {
    /// Nesting of brackets, operators and blocks. Keeps parsing and evaluation well inside a small thread's stack.
    private static final int MAX_DEPTH = 200;

    private static final Set<String> UNSUPPORTED_TAGS =
            Set.of("extends", "block", "include", "import", "from", "autoescape", "print");

    private final List<Token> tokens;
    private int next;
    private int depth;
    private int loops; // around the current statement, inside the innermost macro
    private int conditions; // `if` blocks around the current statement
    private final List<TemplateException> unknownNames =
            new ArrayList<>(); // of the statement being read
    private final Deque<Set<String>> namesRead = new ArrayDeque<>();

    private Parser(List<Token> tokens) {
        this.tokens = tokens;
    }

    static List<Stmt> parse(String template) {
        return new Parser(Lexer.tokens(template)).body();
    }

    // ---- statements

    /// Reads statements until a tag named in `ends`, whose name is then the current token; without any, to the end of the
    /// template.
    private List<Stmt> body(String... ends) {
        enter();
        List<Stmt> body = new ArrayList<>();
        while (true) {
            Token token = current();
            switch (token.kind()) {
                case DATA -> {
                    body.add(new Stmt.Data((String) token.value()));
                    advance();
                }
                case VARIABLE_BEGIN -> {
                    advance();
                    body.add(new Stmt.Print(tuple(true)));
                    expect(Token.Kind.VARIABLE_END);
                    failIfUnknownNames();
                }
                case BLOCK_BEGIN -> {
                    advance();
                    for (String end : ends) {
                        if (current().isName(end)) {
                            depth--;
                            return body;
                        }
                    }
                    body.add(statement());
                    expect(Token.Kind.BLOCK_END);
                    failIfUnknownNames();
                }
                case END -> {
                    if (ends.length > 0) {
                        throw fail(
                                "unexpected end of template, looking for "
                                        + String.join(" or ", ends));
                    }
                    depth--;
                    return body;
                }
                case VARIABLE_END, BLOCK_END, NAME, STRING, INTEGER, FLOAT, OPERATOR ->
                        throw new IllegalStateException("token outside a tag: " + token);
            }
        }
    }

    private void failIfUnknownNames() {
        if (!unknownNames.isEmpty()) {
            throw unknownNames.getFirst();
        }
    }

    private Stmt statement() {
        Token token = expect(Token.Kind.NAME);
        int line = token.line();
        String tag = (String) token.value();
        return switch (tag) {
            case "if" -> ifStatement();
            case "for" -> forStatement(line);
            case "set" -> setStatement(line);
            case "with" -> withStatement(line);
            case "macro" -> macroStatement(line);
            case "call" -> callStatement(line);
            case "filter" -> {
                Expr.Filter filter = filter(Optional.empty());
                while (skipOperator("|")) {
                    filter = filter(Optional.of(filter));
                }
                yield new Stmt.FilterBlock(line, filter, block("endfilter"));
            }
            case "generation" -> new Stmt.Generation(function(() -> block("endgeneration")));
            case "break", "continue" -> {
                if (loops == 0) {
                    throw fail(line, "'" + tag + "' outside loop");
                }
                yield tag.equals("break") ? new Stmt.Break() : new Stmt.Continue();
            }
            default ->
                    throw fail(
                            line,
                            UNSUPPORTED_TAGS.contains(tag)
                                    ? "tag '" + tag + "' is not supported"
                                    : "unknown tag '" + tag + "'");
        };
    }

    /// The rest of an opening tag, then the body up to `end`, which is consumed.
    private List<Stmt> block(String end) {
        List<Stmt> body = blockUntil(end);
        advance();
        return body;
    }

    private List<Stmt> blockUntil(String... ends) {
        skipOperator(":");
        expect(Token.Kind.BLOCK_END);
        return body(ends);
    }

    private Stmt ifStatement() {
        List<Stmt.Branch> branches = new ArrayList<>();
        List<Stmt> otherwise = List.of();
        conditions++;
        while (true) {
            Expr condition = tuple(false);
            branches.add(new Stmt.Branch(condition, blockUntil("elif", "else", "endif")));
            Token end = advance();
            if (end.isName("elif")) {
                continue;
            }
            if (end.isName("else")) {
                otherwise = block("endif");
            }
            conditions--;
            return new Stmt.If(branches, otherwise);
        }
    }

    private Stmt forStatement(int line) {
        Stmt.Target target = target(false);
        if (target instanceof Stmt.Target.Name(var name) && name.equals("loop")) {
            throw fail(line, "can't assign to special loop variable in for-loop target");
        }
        expectName("in");
        Expr iterable = tuple(false, "recursive");
        Optional<Expr> condition = skipName("if") ? Optional.of(expression()) : Optional.empty();
        boolean recursive = skipName("recursive");
        loops++;
        List<Stmt> body = blockUntil("endfor", "else");
        loops--;
        List<Stmt> otherwise = advance().isName("else") ? block("endfor") : List.of();
        return new Stmt.For(line, target, iterable, condition, recursive, body, otherwise);
    }

    private Stmt setStatement(int line) {
        Stmt.Target target = target(true);
        if (skipOperator("=")) {
            return new Stmt.Set(line, target, tuple(true));
        }
        Optional<Expr.Filter> filter = Optional.empty();
        while (skipOperator("|")) {
            filter = Optional.of(filter(filter.map(Expr.class::cast)));
        }
        return new Stmt.SetBlock(line, target, filter, block("endset"));
    }

    private Stmt withStatement(int line) {
        List<Stmt.Binding> bindings = new ArrayList<>();
        while (current().kind() != Token.Kind.BLOCK_END && !current().isOperator(":")) {
            if (!bindings.isEmpty()) {
                expectOperator(",");
            }
            Stmt.Target target = target(false);
            expectOperator("=");
            bindings.add(new Stmt.Binding(target, expression()));
        }
        return new Stmt.With(line, bindings, block("endwith"));
    }

    private Stmt macroStatement(int line) {
        String name = (String) expect(Token.Kind.NAME).value();
        namesRead.push(new HashSet<>());
        List<Stmt.Parameter> parameters = parameters();
        List<Stmt> body = function(() -> block("endmacro"));
        return new Stmt.MacroDefinition(line, name, signature(parameters), body);
    }

    private Stmt callStatement(int line) {
        namesRead.push(new HashSet<>());
        List<Stmt.Parameter> parameters = current().isOperator("(") ? parameters() : List.of();
        if (!(expression() instanceof Expr.Call call)) {
            throw fail(line, "expected call");
        }
        List<Stmt> body = function(() -> block("endcall"));
        return new Stmt.CallBlock(line, signature(parameters), call, body);
    }

    /// Parses a body that becomes a function: no loop around it can be left from inside.
    private List<Stmt> function(Supplier<List<Stmt>> body) {
        int outer = loops;
        loops = 0;
        List<Stmt> statements = body.get();
        loops = outer;
        return statements;
    }

    private Stmt.Signature signature(List<Stmt.Parameter> parameters) {
        Set<String> read = namesRead.pop();
        if (!namesRead.isEmpty()) {
            namesRead.peek().addAll(read);
        }
        return new Stmt.Signature(
                parameters,
                read.contains("varargs"),
                read.contains("kwargs"),
                read.contains("caller"));
    }

    private List<Stmt.Parameter> parameters() {
        List<Stmt.Parameter> parameters = new ArrayList<>();
        boolean defaults = false;
        expectOperator("(");
        while (!current().isOperator(")")) {
            if (!parameters.isEmpty()) {
                expectOperator(",");
            }
            String name = (String) expect(Token.Kind.NAME).value();
            Optional<Expr> defaultValue =
                    skipOperator("=") ? Optional.of(expression()) : Optional.empty();
            if (defaults && defaultValue.isEmpty()) {
                throw fail("non-default argument follows default argument");
            }
            defaults = defaultValue.isPresent();
            parameters.add(new Stmt.Parameter(name, defaultValue));
        }
        advance();
        return parameters;
    }

    private Stmt.Target target(boolean withNamespace) {
        List<Stmt.Target> targets = new ArrayList<>();
        boolean several = false;
        while (true) {
            targets.add(oneTarget(withNamespace));
            if (!skipOperator(",")) {
                break;
            }
            several = true;
            boolean another = current().kind() == Token.Kind.NAME || current().isOperator("(");
            if (!another || current().isName("in")) {
                break;
            }
        }
        return several ? new Stmt.Target.Several(targets) : targets.getFirst();
    }

    private Stmt.Target oneTarget(boolean withNamespace) {
        if (skipOperator("(")) {
            enter();
            Stmt.Target inner = target(withNamespace);
            depth--;
            expectOperator(")");
            return inner;
        }
        Token token = expect(Token.Kind.NAME);
        String name = (String) token.value();
        if (CONSTANTS.containsKey(name)) {
            throw fail(token.line(), "can't assign to 'const'");
        }
        if (withNamespace && skipOperator(".")) {
            namesRead.forEach(names -> names.add(name));
            return new Stmt.Target.NamespaceAttribute(
                    name, (String) expect(Token.Kind.NAME).value());
        }
        return new Stmt.Target.Name(name);
    }

    // ---- expressions, from the loosest binding to the tightest

    private static final Map<String, Object> CONSTANTS =
            Map.of(
                    "true", true, "True", true, "false", false, "False", false, "none", None.NONE,
                    "None", None.NONE);

    /// One expression, or several with commas between them as a tuple.
    private Expr tuple(boolean withConditional, String... extraEnds) {
        int line = current().line();
        List<Expr> items = new ArrayList<>();
        boolean several = false;
        while (!atTupleEnd(extraEnds)) {
            items.add(withConditional ? expression() : or());
            if (!skipOperator(",")) {
                break;
            }
            several = true;
        }
        if (several) {
            return new Expr.TupleOf(line, items);
        }
        if (items.isEmpty()) {
            throw fail("expected an expression, got '" + current().describe() + "'");
        }
        return items.getFirst();
    }

    private boolean atTupleEnd(String... extraEnds) {
        Token token = current();
        if (token.kind() == Token.Kind.VARIABLE_END
                || token.kind() == Token.Kind.BLOCK_END
                || token.isOperator(")")) {
            return true;
        }
        for (String end : extraEnds) {
            if (token.isName(end)) {
                return true;
            }
        }
        return false;
    }

    private Expr expression() {
        enter();
        int line = current().line();
        int unknownBefore = unknownNames.size();
        Expr value = or();
        int links = 0;
        while (skipName("if")) {
            enter();
            links++;
            Expr condition = or();
            Optional<Expr> otherwise =
                    skipName("else") ? Optional.of(expression()) : Optional.empty();
            value = new Expr.Conditional(line, condition, value, otherwise);
        }
        if (links > 0) {
            unknownNames.subList(unknownBefore, unknownNames.size()).clear();
        }
        depth -= 1 + links;
        return value;
    }

    private Expr or() {
        Expr left = and();
        int links = 0;
        while (current().isName("or")) {
            int line = advance().line();
            enter();
            links++;
            left = new Expr.Or(line, left, and());
        }
        depth -= links;
        return left;
    }

    private Expr and() {
        Expr left = not();
        int links = 0;
        while (current().isName("and")) {
            int line = advance().line();
            enter();
            links++;
            left = new Expr.And(line, left, not());
        }
        depth -= links;
        return left;
    }

    private Expr not() {
        if (current().isName("not")) {
            int line = advance().line();
            enter();
            Expr operand = not();
            depth--;
            return new Expr.Not(line, operand);
        }
        return compare();
    }

    private Expr compare() {
        int line = current().line();
        Expr first = sum();
        List<Expr.Comparison> rest = new ArrayList<>();
        for (Optional<Expr.Comparator> c = comparator(); c.isPresent(); c = comparator()) {
            rest.add(new Expr.Comparison(c.get(), sum()));
        }
        return rest.isEmpty() ? first : new Expr.Compare(line, first, rest);
    }

    private Optional<Expr.Comparator> comparator() {
        Token token = current();
        if (token.isName("in")) {
            advance();
            return Optional.of(Expr.Comparator.IN);
        }
        if (token.isName("not") && tokens.get(next + 1).isName("in")) {
            next += 2;
            return Optional.of(Expr.Comparator.NOT_IN);
        }
        if (token.kind() != Token.Kind.OPERATOR) {
            return Optional.empty();
        }
        Optional<Expr.Comparator> comparator =
                switch ((String) token.value()) {
                    case "==" -> Optional.of(Expr.Comparator.EQUAL);
                    case "!=" -> Optional.of(Expr.Comparator.NOT_EQUAL);
                    case "<" -> Optional.of(Expr.Comparator.LESS);
                    case "<=" -> Optional.of(Expr.Comparator.LESS_OR_EQUAL);
                    case ">" -> Optional.of(Expr.Comparator.GREATER);
                    case ">=" -> Optional.of(Expr.Comparator.GREATER_OR_EQUAL);
                    default -> Optional.empty();
                };
        comparator.ifPresent(_ -> advance());
        return comparator;
    }

    private Expr sum() {
        Expr left = concat();
        int links = 0;
        while (current().isOperator("+") || current().isOperator("-")) {
            Token operator = advance();
            enter();
            links++;
            left = arithmetic(operator, left, concat());
        }
        depth -= links;
        return left;
    }

    private Expr concat() {
        int line = current().line();
        List<Expr> parts = new ArrayList<>();
        parts.add(product());
        while (skipOperator("~")) {
            parts.add(product());
        }
        return parts.size() == 1 ? parts.getFirst() : new Expr.Concat(line, parts);
    }

    private Expr product() {
        Expr left = power();
        int links = 0;
        while (current().isOperator("*")
                || current().isOperator("/")
                || current().isOperator("//")
                || current().isOperator("%")) {
            Token operator = advance();
            enter();
            links++;
            left = arithmetic(operator, left, power());
        }
        depth -= links;
        return left;
    }

    private Expr power() {
        Expr left = unary(true);
        int links = 0;
        while (current().isOperator("**")) {
            Token operator = advance();
            enter();
            links++;
            left = arithmetic(operator, left, unary(true));
        }
        depth -= links;
        return left;
    }

    private static Expr arithmetic(Token token, Expr left, Expr right) {
        for (Expr.Operator operator : Expr.Operator.values()) {
            if (token.isOperator(operator.symbol)) {
                return new Expr.Arithmetic(token.line(), operator, left, right);
            }
        }
        throw new IllegalStateException("not an arithmetic operator: " + token);
    }

    private Expr unary(boolean withFilters) {
        enter();
        int before = depth;
        Token token = current();
        Expr value;
        if (token.isOperator("-") || token.isOperator("+")) {
            advance();
            value = new Expr.Sign(token.line(), token.isOperator("-"), unary(false));
        } else {
            value = primary();
        }
        value = postfix(value);
        if (withFilters) {
            value = filtersAndTests(value);
        }
        depth = before - 1;
        return value;
    }

    private Expr primary() {
        Token token = advance();
        int line = token.line();
        return switch (token.kind()) {
            case NAME -> {
                String name = (String) token.value();
                Object constant = CONSTANTS.get(name);
                if (constant != null) {
                    yield new Expr.Constant(line, constant);
                }
                namesRead.forEach(names -> names.add(name));
                yield new Expr.Name(line, name);
            }
            case STRING -> {
                StringBuilder text = new StringBuilder((String) token.value());
                while (current().kind() == Token.Kind.STRING) {
                    text.append((String) advance().value());
                }
                yield new Expr.Constant(line, text.toString());
            }
            case INTEGER, FLOAT -> new Expr.Constant(line, token.value());
            case OPERATOR ->
                    switch ((String) token.value()) {
                        case "(" -> parenthesised(line);
                        case "[" -> list(line);
                        case "{" -> dict(line);
                        default -> throw fail(line, "unexpected '" + token.describe() + "'");
                    };
            case DATA, VARIABLE_BEGIN, VARIABLE_END, BLOCK_BEGIN, BLOCK_END, END ->
                    throw fail(line, "unexpected '" + token.describe() + "'");
        };
    }

    private Expr parenthesised(int line) {
        if (skipOperator(")")) {
            return new Expr.TupleOf(line, List.of());
        }
        Expr inner = tuple(true);
        expectOperator(")");
        return inner;
    }

    private Expr list(int line) {
        List<Expr> items = new ArrayList<>();
        while (!skipOperator("]")) {
            if (!items.isEmpty()) {
                expectOperator(",");
                if (skipOperator("]")) {
                    break;
                }
            }
            items.add(expression());
        }
        return new Expr.ListOf(line, items);
    }

    private Expr dict(int line) {
        List<Expr.Pair> pairs = new ArrayList<>();
        while (!skipOperator("}")) {
            if (!pairs.isEmpty()) {
                expectOperator(",");
                if (skipOperator("}")) {
                    break;
                }
            }
            Expr key = expression();
            expectOperator(":");
            pairs.add(new Expr.Pair(key, expression()));
        }
        return new Expr.DictOf(line, pairs);
    }

    private Expr postfix(Expr value) {
        while (true) {
            Token token = current();
            if (token.isOperator(".")) {
                advance();
                value = attribute(token.line(), value);
            } else if (token.isOperator("[")) {
                advance();
                value = new Expr.Item(token.line(), value, subscript(token.line()));
            } else if (token.isOperator("(")) {
                value = new Expr.Call(token.line(), value, arguments());
            } else {
                return value;
            }
            enter();
        }
    }

    private Expr attribute(int line, Expr value) {
        Token token = advance();
        return switch (token.kind()) {
            case NAME -> new Expr.Attribute(line, value, (String) token.value());
            case INTEGER -> new Expr.Item(line, value, new Expr.Constant(line, token.value()));
            default -> throw fail(line, "expected name or number after '.'");
        };
    }

    private Expr subscript(int line) {
        List<Expr> parts = new ArrayList<>();
        boolean comma = false;
        while (!skipOperator("]")) {
            if (!parts.isEmpty()) {
                expectOperator(",");
                comma = true;
                if (skipOperator("]")) {
                    break;
                }
            }
            parts.add(indexOrSlice());
        }
        return parts.size() == 1 && !comma ? parts.getFirst() : new Expr.TupleOf(line, parts);
    }

    private Expr indexOrSlice() {
        int line = current().line();
        Optional<Expr> start = Optional.empty();
        if (!current().isOperator(":")) {
            Expr index = expression();
            if (!current().isOperator(":")) {
                return index;
            }
            start = Optional.of(index);
        }
        advance();
        Optional<Expr> stop = sliceBound();
        Optional<Expr> step = skipOperator(":") ? sliceBound() : Optional.empty();
        return new Expr.Slice(line, start, stop, step);
    }

    private Optional<Expr> sliceBound() {
        return current().isOperator(":") || current().isOperator("]") || current().isOperator(",")
                ? Optional.empty()
                : Optional.of(expression());
    }

    private Expr filtersAndTests(Expr value) {
        while (true) {
            Token token = current();
            if (skipOperator("|")) {
                value = filter(Optional.of(value));
            } else if (skipName("is")) {
                value = test(token.line(), value);
            } else if (token.isOperator("(")) {
                value = new Expr.Call(token.line(), value, arguments());
            } else {
                return value;
            }
            enter();
        }
    }

    private Expr.Filter filter(Optional<Expr> operand) {
        Token token = expect(Token.Kind.NAME);
        String name = (String) token.value();
        checkName(Filters.exists(name), token.line(), "no filter named '" + name + "'");
        Expr.CallArguments arguments =
                current().isOperator("(") ? arguments() : Expr.CallArguments.EMPTY;
        return new Expr.Filter(token.line(), operand, name, arguments);
    }

    /// An unknown filter or test is an error even if it is never reached, except under a condition: the template may have
    /// asked first whether it exists.
    private void checkName(boolean exists, int line, String message) {
        if (!exists && conditions == 0) {
            unknownNames.add(fail(line, message));
        }
    }

    private Expr test(int line, Expr operand) {
        boolean negated = skipName("not");
        String name = (String) expect(Token.Kind.NAME).value();
        checkName(Tests.exists(name), line, "no test named '" + name + "'");
        Expr.CallArguments arguments = Expr.CallArguments.EMPTY;
        Token token = current();
        if (token.isOperator("(")) {
            arguments = arguments();
        } else if (startsArgument(token)) {
            if (token.isName("is")) {
                throw fail(line, "you cannot chain multiple tests with is");
            }
            arguments =
                    new Expr.CallArguments(
                            List.of(postfix(primary())),
                            Map.of(),
                            Optional.empty(),
                            Optional.empty());
        }
        Expr test = new Expr.Test(line, operand, name, arguments);
        return negated ? new Expr.Not(line, test) : test;
    }

    /// Whether a token after a test's name is its argument, as in `x is divisibleby 3`.
    private static boolean startsArgument(Token token) {
        return switch (token.kind()) {
            case NAME -> !token.isName("else") && !token.isName("or") && !token.isName("and");
            case STRING, INTEGER, FLOAT -> true;
            case OPERATOR -> token.isOperator("[") || token.isOperator("{");
            case DATA, VARIABLE_BEGIN, VARIABLE_END, BLOCK_BEGIN, BLOCK_END, END -> false;
        };
    }

    private Expr.CallArguments arguments() {
        int line = current().line();
        expectOperator("(");
        List<Expr> positional = new ArrayList<>();
        Map<String, Expr> keywords = new LinkedHashMap<>();
        Optional<Expr> positionalList = Optional.empty();
        Optional<Expr> keywordDict = Optional.empty();
        boolean first = true;
        while (!skipOperator(")")) {
            if (!first) {
                expectOperator(",");
                if (skipOperator(")")) {
                    break;
                }
            }
            first = false;
            boolean wellFormed;
            if (skipOperator("*")) {
                wellFormed = positionalList.isEmpty() && keywordDict.isEmpty();
                positionalList = Optional.of(expression());
            } else if (skipOperator("**")) {
                wellFormed = keywordDict.isEmpty();
                keywordDict = Optional.of(expression());
            } else if (current().kind() == Token.Kind.NAME
                    && tokens.get(next + 1).isOperator("=")) {
                String name = (String) advance().value();
                advance();
                wellFormed = keywordDict.isEmpty() && !keywords.containsKey(name);
                keywords.put(name, expression());
            } else {
                wellFormed =
                        positionalList.isEmpty() && keywordDict.isEmpty() && keywords.isEmpty();
                positional.add(expression());
            }
            if (!wellFormed) {
                throw fail(line, "invalid syntax for function call expression");
            }
        }
        return new Expr.CallArguments(positional, keywords, positionalList, keywordDict);
    }

    // ---- tokens

    private Token current() {
        return tokens.get(next);
    }

    private Token advance() {
        Token token = tokens.get(next);
        if (token.kind() != Token.Kind.END) {
            next++;
        }
        return token;
    }

    private boolean skipOperator(String operator) {
        boolean found = current().isOperator(operator);
        if (found) {
            next++;
        }
        return found;
    }

    private boolean skipName(String name) {
        boolean found = current().isName(name);
        if (found) {
            next++;
        }
        return found;
    }

    private void expectOperator(String operator) {
        if (!skipOperator(operator)) {
            throw fail("expected '" + operator + "', got '" + current().describe() + "'");
        }
    }

    private void expectName(String name) {
        if (!skipName(name)) {
            throw fail("expected '" + name + "', got '" + current().describe() + "'");
        }
    }

    private Token expect(Token.Kind kind) {
        if (current().kind() != kind) {
            throw fail(
                    "expected "
                            + kind.name().toLowerCase(Locale.ROOT).replace('_', ' ')
                            + ", got '"
                            + current().describe()
                            + "'");
        }
        return advance();
    }

    private void enter() {
        if (++depth > MAX_DEPTH) {
            throw fail("nested deeper than " + MAX_DEPTH + " levels");
        }
    }

    private TemplateException fail(String message) {
        return fail(current().line(), message);
    }

    private static TemplateException fail(int line, String message) {
        return TemplateException.engine(line, "TemplateSyntaxError: " + message);
    }
}
