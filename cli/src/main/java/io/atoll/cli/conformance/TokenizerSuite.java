package io.atoll.cli.conformance;

import io.atoll.model.tokenizer.StreamDecoder;
import io.atoll.model.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/// `tokenizer/`: texts to ids and back under each vocabulary of the set, and ids to streamed text. All exact.
final class TokenizerSuite implements Suite {
    private static final String TOKENIZER = "tokenizer";

    @Override
    public String name() {
        return TOKENIZER;
    }

    @Override
    public void run(FixtureSet fixtures, Engine.Opener engines, Checks checks) {
        GoldenJson encode = GoldenJson.read(fixtures.file(TOKENIZER, "encode.json"));
        GoldenJson stream = GoldenJson.read(fixtures.file(TOKENIZER, "stream.json"));
        Map<String, Tokenizer> tokenizers = new HashMap<>();
        try {
            for (GoldenJson entry : encode.get("vocabularies").fields()) {
                tokenizers.put(entry.lastName(), open(fixtures, entry, checks));
            }
            for (GoldenJson text : encode.get("cases").items()) {
                tokenizers.forEach(
                        (name, tokenizer) ->
                                encode(text.get("text").text(), text.get(name), tokenizer, checks));
            }
            for (GoldenJson ids : stream.get("cases").items()) {
                String name = ids.get("vocabulary").text();
                Tokenizer tokenizer = tokenizers.get(name);
                if (tokenizer == null) {
                    checks.fail(ids.where(), "names the unknown vocabulary " + name);
                } else {
                    stream(ids, tokenizer, checks);
                }
            }
        } finally {
            tokenizers.values().forEach(Tokenizer::close);
        }
    }

    private static Tokenizer open(FixtureSet fixtures, GoldenJson vocabulary, Checks checks) {
        Path file = fixtures.shared(vocabulary.get("file").text());
        vocabulary
                .optional("sha256")
                .ifPresent(
                        sum ->
                                checks.equal(
                                        sum.where() + " of " + file,
                                        sum.text(),
                                        FixtureSet.sha256(file)));
        return file.toString().endsWith(".gguf") ? Tokenizer.fromGguf(file) : Tokenizer.load(file);
    }

    private static void encode(
            String text, GoldenJson expected, Tokenizer tokenizer, Checks checks) {
        String where = "encode " + expected.where() + ".";
        int[] ids = expected.get("ids").integers();
        checks.ids(where + "ids", ids, tokenizer.encode(text));
        Optional<GoldenJson> changed = expected.optional("decoded");
        String decoded = changed.map(GoldenJson::text).orElse(text);
        String skipped =
                expected.optional("decoded_skip_special").map(GoldenJson::text).orElse(decoded);
        checks.text(where + "decoded", decoded, tokenizer.decode(ids, false));
        checks.text(where + "decoded_skip_special", skipped, tokenizer.decode(ids, true));
    }

    private static void stream(GoldenJson expected, Tokenizer tokenizer, Checks checks) {
        String where = "stream " + expected.where() + ".";
        int[] ids = expected.get("ids").integers();
        StreamDecoder decoder = new StreamDecoder(tokenizer, false);
        var chunks = expected.get("chunks").texts();
        if (chunks.size() != ids.length) {
            checks.fail(where + "chunks", "has " + chunks.size() + " for " + ids.length + " ids");
            return;
        }
        for (int i = 0; i < ids.length; i++) {
            checks.text(where + "chunks[" + i + "]", chunks.get(i), decoder.next(ids[i]));
        }
        checks.text(where + "tail", expected.get("tail").text(), decoder.finish());
        checks.text(where + "text", expected.get("text").text(), tokenizer.decode(ids, false));
    }
}
