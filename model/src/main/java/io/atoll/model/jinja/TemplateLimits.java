package io.atoll.model.jinja;

/// What one rendering may use before it is stopped with a [TemplateException].
///
/// @param outputChars length of the rendered text
/// @param textChars characters of all strings made on the way, the output included; bounds memory
/// @param steps expressions and statements evaluated, loop iterations, list elements and blocks of 32 characters made or
///     searched; bounds time
/// @param depth nesting of expressions, statements and macro calls
public record TemplateLimits(int outputChars, long textChars, long steps, int depth) {
    /// Room for a conversation of some million tokens, and an end within seconds for anything else.
    public static final TemplateLimits DEFAULT =
            new TemplateLimits(16 << 20, 512L << 20, 50_000_000, 600);

    public TemplateLimits {
        if (outputChars <= 0 || textChars <= 0 || steps <= 0 || depth <= 0) {
            throw new IllegalArgumentException(
                    "limits must be positive: outputChars="
                            + outputChars
                            + " textChars="
                            + textChars
                            + " steps="
                            + steps
                            + " depth="
                            + depth);
        }
    }
}
