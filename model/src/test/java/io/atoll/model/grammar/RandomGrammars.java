package io.atoll.model.grammar;

import io.atoll.model.grammar.Expression.Characters;
import io.atoll.model.grammar.Expression.Choice;
import io.atoll.model.grammar.Expression.Edge;
import io.atoll.model.grammar.Expression.Graph;
import io.atoll.model.grammar.Expression.Repeat;
import io.atoll.model.grammar.Expression.Rule;
import io.atoll.model.grammar.Expression.Sequence;
import io.atoll.model.grammar.Expression.Text;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// Small grammars of every shape, over an alphabet whose characters take one to four bytes, and vocabularies for them.
final class RandomGrammars {
    private static final List<String> ALPHABET = List.of("a", "b", "c", "é", "è", "€", "😀");

    private RandomGrammars() {}

    static Grammar grammar(Random random) {
        int rules = 1 + random.nextInt(4);
        List<Expression> bodies = new ArrayList<>();
        for (int i = 0; i < rules; i++) {
            bodies.add(expression(random, rules, 3));
        }
        return new Grammar(bodies, random.nextInt(rules));
    }

    /// Repetitions within repetitions, with counts beyond the bytes of a [#shortTokens] token.
    static Grammar counted(Random random) {
        Expression inner = repeated(expression(random, 1, 1), random);
        Expression body = Expression.choice(inner, expression(random, 1, 0));
        return new Grammar(
                List.of(
                        new Characters(CodePoints.of("aé")),
                        Expression.sequence(repeated(body, random), expression(random, 1, 1))),
                1);
    }

    private static Expression repeated(Expression body, Random random) {
        int min = random.nextInt(8);
        return new Repeat(body, min, min + random.nextInt(9));
    }

    static TokenTrie shortTokens(Random random) {
        List<byte[]> tokens = new ArrayList<>();
        for (byte value : "abé€".getBytes(StandardCharsets.UTF_8)) {
            tokens.add(new byte[] {value});
            tokens.add(new byte[] {value, 'a'});
        }
        tokens.add("é".getBytes(StandardCharsets.UTF_8));
        tokens.add(("a" + text(random, 1)).getBytes(StandardCharsets.UTF_8));
        tokens.add("stop".getBytes(StandardCharsets.UTF_8));
        return new TokenTrie(tokens.toArray(new byte[0][]), tokens.size() - 1);
    }

    private static Expression expression(Random random, int rules, int depth) {
        int kind = random.nextInt(depth == 0 ? 4 : 9);
        return switch (kind) {
            case 0, 1 -> new Text(text(random, random.nextInt(3)));
            case 2 -> {
                CodePoints set = CodePoints.NONE;
                for (int i = random.nextInt(4); i >= 0; i--) {
                    set = set.union(CodePoints.of(text(random, 1)));
                }
                yield new Characters(set);
            }
            case 3 -> new Rule(random.nextInt(rules));
            case 4, 5 -> new Sequence(several(random, rules, depth));
            case 6 -> new Choice(several(random, rules, depth));
            case 7 -> {
                int min = random.nextInt(3);
                int max = random.nextBoolean() ? Expression.UNBOUNDED : min + random.nextInt(3);
                yield new Repeat(expression(random, rules, depth - 1), min, max);
            }
            default -> {
                int nodes = 2 + random.nextInt(3);
                List<Edge> edges = new ArrayList<>();
                for (int i = random.nextInt(6); i >= 0; i--) {
                    edges.add(
                            new Edge(
                                    random.nextInt(nodes),
                                    expression(random, rules, depth - 1),
                                    random.nextInt(nodes)));
                }
                yield new Graph(nodes, edges);
            }
        };
    }

    private static List<Expression> several(Random random, int rules, int depth) {
        List<Expression> parts = new ArrayList<>();
        for (int i = random.nextInt(4); i > 0; i--) {
            parts.add(expression(random, rules, depth - 1));
        }
        return parts;
    }

    private static String text(Random random, int characters) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < characters; i++) {
            text.append(ALPHABET.get(random.nextInt(ALPHABET.size())));
        }
        return text.toString();
    }

    /// Every byte of the alphabet, pieces of texts cut anywhere, some of them twice, one token that may not stand inside, and two
    /// stop tokens at the end.
    static TokenTrie vocabulary(Random random) {
        List<byte[]> tokens = new ArrayList<>();
        for (byte value : String.join("", ALPHABET).getBytes(StandardCharsets.UTF_8)) {
            tokens.add(new byte[] {value});
        }
        for (int i = 0; i < 40; i++) {
            byte[] utf8 = text(random, 1 + random.nextInt(4)).getBytes(StandardCharsets.UTF_8);
            int from = random.nextInt(utf8.length);
            int to = from + 1 + random.nextInt(utf8.length - from);
            tokens.add(Arrays.copyOfRange(utf8, from, to));
        }
        tokens.add(new byte[0]);
        tokens.add("stop".getBytes(StandardCharsets.UTF_8));
        tokens.add("STOP".getBytes(StandardCharsets.UTF_8));
        int count = tokens.size();
        return new TokenTrie(tokens.toArray(new byte[0][]), count - 2, count - 1);
    }
}
