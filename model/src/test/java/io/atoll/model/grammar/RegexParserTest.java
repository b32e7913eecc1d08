package io.atoll.model.grammar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.atoll.model.Seeds;
import java.util.List;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RegexParserTest {
    private static final List<String> ATOMS =
            List.of(
                    "a",
                    "b",
                    "é",
                    "😀",
                    ".",
                    "[ab]",
                    "[^a]",
                    "[^aé]",
                    "\\d",
                    "\\w",
                    "\\W",
                    "\\s",
                    "\\x61",
                    "\\u00e9",
                    "\\.",
                    "[a-cé-ü]",
                    "{",
                    "[\\d-]");

    @Test
    void wholeMatchesAreThoseOfThePlatformsExpressions() {
        Seeds.forAll(
                60,
                random -> {
                    String pattern = pattern(random, 3);
                    Pattern twin = Pattern.compile(pattern);
                    TokenConstraint constraint =
                            Vocabularies.compile(new Constraint.Regex(pattern));
                    for (int i = 0; i < 30; i++) {
                        String text = text(random);
                        assertEquals(
                                twin.matcher(text).matches(),
                                Vocabularies.accepts(constraint, text, random),
                                () -> "`" + text + "` for " + pattern);
                    }
                });
    }

    @Test
    void aSchemasPatternMatchesAnywhereInTheString() {
        Seeds.forAll(
                40,
                random -> {
                    String pattern =
                            (random.nextBoolean() ? "^" : "") + pattern(random, 2).replace("|", "");
                    pattern += random.nextBoolean() ? "$" : "";
                    Pattern twin = Pattern.compile(pattern.replaceAll("\\$$", "\\\\z"));
                    String schema =
                            "{\"type\":\"string\",\"pattern\":\"%s\"}"
                                    .formatted(pattern.replace("\\", "\\\\"));
                    TokenConstraint constraint =
                            Vocabularies.compile(new Constraint.JsonSchema(schema));
                    for (int i = 0; i < 30; i++) {
                        String text = text(random);
                        String json = "\"" + text.replace("\n", "\\n") + "\"";
                        assertEquals(
                                twin.matcher(text).find(),
                                Vocabularies.accepts(constraint, json, random),
                                () -> json + " for " + schema);
                    }
                });
    }

    private static String pattern(Random random, int depth) {
        StringBuilder pattern = new StringBuilder();
        for (int parts = 1 + random.nextInt(3); parts > 0; parts--) {
            boolean group = depth > 0 && random.nextInt(3) == 0;
            String atom =
                    group
                            ? (random.nextBoolean() ? "(" : "(?:")
                                    + pattern(random, depth - 1)
                                    + ")"
                            : ATOMS.get(random.nextInt(ATOMS.size()));
            // Elsewhere a brace that starts no quantifier is a character; here it must be escaped.
            pattern.append(atom.equals("{") ? "\\{" : atom);
            pattern.append(
                    List.of("", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?")
                            .get(random.nextInt(10)));
        }
        if (depth > 0 && random.nextInt(4) == 0) {
            pattern.append('|').append(pattern(random, depth - 1));
        }
        return pattern.toString();
    }

    private static String text(Random random) {
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(5); i > 0; i--) {
            text.append(
                    List.of("a", "a", "b", "é", "😀", "1", "_", " ", "\n", ".", "{", "-")
                            .get(random.nextInt(12)));
        }
        return text.toString();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '~',
            value = {
                "(a)\\1 ~ UNSUPPORTED ~ regex at offset 3",
                "(?P<n>a)(?P=n) ~ UNSUPPORTED ~ regex at offset 10",
                "a(?=b) ~ UNSUPPORTED ~ regex at offset 3",
                "(?<!b)a ~ UNSUPPORTED ~ regex at offset 2",
                "\\bx ~ UNSUPPORTED ~ regex at offset 0",
                "a^b ~ UNSUPPORTED ~ regex at offset 1",
                "(a$) ~ UNSUPPORTED ~ regex at offset 2",
                "a$b ~ UNSUPPORTED ~ regex at offset 2",
                "(?i)a ~ UNSUPPORTED ~ regex at offset 2",
                "(?>a) ~ UNSUPPORTED ~ regex at offset 2",
                "a++ ~ UNSUPPORTED ~ regex at offset 3",
                "\\p{L} ~ UNSUPPORTED ~ regex at offset 0",
                "[[:alpha:]] ~ UNSUPPORTED ~ regex at offset 1",
                "(a ~ SYNTAX ~ regex at offset 0",
                "a) ~ SYNTAX ~ regex at offset 1",
                "[a ~ SYNTAX ~ regex at offset 0",
                "[] ~ SYNTAX ~ regex at offset 1",
                "[b-a] ~ SYNTAX ~ regex at offset 4",
                "*a ~ SYNTAX ~ regex at offset 0",
                "a** ~ SYNTAX ~ regex at offset 2",
                "^*a ~ SYNTAX ~ regex at offset 1",
                "a{3,2} ~ SYNTAX ~ regex at offset 6",
                "\\u12 ~ SYNTAX ~ regex at offset 0",
                "a{9999999} ~ LIMIT ~ regex at offset 2",
            })
    void whatIsNotOfferedIsRefusedWithItsPlace(
            String pattern, GrammarException.Kind kind, String where) {
        GrammarException refusal =
                assertThrows(
                        GrammarException.class,
                        () -> Vocabularies.compile(new Constraint.Regex(pattern)));
        assertEquals(kind, refusal.kind(), refusal::getMessage);
        assertEquals(where, refusal.where(), refusal::getMessage);
    }
}
