package io.atoll.model.tokenizer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.atoll.model.gguf.GgufArray;
import io.atoll.model.gguf.GgufFile;
import io.atoll.model.gguf.GgufMetadata;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// The vocabulary in a GGUF file's metadata, and its rewriting as the `tokenizer.json` of a release.
///
/// The file holds tokens, their kinds and the merges, but names the rules only ("qwen35"); normaliser and
/// pre-tokenizer are therefore written here.
public final class GgufVocabulary {
    /// Cuts a text before merging: contractions, words with their combining marks, single digits, runs of other
    /// characters, and whitespace.
    private static final String PRE_TOKENIZER =
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
                    + "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

    // Kinds of tokens, as GGUF numbers them.
    private static final long NORMAL = 1;
    private static final long CONTROL = 3;
    private static final long USER_DEFINED = 4;
    private static final long UNUSED = 5;

    private final Path file;
    private final List<String> tokens;
    private final long[] kinds;
    private final List<String> merges;

    private GgufVocabulary(Path file, List<String> tokens, long[] kinds, List<String> merges) {
        this.file = file;
        this.tokens = tokens;
        this.kinds = kinds;
        this.merges = merges;
    }

    /// Reads the vocabulary of a file, or of any part of a split one.
    ///
    /// @throws TokenizerException if it has no vocabulary, or one of another kind
    /// @throws io.atoll.model.gguf.GgufException if the file is missing or damaged
    public static GgufVocabulary read(Path file) {
        try (GgufFile opened = GgufFile.open(file)) {
            return of(opened.metadata());
        }
    }

    /// A copy of the vocabulary in metadata that was read before.
    ///
    /// @throws TokenizerException if there is none, or one of another kind
    /// @throws io.atoll.model.gguf.GgufException if a part of it is missing, or of another type
    public static GgufVocabulary of(GgufMetadata metadata) {
        requireText(metadata, "tokenizer.ggml.model", "gpt2");
        requireText(metadata, "tokenizer.ggml.pre", "qwen35");
        List<String> tokens = List.copyOf(metadata.array("tokenizer.ggml.tokens").strings());
        GgufArray kinds = metadata.array("tokenizer.ggml.token_type");
        if (tokens.size() != kinds.size()) {
            throw new TokenizerException(
                    metadata.file(),
                    "tokenizer.ggml.token_type",
                    "must have one entry for each of "
                            + tokens.size()
                            + " tokens, found "
                            + kinds.size());
        }
        long[] kindOfToken = new long[kinds.size()];
        Arrays.setAll(kindOfToken, kinds::integer);
        return new GgufVocabulary(
                metadata.file(),
                tokens,
                kindOfToken,
                List.copyOf(metadata.array("tokenizer.ggml.merges").strings()));
    }

