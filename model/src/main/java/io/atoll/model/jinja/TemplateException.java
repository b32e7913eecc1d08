package io.atoll.model.jinja;

/// Why a template could not be compiled or rendered.
///
/// [Kind#TEMPLATE] is the template's own refusal of its input, made with `raise_exception`; its message is the template's,
/// unchanged, and meant for whoever sent the request. [Kind#ENGINE] is everything else: a syntax error, an operation the
/// values do not support, a limit.
public final class TemplateException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /// Who refused.
    public enum Kind {
        /// The template called `raise_exception`.
        TEMPLATE,
        /// The interpreter could not go on.
        ENGINE
    }

    private final Kind kind;
    private final int line;

    TemplateException(Kind kind, int line, String message) {
        super(message);
        this.kind = kind;
        this.line = line;
    }

    /// An engine failure. The message names the line, because it is for whoever maintains the template.
    static TemplateException engine(int line, String message) {
        return new TemplateException(Kind.ENGINE, line, message + " (template line " + line + ")");
    }

    /// Who refused.
    public Kind kind() {
        return kind;
    }

    /// Line of the template, from 1; 0 if the failure belongs to the variables and no line.
    public int line() {
        return line;
    }

    /// A failure that belongs to the variables given to the template rather than to one of its lines.
    public static TemplateException badVariables(String message) {
        return new TemplateException(Kind.ENGINE, 0, message);
    }
}
