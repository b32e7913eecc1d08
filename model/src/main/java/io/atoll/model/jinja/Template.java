package io.atoll.model.jinja;

import java.time.Clock;
import java.util.List;
import java.util.Map;

/// A compiled template. It does not change, so any number of threads may render it at once.
///
/// The language is Jinja2's with the settings of Hugging Face's chat templates: `trim_blocks`, `lstrip_blocks`, `break` and
/// `continue`, an immutable sandbox, a `tojson` that does not escape HTML, and the functions `raise_exception` and
/// `strftime_now`. Other templates (`include`, `import`, `extends`) cannot be reached.
public final class Template {
    private final List<Stmt> body;

    private Template(List<Stmt> body) {
        this.body = body;
    }

    /// Compiles `source`.
    ///
    /// @throws TemplateException of kind `ENGINE` with the line of a syntax error
    public static Template compile(String source) {
        return new Template(Parser.parse(source));
    }

    /// Renders the template.
    ///
    /// @param variables name to value: strings, booleans, numbers, null, and maps and iterables of these, or Jackson's
    ///     `JsonNode`. They are copied, so the template cannot change them.
    /// @param clock what `strftime_now` reads, in the zone it prints
    /// @throws TemplateException if the template refuses the variables, cannot handle them or exceeds `limits`
    public String render(Map<String, ?> variables, Clock clock, TemplateLimits limits) {
        return new Interpreter(limits).render(body, variables, clock);
    }
}
