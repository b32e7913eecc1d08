package io.atoll.model.tokenizer;

/// Turns an answer's ids, one at a time, into the text to send.
///
/// A token may hold part of a character. Text goes out when its characters are complete; what can no longer become
/// a character goes out as U+FFFD at once, never to be taken back. All chunks and the tail together are what
/// [Tokenizer#decode] gives for all ids. One decoder serves one answer and one thread.
public final class StreamDecoder {
    private final Tokenizer tokenizer;
    private final boolean skipSpecial;
    private final Utf8Decoder utf8 = new Utf8Decoder();

    /// @param skipSpecial whether special tokens, such as the one that ends a turn, are left out
    public StreamDecoder(Tokenizer tokenizer, boolean skipSpecial) {
        this.tokenizer = tokenizer;
        this.skipSpecial = skipSpecial;
    }

    /// The text to send after this token; empty while a character is incomplete.
    ///
    /// @throws IllegalArgumentException if no token has this id
    public String next(int id) {
        StringBuilder out = new StringBuilder();
        append(id, out);
        return out.toString();
    }

    /// The text to send at the end: U+FFFD if a character was left incomplete, else nothing.
    public String finish() {
        StringBuilder out = new StringBuilder();
        finish(out);
        return out.toString();
    }

    void append(int id, StringBuilder out) {
        byte[] bytes = tokenizer.vocabulary().bytes(id);
        if (!skipSpecial || !tokenizer.isSpecial(id)) {
            utf8.decode(bytes, out);
        }
    }

    void finish(StringBuilder out) {
        utf8.finish(out);
    }
}
