package io.atoll.model.tokenizer;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import io.atoll.model.gguf.GgufMetadata;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/// Byte-level BPE over a local vocabulary.
///
/// Encoding is done by the Hugging Face tokenizer library, so the ids are the reference's; decoding needs only the
/// table of each token's bytes and is done here, by the same code for whole answers and for streams. The library's
/// native part is unpacked at first use: see the system property `atoll.cache.dir` in [NativeLibrary]. Needs no
/// network.
///
/// Safe for use by several threads.
public final class Tokenizer implements AutoCloseable {
    private static final long MAX_FILE_BYTES = 256L << 20;

    private final Vocabulary vocabulary;
    private final HuggingFaceTokenizer encoder;
    // Encoding reads, closing writes: the native part must not be freed under a running call.
    private final ReadWriteLock lifetime = new ReentrantReadWriteLock();
    private boolean closed;

    private Tokenizer(Vocabulary vocabulary, HuggingFaceTokenizer encoder) {
        this.vocabulary = vocabulary;
        this.encoder = encoder;
    }

    /// Loads a `tokenizer.json`.
    ///
    /// @throws TokenizerException if it is missing, damaged, or not byte-level BPE
    public static Tokenizer load(Path tokenizerJson) {
        if (!Files.isRegularFile(tokenizerJson)) {
            throw new TokenizerException(tokenizerJson, "file", "is missing");
        }
        try {
            long bytes = Files.size(tokenizerJson);
            if (bytes > MAX_FILE_BYTES) {
                throw new TokenizerException(
                        tokenizerJson,
                        "file",
                        "is too large: " + bytes + " bytes, at most " + MAX_FILE_BYTES);
            }
            return fromJson(Files.readString(tokenizerJson, StandardCharsets.UTF_8), tokenizerJson);
        } catch (IOException e) {
            throw new TokenizerException(tokenizerJson, "file", "cannot be read: " + e, e);
        }
    }

    /// Loads the vocabulary of a GGUF file, which must be of this family.
    ///
    /// @throws TokenizerException if its vocabulary is of another kind
    /// @throws io.atoll.model.gguf.GgufException if the file is missing or damaged
    public static Tokenizer fromGguf(Path gguf) {
        return fromJson(GgufVocabulary.read(gguf).tokenizerJson(), gguf);
    }

    /// As the other, from the metadata of a file that is open. The file can be closed afterwards.
    public static Tokenizer fromGguf(GgufMetadata metadata) {
        return fromJson(GgufVocabulary.of(metadata).tokenizerJson(), metadata.file());
    }

    private static Tokenizer fromJson(String json, Path file) {
        Vocabulary vocabulary = Vocabulary.parse(json, file);
        NativeLibrary.prepare();
        // No added begin-of-sequence token, and no text is ever cut or padded.
        Map<String, String> options =
                Map.of("addSpecialTokens", "false", "truncation", "false", "padding", "false");
        HuggingFaceTokenizer encoder;
        try (ByteArrayInputStream bytes =
                new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8))) {
            encoder = HuggingFaceTokenizer.newInstance(bytes, options);
        } catch (IOException | RuntimeException e) {
            // The library reports a bad vocabulary as a plain RuntimeException.
            throw new TokenizerException(
                    file, "file", "is refused by the tokenizer library: " + e.getMessage(), e);
        }
        Tokenizer tokenizer = new Tokenizer(vocabulary, encoder);
        tokenizer.checkAddedTokens(file);
        return tokenizer;
    }

    /// The library numbers added tokens by itself; where the file leaves gaps, its numbers are not the file's.
    private void checkAddedTokens(Path file) {
        vocabulary
                .added()
                .forEach(
                        id -> {
                            String content =
                                    new String(vocabulary.bytes(id), StandardCharsets.UTF_8);
                            int[] found = encode(content);
                            if (found.length != 1 || found[0] != id) {
                                close();
                                throw new TokenizerException(
                                        file,
                                        "added_tokens",
                                        "\""
                                                + content
                                                + "\" must have the id "
                                                + id
                                                + ", the library gives "
                                                + Arrays.toString(found));
                            }
                        });
    }

    /// Ids of a text. The text of a special token, such as `<|im_end|>`, becomes that token; callers that encode
    /// untrusted text decide whether they want that. A lone surrogate is taken as U+FFFD.
    public int[] encode(String text) {
        String wellFormed = replaceLoneSurrogates(text);
        long[] ids;
        lifetime.readLock().lock();
        try {
            if (closed) {
                throw new IllegalStateException("tokenizer is closed");
            }
            ids = encoder.encode(wellFormed, false, false).getIds();
        } finally {
            lifetime.readLock().unlock();
        }
        int[] result = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            result[i] = Math.toIntExact(ids[i]);
        }
        return result;
    }

    /// Text of an answer. Bytes that are no UTF-8 become U+FFFD, one for each maximal subpart.
    ///
    /// @param skipSpecial whether special tokens are left out
    /// @throws IllegalArgumentException if an id belongs to no token, as the padding rows of the embedding do not
    public String decode(int[] ids, boolean skipSpecial) {
        StreamDecoder decoder = new StreamDecoder(this, skipSpecial);
        StringBuilder out = new StringBuilder(4 * ids.length);
        for (int id : ids) {
            decoder.append(id, out);
        }
        decoder.finish(out);
        return out.toString();
    }

    /// Number of real tokens: the largest id plus one. The embedding table may have more rows; those are padding.
    public int size() {
        return vocabulary.size();
    }

    /// Whether a token has this id.
    public boolean isToken(int id) {
        return vocabulary.contains(id);
    }

    /// Id of a token, as the vocabulary writes it: an added token by its text, any other by its byte symbols.
    public OptionalInt tokenId(String token) {
        return vocabulary.id(token);
    }

    /// The bytes a token stands for; a part of a character is possible. A copy.
    ///
    /// @throws IllegalArgumentException if no token has this id
    public byte[] bytes(int id) {
        return vocabulary.bytes(id).clone();
    }

    /// Whether the token is one that an answer's text leaves out.
    public boolean isSpecial(int id) {
        return id >= 0 && vocabulary.isSpecial(id);
    }

    /// Whether the token is one of the added tokens, such as `<|im_end|>` or `<think>`, which stand beside the model's own
    /// vocabulary: encoding finds them in a text before anything else.
    public boolean isAdded(int id) {
        return id >= 0 && vocabulary.isAdded(id);
    }

    Vocabulary vocabulary() {
        return vocabulary;
    }

    @Override
    public void close() {
        lifetime.writeLock().lock();
        try {
            if (!closed) {
                closed = true;
                encoder.close();
            }
        } finally {
            lifetime.writeLock().unlock();
        }
    }

    /// A lone surrogate has no UTF-8 form, and the library would garble the whole text around it.
    private static String replaceLoneSurrogates(String text) {
        StringBuilder copy = null;
        for (int i = 0; i < text.length(); i++) {
            char unit = text.charAt(i);
            if (!Character.isSurrogate(unit)) {
                continue;
            }
            if (Character.isHighSurrogate(unit)
                    && i + 1 < text.length()
                    && Character.isLowSurrogate(text.charAt(i + 1))) {
                i++;
                continue;
            }
            if (copy == null) {
                copy = new StringBuilder(text);
            }
            copy.setCharAt(i, '\uFFFD');
        }
        return copy == null ? text : copy.toString();
    }
}
