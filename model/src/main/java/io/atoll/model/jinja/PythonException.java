package io.atoll.model.jinja;

/// An operation that Python would refuse, before the interpreter has said on which line.
///
/// Helpers that know values but not positions throw it; [Interpreter] turns it into a [TemplateException].
final class PythonException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final boolean raisedByTemplate;

    private PythonException(String message, boolean raisedByTemplate) {
        super(message, null, false, false);
        this.raisedByTemplate = raisedByTemplate;
    }

    static PythonException typeError(String message) {
        return new PythonException("TypeError: " + message, false);
    }

    static PythonException valueError(String message) {
        return new PythonException("ValueError: " + message, false);
    }

    /// Division by zero, or a number that does not fit.
    static PythonException arithmetic(String message) {
        return new PythonException("ArithmeticError: " + message, false);
    }

    static PythonException undefinedError(String message) {
        return new PythonException("UndefinedError: " + message, false);
    }

    /// The sandbox refused: something that would change a value, or reach into the engine.
    static PythonException securityError(String message) {
        return new PythonException("SecurityError: " + message, false);
    }

    static PythonException runtimeError(String message) {
        return new PythonException("TemplateRuntimeError: " + message, false);
    }

    static PythonException overLimit(String message) {
        return new PythonException("LimitExceeded: " + message, false);
    }

    static PythonException unsupported(String message) {
        return new PythonException("NotSupported: " + message, false);
    }

    /// The template's own `raise_exception(message)`.
    static PythonException raised(String message) {
        return new PythonException(message, true);
    }

    TemplateException at(int line) {
        return raisedByTemplate
                ? new TemplateException(TemplateException.Kind.TEMPLATE, line, getMessage())
                : TemplateException.engine(line, getMessage());
    }
}
