package io.atoll.model.grammar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GrammarParserTest {
    @Test
    void arithmeticWithRecursionOnBothSidesIsRecognised() {
        Constraint grammar =
                new Constraint.ContextFree(
                        """
                        # sums and products
                        root ::= sum "\\n"?
                        sum ::= sum [+\\-] product |
                                product
                        product ::= factor ("*" product)?
                        factor ::= "(" sum ")" | [0-9]{1,3} | "\\u00e9" | [^\\x00-\\x7f]
                        """);
        for (String text : new String[] {"1", "1+2*3", "(12-é)*(3+本)", "((((7))))\n"}) {
            assertTrue(Vocabularies.accepts(grammar, text), text);
        }
        for (String text : new String[] {"", "1+", "(1", "1234", "1**2", "1\n\n", "a"}) {
            assertFalse(Vocabularies.accepts(grammar, text), text);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '~',
            value = {
                "root ::= a ~ line 1, column 10 ~ rule `a` is not defined",
                "roo ::= \"a\" ~ line 1, column 12 ~ no rule is called `root`",
                "root ::= (\"a\" ~ line 1, column 10 ~ `(` without `)`",
                "root ::= \"a ~ line 1, column 10 ~ a text without its closing quote",
                "root ::= [a ~ line 1, column 10 ~ `[` without `]`",
                "root ::= [b-a] ~ line 1, column 11 ~ a range of a class must go from a character"
                        + " to a later one",
                "root ::= \"\\q\" ~ line 1, column 11 ~ no such escape: `\\q`",
                "root ::= \"a\"{2 ~ line 1, column 13 ~ 'a repetition must be {n}, {n,} or {n,m}"
                        + " with n <= m'",
                "root := \"a\" ~ line 1, column 6 ~ 'expected `::=` after `root`, found `:`'",
                "root ::= ) ~ line 1, column 10 ~ 'expected the name of a rule, found `)`'",
            })
    void mistakesAreNamedWithLineAndColumn(String grammar, String where, String problem) {
        GrammarException refusal =
                assertThrows(
                        GrammarException.class,
                        () -> GrammarParser.parse(grammar, GrammarLimits.DEFAULT));
        assertEquals(GrammarException.Kind.SYNTAX, refusal.kind());
        assertEquals(where + ": " + problem, refusal.getMessage());
    }

    @Test
    void aRuleThatIsDefinedTwiceIsNamedWithItsSecondPlace() {
        GrammarException refusal =
                assertThrows(
                        GrammarException.class,
                        () ->
                                GrammarParser.parse(
                                        "root ::= \"a\"\n  root ::= \"b\"", GrammarLimits.DEFAULT));
        assertEquals("line 2, column 3", refusal.where());
    }
}
