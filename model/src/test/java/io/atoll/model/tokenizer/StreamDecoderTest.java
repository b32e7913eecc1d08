package io.atoll.model.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.model.DemoModel;
import io.atoll.model.Seeds;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class StreamDecoderTest {
    private static Tokenizer demo;

    @BeforeAll
    static void load() {
        demo = Tokenizer.load(DemoModel.path().resolve("tokenizer.json"));
    }

    @AfterAll
    static void close() {
        demo.close();
    }

    @Test
    void chunksAreTheReferences() {
        for (JsonNode row : TokenizerCases.resource("stream.json")) {
            TokenizerCases.assertStreams(demo, row);
        }
    }

    @Test
    void chunksTogetherAreTheDecodedText() {
        Seeds.forAll(
                500,
                random -> {
                    int[] ids = random.ints(random.nextInt(40), 0, demo.size()).toArray();
                    boolean skipSpecial = random.nextBoolean();
                    StreamDecoder decoder = new StreamDecoder(demo, skipSpecial);
                    StringBuilder text = new StringBuilder();
                    for (int id : ids) {
                        text.append(decoder.next(id));
                    }
                    text.append(decoder.finish());
                    assertEquals(demo.decode(ids, skipSpecial), text.toString());
                });
    }

    @Test
    void specialTokenIsSentOrLeftOut() {
        int end = demo.tokenId("<|im_end|>").orElseThrow();
        assertEquals("<|im_end|>", new StreamDecoder(demo, false).next(end));
        assertEquals("", new StreamDecoder(demo, true).next(end));
    }

    @Test
    void idWithoutATokenIsTheCallersFault() {
        StreamDecoder decoder = new StreamDecoder(demo, true);
        assertThrows(IllegalArgumentException.class, () -> decoder.next(demo.size()));
    }
}
