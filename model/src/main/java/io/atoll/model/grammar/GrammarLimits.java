package io.atoll.model.grammar;

/// What one constraint may use before it is refused with a [GrammarException] of kind `LIMIT`. Each limit depends on the
/// constraint and the text so far alone, never on what happens to be cached, so a constraint is refused always or never.
///
/// @param inputChars length of the schema, expression or grammar
/// @param depth nesting of the schema, expression or grammar
/// @param states states of all rules' networks; bounds compile time and memory
/// @param items parses that can be open side by side at one place of the text; bounds the time of one byte
/// @param maskSteps items looked at to find the tokens that may come next; bounds the time of one mask
/// @param cacheBytes states and masks kept for reuse. Beyond it they are dropped and built again; nothing is refused
public record GrammarLimits(
        int inputChars, int depth, int states, int items, long maskSteps, long cacheBytes) {
    /// Room for schemas of thousands of properties, and an end within about a second for anything else.
    public static final GrammarLimits DEFAULT =
            new GrammarLimits(1 << 20, 128, 400_000, 10_000, 30_000_000, 64L << 20);

    public GrammarLimits {
        if (inputChars <= 0
                || depth <= 0
                || states <= 0
                || items <= 0
                || maskSteps <= 0
                || cacheBytes <= 0) {
            throw new IllegalArgumentException(
                    "limits must be positive: inputChars="
                            + inputChars
                            + " depth="
                            + depth
                            + " states="
                            + states
                            + " items="
                            + items
                            + " maskSteps="
                            + maskSteps
                            + " cacheBytes="
                            + cacheBytes);
        }
    }
}
