package io.atoll.model.grammar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.model.Seeds;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SchemaCompilerTest {
    // Takes the last of two members with one name: that additional ones differ is beyond a grammar.
    private static final JsonMapper MAPPER =
            JsonMapper.builder()
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
                    .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
                    .build();

    @Test
    void documentsThatASchemaDescribesAreAcceptedHoweverTheyAreCut() {
        int[] accepted = {0};
        int[] tried = {0};
        Seeds.forAll(
                25,
                random -> {
                    RandomSchemas schemas = new RandomSchemas(random);
                    ObjectNode schema = schemas.schema();
                    Optional<TokenConstraint> constraint = compile(schema);
                    boolean choices =
                            schema.findValue("anyOf") != null || schema.findValue("oneOf") != null;
                    for (int i = 0; i < 20; i++) {
                        JsonNode value = schemas.guess(schema, schema, 3);
                        String text = schemas.written(value);
                        boolean valid = new TinyValidator(schema).valid(parse(text).orElseThrow());
                        boolean taken =
                                constraint.isPresent()
                                        && Vocabularies.accepts(constraint.get(), text, random);
                        assertTrue(valid || !taken, () -> text + " for " + schema);
                        // Written in the order of one alternative, a document can be valid by
                        // another, whose properties would have to come in another order.
                        assertTrue(taken || !valid || choices, () -> text + " for " + schema);
                        accepted[0] += valid ? 1 : 0;
                        tried[0]++;
                    }
                });
        assertTrue(tried[0] == 20 || accepted[0] > tried[0] / 4, accepted[0] + " of " + tried[0]);
    }

    @Test
    void damagedDocumentsAreAcceptedOnlyIfTheyAreStillValid() {
        Seeds.forAll(
                25,
                random -> {
                    RandomSchemas schemas = new RandomSchemas(random);
                    ObjectNode schema = schemas.schema();
                    Optional<TokenConstraint> constraint = compile(schema);
                    for (int i = 0; i < 40 && constraint.isPresent(); i++) {
                        String text =
                                damaged(schemas.written(schemas.guess(schema, schema, 2)), random);
                        if (Vocabularies.accepts(constraint.get(), text, random)) {
                            assertTrue(isValid(schema, text), () -> text + " for " + schema);
                        }
                    }
                });
    }

    @Test
    void whatIsSampledUnderTheMaskParsesAndIsValid() {
        int[] complete = {0};
        int[] tried = {0};
        Seeds.forAll(
                20,
                random -> {
                    ObjectNode schema = new RandomSchemas(random).schema();
                    Optional<TokenConstraint> constraint = compile(schema);
                    if (constraint.isEmpty()) {
                        return;
                    }
                    for (int i = 0; i < 5; i++) {
                        Optional<String> text = sample(constraint.get(), random);
                        tried[0]++;
                        complete[0] += text.isPresent() ? 1 : 0;
                        text.ifPresent(
                                whole ->
                                        assertTrue(
                                                isValid(schema, whole),
                                                () -> whole + " for " + schema));
                    }
                });
        assertTrue(complete[0] > tried[0] / 4, complete[0] + " of " + tried[0]);
    }

    /// After `{"n": 5` one more digit ends the number, and `}` ends the object: both leave no item of a known caller behind, and
    /// only the first may be followed by `}`.
    @Test
    void endsOfDifferentRulesAreToldApart() {
        String schema =
                """
                {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}},
                 "required": ["n"], "additionalProperties": false}\
                """;
        TokenConstraint constraint = Vocabularies.compile(new Constraint.JsonSchema(schema));
        TokenMatcher matcher = constraint.matcher();
        for (byte each : "{\"n\":5".getBytes(StandardCharsets.UTF_8)) {
            assertTrue(matcher.accept(each & 0xFF));
        }
        long[] mask = new long[Vocabularies.JSON.maskWords()];
        matcher.mask(mask);
        for (int token = 0; token < Vocabularies.JSON.vocabularySize(); token++) {
            boolean allowed = (mask[token >> 6] >> token & 1) != 0;
            assertEquals(matcher.fork().accept(token), allowed, "token " + token);
        }
    }

    /// Draws allowed tokens; a closing one if there is one, more often as the text gets longer, so that most texts end.
    private static Optional<String> sample(TokenConstraint constraint, Random random) {
        TokenMatcher matcher = constraint.matcher();
        long[] mask = new long[Vocabularies.JSON.maskWords()];
        List<Integer> tokens = new ArrayList<>();
        for (int step = 0; step < 400; step++) {
            matcher.mask(mask);
            List<Integer> allowed = new ArrayList<>();
            List<Integer> closing = new ArrayList<>();
            for (int token = 0; token <= Vocabularies.STOP; token++) {
                if ((mask[token >> 6] >> token & 1) != 0) {
                    allowed.add(token);
                    if (token == '"'
                            || token == '}'
                            || token == ']'
                            || token == Vocabularies.STOP) {
                        closing.add(token);
                    }
                }
            }
            assertTrue(!allowed.isEmpty(), () -> "stuck after " + text(tokens));
            boolean close = !closing.isEmpty() && random.nextInt(60) < step;
            List<Integer> from = close ? closing : allowed;
            int token = from.get(random.nextInt(from.size()));
            assertTrue(matcher.accept(token));
            if (token == Vocabularies.STOP) {
                return Optional.of(text(tokens));
            }
            tokens.add(token);
        }
        return Optional.empty();
    }

    private static String text(List<Integer> tokens) {
        ByteBuffer bytes = ByteBuffer.allocate(64 * tokens.size() + 64);
        tokens.forEach(token -> bytes.put(Vocabularies.JSON.bytes(token)));
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(bytes.flip()).toString();
        } catch (CharacterCodingException e) {
            return "not UTF-8: " + tokens;
        }
    }

    private static String damaged(String text, Random random) {
        List<Integer> points = new ArrayList<>(text.codePoints().boxed().toList());
        for (int edits = 1 + random.nextInt(2); edits > 0; edits--) {
            int at = random.nextInt(points.size() + 1);
            int other = "{}[]\",:\\u0123456789.-eE+ \ntrue日".codePointAt(random.nextInt(30));
            switch (random.nextInt(3)) {
                case 0 -> points.add(at, other);
                case 1 -> points.set(Math.min(at, points.size() - 1), other);
                default ->
                        points.subList(Math.min(at, points.size() - 1), points.size())
                                .removeFirst();
            }
            if (points.isEmpty()) {
                break;
            }
        }
        StringBuilder result = new StringBuilder();
        points.forEach(result::appendCodePoint);
        return result.toString();
    }

    private static Optional<TokenConstraint> compile(JsonNode schema) {
        try {
            return Optional.of(Vocabularies.compile(new Constraint.JsonSchema(schema.toString())));
        } catch (GrammarException e) {
            assertEquals(GrammarException.Kind.UNSATISFIABLE, e.kind(), () -> e + " for " + schema);
            return Optional.empty();
        }
    }

    private static boolean isValid(JsonNode schema, String text) {
        return parse(text).map(value -> new TinyValidator(schema).valid(value)).orElse(false);
    }

    private static Optional<JsonNode> parse(String text) {
        try {
            return Optional.of(MAPPER.readTree(text));
        } catch (JsonProcessingException e) {
            return Optional.empty();
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '§',
            quoteCharacter = '\'',
            value = {
                // schema § accepted § refused
                "true § [1,{\"a\":null}] § [1,]",
                "{} § -0.5e+10 § 01",
                "{\"type\":\"string\"} § \"\\ud83d\\ude00\" § \"\\ud83d\"",
                "{\"type\":\"string\"} § \"\\u00e9\\/é\" § \"\\x\"",
                "{\"type\":\"string\",\"maxLength\":1} § \"\\ud83d\\ude00\" § \"ab\"",
                "{\"type\":[\"integer\",\"null\"]} § null § 1.5",
                "{\"type\":\"integer\",\"minimum\":-3,\"maximum\":12} § -3 § 13",
                "{\"type\":\"integer\",\"minimum\":0.5} § 1 § 0",
                "{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":0.25} § 0.249 § 0.0",
                "{\"type\":\"number\",\"minimum\":-1e3} § -1000.0 § -1000.01",
                "{\"enum\":[\"a b\",3,null]} § \"a b\" § \"a\"",
                "{\"const\":{\"a\":[1,2]}} § {\"a\": [1, 2]} § {\"a\":[1]}",
                "{\"type\":\"string\",\"pattern\":\"^\\\\d{3}$\"} § \"123\" § \"1234\"",
                "{\"type\":\"string\",\"pattern\":\"b\"} § \"abc\" § \"acc\"",
                "{\"type\":\"string\",\"pattern\":\"b\",\"maxLength\":2} § \"ab\" § \"abb\"",
                "{\"type\":\"string\",\"format\":\"date\"} § \"2024-02-29\" § \"2023-02-29\"",
                "{\"type\":\"string\",\"format\":\"date\"} § \"2000-02-29\" § \"1900-02-29\"",
                "{\"type\":\"string\",\"format\":\"date-time\"} § \"2024-12-31T23:59:59.5+02:00\" §"
                        + " \"2024-12-31\"",
                "{\"type\":\"string\",\"format\":\"time\"} § \"00:00:00Z\" § \"24:00:00Z\"",
                "{\"type\":\"string\",\"format\":\"uuid\"} §"
                        + " \"123e4567-e89b-12d3-a456-426614174000\" § \"123e4567\"",
                "{\"type\":\"string\",\"format\":\"email\"} § \"a.b+c@x-y.example\" § \"a@-x\"",
                "{\"type\":\"string\",\"format\":\"ipv4\"} § \"255.0.10.1\" § \"256.0.0.1\"",
                "{\"type\":\"string\",\"format\":\"ipv6\"} § \"fe80::1\" § \"1::2::3\"",
                "{\"type\":\"string\",\"format\":\"ipv6\"} § \"::ffff:10.0.0.1\" §"
                        + " \"1:2:3:4:5:6:7\"",
                "{\"type\":\"string\",\"format\":\"duration\"} § \"P1Y2M3DT4H\" § \"P\"",
                "{\"type\":\"string\",\"format\":\"uri\"} § \"https://x.example/a?b=%20\" §"
                        + " \"//x\"",
                "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":2}"
                    + " § [1, 2] § [1,2,3]",
                "{\"type\":\"array\",\"prefixItems\":[{\"const\":1}],\"items\":false} § [1] §"
                        + " [1,2]",
                "{\"required\":[\"a\"],\"type\":\"object\",\"properties\":{\"b\":{}}} §"
                        + " {\"b\":1,\"a\":2} § {\"b\":1}",
                "{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"additionalProperties\":false}"
                    + " § {\"b\":1} § {\"b\":1,\"a\":2}",
                "{\"type\":\"object\",\"properties\":{\"a\":false},\"additionalProperties\":true} §"
                        + " {\"ab\":1} § {\"a\":1}",
                "{\"$ref\":\"#/definitions/a~1b\",\"definitions\":{\"a/b\":{\"const\":1}}} § 1 § 2",
                "{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"}],\"type\":[\"null\",\"string\"]}"
                        + " § null § null",
            })
    void schemaAcceptsTheOneAndRefusesTheOther(String schema, String accepted, String refused) {
        if (accepted.equals(refused)) {
            assertThrows(
                    GrammarException.class,
                    () -> Vocabularies.compile(new Constraint.JsonSchema(schema)));
            return;
        }
        assertTrue(Vocabularies.accepts(new Constraint.JsonSchema(schema), accepted), accepted);
        assertFalse(Vocabularies.accepts(new Constraint.JsonSchema(schema), refused), refused);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '§',
            quoteCharacter = '\'',
            value = {
                // schema § kind § where
                "{\"properties\":{\"a/b\":{\"not\":{}}}} § UNSUPPORTED § #/properties/a~1b/not",
                "{\"type\":\"array\",\"uniqueItems\":true} § UNSUPPORTED § #/uniqueItems",
                "{\"type\":\"object\",\"patternProperties\":{}} § UNSUPPORTED §"
                        + " #/patternProperties",
                "{\"items\":[{}]} § UNSUPPORTED § #/items",
                "{\"type\":\"string\",\"format\":\"regex\"} § UNSUPPORTED § #/format",
                "{\"type\":\"string\",\"pattern\":\"(a)\\\\1\"} § UNSUPPORTED § #/pattern at offset"
                        + " 3",
                "{\"$ref\":\"http://x.example/s\"} § UNSUPPORTED § #/$ref",
                "{\"enum\":[\"a\"],\"minLength\":1} § UNSUPPORTED § #/minLength",
                "{\"oneOf\":[{\"type\":\"number\"},{\"type\":\"integer\"}]} § UNSUPPORTED §"
                        + " #/oneOf",
                "{\"$ref\":\"#/$defs/a\"} § SYNTAX § #/$ref",
                "{\"type\":\"strin\"} § SYNTAX § #/type",
                "{\"type\":\"array\",\"minItems\":-1} § SYNTAX § #/minItems",
                "{\"allOf\":[]} § SYNTAX § #/allOf",
                "{\"properties\":{\"a\":3}} § SYNTAX § #/properties/a",
                "{\"type\":\"string\",\"pattern\":\"(\"} § SYNTAX § #/pattern at offset 0",
                "{\"type\" § SYNTAX § #",
                "{\"type\":\"integer\",\"enum\":[\"a\"]} § UNSATISFIABLE § constraint",
                "{\"$ref\":\"#\"} § UNSATISFIABLE § #",
                "{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"],\"type\":\"object\"}"
                        + " § UNSATISFIABLE § constraint",
                "{\"type\":\"string\",\"maxLength\":100000000} § LIMIT § constraint",
                "{\"type\":\"array\",\"minItems\":100000000} § LIMIT § #",
                "{\"type\":\"number\",\"minimum\":1e999999} § LIMIT § #/minimum",
            })
    void whatIsNotOfferedIsRefusedWithItsPlace(
            String schema, GrammarException.Kind kind, String where) {
        GrammarException refusal =
                assertThrows(
                        GrammarException.class,
                        () -> Vocabularies.compile(new Constraint.JsonSchema(schema)));
        assertEquals(kind, refusal.kind(), refusal::getMessage);
        assertEquals(where, refusal.where(), refusal::getMessage);
    }

    @Test
    void branchesOfOneOfAreToldApartByAConstantProperty() {
        String schema =
                """
                {"oneOf":[
                  {"type":"object","properties":{"kind":{"const":"a"},"n":{"type":"integer"}},"required":["kind","n"],
                   "additionalProperties":false},
                  {"type":"object","properties":{"kind":{"enum":["b","c"]}},"required":["kind"],
                   "additionalProperties":false}]}\
                """;
        assertTrue(
                Vocabularies.accepts(
                        new Constraint.JsonSchema(schema), "{\"kind\": \"a\", \"n\": 1}"));
        assertTrue(Vocabularies.accepts(new Constraint.JsonSchema(schema), "{\"kind\":\"c\"}"));
        assertFalse(
                Vocabularies.accepts(
                        new Constraint.JsonSchema(schema), "{\"kind\":\"c\",\"n\":1}"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "{\"a\": [1, {\"b\": null}]}",
                "{\n  \"a\": {\n    \"é\\n\": -1e5\n  }\n}"
            })
    void anyObjectIsAJsonObject(String text) {
        assertTrue(Vocabularies.accepts(new Constraint.JsonObject(), text));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[]",
                "1",
                "{\"a\"}",
                "{\"a\":1,}",
                "{ }",
                "{\"a\" :1}",
                "{}  ",
                "{\"\u0001\":1}"
            })
    void textsThatAreNoObjectOrSpacedTooFreelyAreRefused(String text) {
        // `{ }` is an empty object with the space that objects may have.
        assertEquals(text.equals("{ }"), Vocabularies.accepts(new Constraint.JsonObject(), text));
    }

    @Test
    void aLongChainOfReferencesNeedsNoDeepStack() {
        StringBuilder schema = new StringBuilder("{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
        for (int i = 0; i < 2000; i++) {
            schema.append(
                    "\"d%d\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/d%d\"}}},"
                            .formatted(i, i + 1));
        }
        schema.append("\"d2000\":{\"type\":\"object\"}}}");
        assertTrue(
                Vocabularies.accepts(
                        new Constraint.JsonSchema(schema.toString()), "{\"a\":{\"a\":{}}}"));
    }
}
