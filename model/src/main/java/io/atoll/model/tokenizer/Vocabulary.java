package io.atoll.model.tokenizer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/// Which bytes each token id stands for, as a `tokenizer.json` says: the tokens of its model through the byte
/// table, its added tokens as they are written.
final class Vocabulary {
    private static final int MAX_ID = 1 << 24;

    private final Map<String, Integer> idOf;
    private final byte[][] bytesOf;
    private final BitSet added;
    private final BitSet special;

    private Vocabulary(Map<String, Integer> idOf, byte[][] bytesOf, BitSet added, BitSet special) {
        this.idOf = idOf;
        this.bytesOf = bytesOf;
        this.added = added;
        this.special = special;
    }

    /// Reads the vocabulary out of the text of a `tokenizer.json`.
    ///
    /// @param file where it comes from, for messages
    static Vocabulary parse(String json, Path file) {
        return new Reader(file).read(json);
    }

    /// The largest id plus one.
    int size() {
        return bytesOf.length;
    }

    boolean contains(int id) {
        return id >= 0 && id < bytesOf.length && bytesOf[id] != null;
    }

    OptionalInt id(String token) {
        Integer id = idOf.get(token);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    /// Ids of the added tokens, ascending.
    IntStream added() {
        return added.stream();
    }

    boolean isAdded(int id) {
        return added.get(id);
    }

    boolean isSpecial(int id) {
        return special.get(id);
    }

    /// The token's bytes; not to be changed.
    byte[] bytes(int id) {
        if (!contains(id)) {
            throw new IllegalArgumentException(
                    "no token has this id: " + id + ", the vocabulary ends at " + size());
        }
        return bytesOf[id];
    }

    private static final class Reader {
        // A vocabulary's keys never repeat, so a table of them gains nothing.
        private static final JsonFactory JSON =
                JsonFactory.builder()
                        .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
                        .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                        .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                        .build();

        private final Path file;
        private final Map<String, Integer> idOf = new HashMap<>(1 << 10);
        private final BitSet special = new BitSet();
        private final BitSet added = new BitSet();
        private byte[][] bytesOf = new byte[1 << 10][];
        private byte[] scratch = new byte[64];
        private int size;
        private int modelTokens;
        private String modelType = "absent";
        private String decoderType = "absent";

        Reader(Path file) {
            this.file = file;
        }

        Vocabulary read(String json) {
            try (JsonParser parser = JSON.createParser(json)) {
                require(
                        parser.nextToken() == JsonToken.START_OBJECT,
                        "file",
                        "must hold an object");
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String field = parser.currentName();
                    parser.nextToken();
                    switch (field) {
                        case "model" -> model(parser);
                        case "decoder" -> decoder(parser);
                        case "added_tokens" -> addedTokens(parser);
                        default -> parser.skipChildren();
                    }
                }
                require(parser.nextToken() == null, "file", "has more after its object");
            } catch (JsonProcessingException e) {
                throw new TokenizerException(
                        file, "file", "is not valid JSON: " + e.getOriginalMessage(), e);
            } catch (IOException e) {
                throw new TokenizerException(file, "file", "cannot be read: " + e, e);
            }
            require(modelType.equals("BPE"), "model.type", "must be BPE, found " + modelType);
            require(
                    decoderType.equals("ByteLevel"),
                    "decoder.type",
                    "must be ByteLevel, found " + decoderType);
            require(modelTokens > 0, "model.vocab", "is missing or empty");
            return new Vocabulary(idOf, Arrays.copyOf(bytesOf, size), added, special);
        }

        private void model(JsonParser parser) throws IOException {
            require(parser.hasToken(JsonToken.START_OBJECT), "model", "must be an object");
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String field = parser.currentName();
                parser.nextToken();
                switch (field) {
                    case "type" -> modelType = parser.getText();
                    case "vocab" -> tokens(parser);
                    default -> parser.skipChildren();
                }
            }
        }

        private void decoder(JsonParser parser) throws IOException {
            if (!parser.hasToken(JsonToken.START_OBJECT)) {
                parser.skipChildren();
                return;
            }
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String field = parser.currentName();
                parser.nextToken();
                if (field.equals("type")) {
                    decoderType = parser.getText();
                } else {
                    parser.skipChildren();
                }
            }
        }

        private void tokens(JsonParser parser) throws IOException {
            require(parser.hasToken(JsonToken.START_OBJECT), "model.vocab", "must be an object");
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String symbols = parser.currentName();
                parser.nextToken();
                modelTokens++;
                int id = id(parser, "model.vocab");
                if (scratch.length < symbols.length()) {
                    scratch = new byte[2 * symbols.length()];
                }
                int count = ByteSymbols.decode(symbols, scratch, 0);
                // A token that is no run of byte symbols can only be an added token that is listed
                // here as well.
                byte[] bytes =
                        count < 0
                                ? symbols.getBytes(StandardCharsets.UTF_8)
                                : Arrays.copyOf(scratch, count);
                if (!isSame(symbols, id)) { // else it is an added token that came first
                    requireFree(symbols, id, "model.vocab");
                    put(symbols, id, bytes);
                }
            }
        }

        private void addedTokens(JsonParser parser) throws IOException {
            if (!parser.hasToken(JsonToken.START_ARRAY)) {
                parser.skipChildren();
                return;
            }
            while (parser.nextToken() == JsonToken.START_OBJECT) {
                int id = -1;
                String content = null;
                boolean isSpecial = false;
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String field = parser.currentName();
                    parser.nextToken();
                    switch (field) {
                        case "id" -> id = id(parser, "added_tokens");
                        case "content" -> content = parser.getText();
                        case "special" -> isSpecial = parser.hasToken(JsonToken.VALUE_TRUE);
                        default -> parser.skipChildren();
                    }
                }
                require(id >= 0 && content != null, "added_tokens", "an entry lacks id or content");
                if (!isSame(content, id)) {
                    requireFree(content, id, "added_tokens");
                }
                put(content, id, content.getBytes(StandardCharsets.UTF_8));
                special.set(id, isSpecial);
                added.set(id);
            }
            require(
                    parser.hasToken(JsonToken.END_ARRAY),
                    "added_tokens",
                    "must be a list of objects");
        }

        private int id(JsonParser parser, String where) throws IOException {
            require(parser.hasToken(JsonToken.VALUE_NUMBER_INT), where, "an id must be an integer");
            long id = parser.getLongValue();
            if (id < 0 || id >= MAX_ID) {
                throw damaged(where, "an id must be below " + MAX_ID + ", found " + id);
            }
            return (int) id;
        }

        private void put(String token, int id, byte[] bytes) {
            if (id >= bytesOf.length) {
                bytesOf =
                        Arrays.copyOf(
                                bytesOf, Math.max(id + 1, Math.min(2 * bytesOf.length, MAX_ID)));
            }
            bytesOf[id] = bytes;
            idOf.put(token, id);
            size = Math.max(size, id + 1);
        }

        private boolean isSame(String token, int id) {
            return Integer.valueOf(id).equals(idOf.get(token));
        }

        private void requireFree(String token, int id, String where) {
            if (id < bytesOf.length && bytesOf[id] != null) {
                throw damaged(where, "id " + id + " of \"" + token + "\" belongs to another token");
            }
            if (idOf.containsKey(token)) {
                throw damaged(
                        where, "\"" + token + "\" has two ids, " + idOf.get(token) + " and " + id);
            }
        }

        private void require(boolean holds, String where, String message) {
            if (!holds) {
                throw damaged(where, message);
            }
        }

        private TokenizerException damaged(String where, String message) {
            return new TokenizerException(file, where, message);
        }
    }
}