    /// The same vocabulary as the text of a `tokenizer.json`. Control tokens become special ones, user-defined
    /// tokens added ones that are not special; unused entries and the `[PAD<id>]` rows that fill a table up are no
    /// tokens.
    ///
    /// @throws TokenizerException if an entry is of a kind that this family does not have, or the merges are damaged
    public String tokenizerJson() {
        StringWriter text = new StringWriter(1 << 20);
        try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
            json.writeStartObject();
            json.writeStringField("version", "1.0");
            writeAddedTokens(json);
            json.writeObjectFieldStart("normalizer");
            json.writeStringField("type", "NFC");
            json.writeEndObject();
            writePreTokenizer(json);
            writeByteLevel(json, "decoder");
            writeModel(json);
            json.writeEndObject();
        } catch (IOException e) {
            throw new IllegalStateException("writing to a string does not fail", e);
        }
        return text.toString();
    }

    private void writeAddedTokens(JsonGenerator json) throws IOException {
        json.writeArrayFieldStart("added_tokens");
        for (int id = 0; id < tokens.size(); id++) {
            if (isAdded(id)) {
                json.writeStartObject();
                json.writeNumberField("id", id);
                json.writeStringField("content", tokens.get(id));
                json.writeBooleanField("single_word", false);
                json.writeBooleanField("lstrip", false);
                json.writeBooleanField("rstrip", false);
                json.writeBooleanField("normalized", false);
                json.writeBooleanField("special", kinds[id] == CONTROL);
                json.writeEndObject();
            }
        }
        json.writeEndArray();
    }

    private static void writePreTokenizer(JsonGenerator json) throws IOException {
        json.writeObjectFieldStart("pre_tokenizer");
        json.writeStringField("type", "Sequence");
        json.writeArrayFieldStart("pretokenizers");
        json.writeStartObject();
        json.writeStringField("type", "Split");
        json.writeObjectFieldStart("pattern");
        json.writeStringField("Regex", PRE_TOKENIZER);
        json.writeEndObject();
        json.writeStringField("behavior", "Isolated");
        json.writeBooleanField("invert", false);
        json.writeEndObject();
        json.writeStartObject();
        writeByteLevelFields(json);
        json.writeEndObject();
        json.writeEndArray();
        json.writeEndObject();
    }

    private static void writeByteLevel(JsonGenerator json, String field) throws IOException {
        json.writeObjectFieldStart(field);
        writeByteLevelFields(json);
        json.writeEndObject();
    }

    private static void writeByteLevelFields(JsonGenerator json) throws IOException {
        json.writeStringField("type", "ByteLevel");
        json.writeBooleanField("add_prefix_space", false);
        json.writeBooleanField("trim_offsets", false);
        json.writeBooleanField("use_regex", false);
    }

    private void writeModel(JsonGenerator json) throws IOException {
        json.writeObjectFieldStart("model");
        json.writeStringField("type", "BPE");
        // Added tokens are listed here as well, because the library otherwise numbers them by
        // itself, from the end of the
        // vocabulary on. No merge leads to them, so they change nothing else.
        json.writeObjectFieldStart("vocab");
        Set<String> known = HashSet.newHashSet(tokens.size());
        for (int id = 0; id < tokens.size(); id++) {
            if (kinds[id] == NORMAL || isAdded(id)) {
                if (!known.add(tokens.get(id))) {
                    throw damaged(
                            "tokenizer.ggml.tokens",
                            "token \"" + tokens.get(id) + "\" appears twice, again as " + id);
                }
                json.writeNumberField(tokens.get(id), id);
            } else if (kinds[id] != UNUSED && !isPadding(id)) {
                throw damaged(
                        "tokenizer.ggml.token_type",
                        "kind " + kinds[id] + " of token " + id + " is not one of byte-level BPE");
            }
        }
        json.writeEndObject();
        json.writeArrayFieldStart("merges");
        for (int rank = 0; rank < merges.size(); rank++) {
            String merge = merges.get(rank);
            int space = merge.indexOf(' ');
            String left = space < 0 ? "" : merge.substring(0, space);
            String right = merge.substring(space + 1);
            if (!known.contains(left) || !known.contains(right) || !known.contains(left + right)) {
                throw damaged(
                        "tokenizer.ggml.merges",
                        "merge "
                                + rank
                                + " must join two tokens to a third, found \""
                                + merge
                                + "\"");
            }
            json.writeStartArray();
            json.writeString(left);
            json.writeString(right);
            json.writeEndArray();
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    private boolean isAdded(int id) {
        long kind = kinds[id];
        return (kind == CONTROL || kind == USER_DEFINED) && !isPadding(id);
    }

    /// Converters fill the table up to the embedding's rows with entries of this name, some of them as user-defined
    /// tokens.
    private boolean isPadding(int id) {
        return tokens.get(id).equals("[PAD" + id + "]");
    }

    private TokenizerException damaged(String where, String message) {
        return new TokenizerException(file, where, message);
    }

    private static void requireText(GgufMetadata metadata, String key, String only) {
        String found = metadata.findString(key).orElse("nothing");
        if (!found.equals(only)) {
            throw new TokenizerException(
                    metadata.file(),
                    key,
                    "only \"" + only + "\" is supported, found \"" + found + "\"");
        }
    }
}
