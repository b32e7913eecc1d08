package io.atoll.model.jinja;

import java.util.List;
import java.util.Optional;

/// A statement, as written.
sealed interface Stmt {
    record Data(String text) implements Stmt {}

    record Print(Expr value) implements Stmt {}

    record If(List<Branch> branches, List<Stmt> otherwise) implements Stmt {}

    record Branch(Expr condition, List<Stmt> body) {}

    record For(
            int line,
            Target target,
            Expr iterable,
            Optional<Expr> condition,
            boolean recursive,
            List<Stmt> body,
            List<Stmt> otherwise)
            implements Stmt {}

    record Set(int line, Target target, Expr value) implements Stmt {}

    /// `{% set x %}text{% endset %}`.
    record SetBlock(int line, Target target, Optional<Expr.Filter> filter, List<Stmt> body)
            implements Stmt {}

    record With(int line, List<Binding> bindings, List<Stmt> body) implements Stmt {}

    record Binding(Target target, Expr value) {}

    record MacroDefinition(int line, String name, Signature signature, List<Stmt> body)
            implements Stmt {}

    /// What a macro takes.
    ///
    /// @param usesVarargs whether the body reads `varargs`, so that surplus arguments are allowed; likewise the other two
    record Signature(
            List<Parameter> parameters,
            boolean usesVarargs,
            boolean usesKwargs,
            boolean usesCaller) {}

    record Parameter(String name, Optional<Expr> defaultValue) {}

    /// `{% call(args) macro(...) %}text{% endcall %}`.
    record CallBlock(int line, Signature signature, Expr.Call call, List<Stmt> body)
            implements Stmt {}

    record FilterBlock(int line, Expr.Filter filter, List<Stmt> body) implements Stmt {}

    /// `{% generation %}`: marks what the assistant said, for training. It renders as its body.
    record Generation(List<Stmt> body) implements Stmt {}

    record Break() implements Stmt {}

    record Continue() implements Stmt {}

    /// What an assignment writes to.
    sealed interface Target {
        record Name(String name) implements Target {}

        record NamespaceAttribute(String namespace, String attribute) implements Target {}

        record Several(List<Target> targets) implements Target {}
    }
}
