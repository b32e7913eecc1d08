package io.atoll.model.jinja;

/// Counts what one rendering has used against its [TemplateLimits].
final class Budget {
    private static final int CHARS_PER_STEP = 32;

    private final TemplateLimits limits;
    private long steps;
    private long textChars;
    private int depth;

    Budget(TemplateLimits limits) {
        this.limits = limits;
    }

    void step() {
        steps(1);
    }

    void steps(long count) {
        steps += count;
        if (steps > limits.steps()) {
            throw PythonException.overLimit(
                    "the template takes more than " + limits.steps() + " steps");
        }
    }

    /// Reads through `chars` characters.
    void scan(long chars) {
        steps(1 + chars / CHARS_PER_STEP);
    }

    /// Makes a string of `chars` characters. Called before the string exists where its size is not that of its inputs.
    void text(long chars) {
        textChars += chars;
        if (textChars > limits.textChars()) {
            throw PythonException.overLimit(
                    "the template makes more than " + limits.textChars() + " characters");
        }
        scan(chars);
    }

    String made(String text) {
        text(text.length());
        return text;
    }

    void output(long length) {
        if (length > limits.outputChars()) {
            throw PythonException.overLimit(
                    "the rendered text is longer than " + limits.outputChars() + " characters");
        }
    }

    void enter() {
        if (++depth > limits.depth()) {
            throw PythonException.overLimit("nested deeper than " + limits.depth() + " levels");
        }
        step();
    }

    void leave() {
        depth--;
    }
}
