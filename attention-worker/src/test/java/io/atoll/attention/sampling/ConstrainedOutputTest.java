package io.atoll.attention.sampling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.sampling.ConstrainedOutput.Next;
import io.atoll.attention.step.OutputConstraint;
import io.atoll.attention.step.OutputConstraint.Reasoning;
import io.atoll.model.grammar.Constraint;
import io.atoll.model.grammar.GrammarLimits;
import io.atoll.model.grammar.TokenConstraint;
import io.atoll.model.grammar.TokenTrie;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ConstrainedOutputTest {
    private static final int END = 256;
    private static final int STOP = 257;
    private static final int SIZE = 258;
    private static final Constraint TEXT = new Constraint.Regex("[ab]{2,4}");
    private static final TokenConstraint COMPILED =
            TokenConstraint.compile(TEXT, vocabulary(), GrammarLimits.DEFAULT);

    private final long seed = Long.getLong("seed", System.nanoTime());

    /// A token for each byte, the end of reasoning, and one that ends the answer.
    private static TokenTrie vocabulary() {
        byte[][] bytes = new byte[SIZE][];
        for (int id = 0; id < SIZE; id++) {
            bytes[id] = id < 256 ? new byte[] {(byte) id} : new byte[0];
        }
        return new TokenTrie(bytes, STOP);
    }

    private static Reasoning reasoning(int budget) {
        return new Reasoning(END, budget, List.of((int) '\n', END), List.of((int) '#'));
    }

    private static ConstrainedOutput output(Optional<Reasoning> reasoning, boolean text) {
        return new ConstrainedOutput(
                new OutputConstraint(reasoning, text ? Optional.of(TEXT) : Optional.empty()),
                text ? Optional.of(COMPILED) : Optional.empty(),
                SIZE);
    }

    private static List<Integer> allowed(ConstrainedOutput output, int last) {
        long[] mask = assertInstanceOf(Next.Allowed.class, output.next(last)).tokens();
        List<Integer> tokens = new ArrayList<>();
        for (int id = 0; id < SIZE; id++) {
            if (mask.length == 0 || (mask[id >> 6] >> id & 1) != 0) {
                tokens.add(id);
            }
        }
        return tokens;
    }

    @Test
    void formBindsFromTheFirstTokenWhereThereIsNoReasoning() {
        ConstrainedOutput output = output(Optional.empty(), true);
        assertEquals(List.of((int) 'a', (int) 'b'), allowed(output, 0));
        output.accept('a');
        output.accept('b');
        assertEquals(List.of((int) 'a', (int) 'b', STOP), allowed(output, 'b'));
        output.accept('a');
        output.accept('b');
        assertEquals(List.of(STOP), allowed(output, 'b'));
    }

    @Test
    void reasoningIsFreeButCannotEndTheAnswer() {
        ConstrainedOutput output = output(Optional.of(reasoning(Reasoning.UNLIMITED)), true);
        for (int i = 0; i < 50; i++) {
            List<Integer> allowed = allowed(output, 'x');
            assertEquals(SIZE - 1, allowed.size());
            assertTrue(!allowed.contains(STOP));
            output.accept('x');
        }
        output.accept(END);
        assertEquals(List.of((int) '#'), allowed(output, END));
        output.accept('#');
        assertEquals(List.of((int) 'a', (int) 'b'), allowed(output, '#'));
    }

    @Test
    void reasoningIsClosedWhenItsBudgetIsUsedUp() {
        for (boolean text : new boolean[] {false, true}) {
            ConstrainedOutput output = output(Optional.of(reasoning(3)), text);
            for (int i = 0; i < 3; i++) {
                assertTrue(allowed(output, 'x').size() > 250);
                output.accept('x');
            }
            assertEquals(List.of((int) '\n'), allowed(output, 'x'));
            output.accept('\n');
            assertEquals(List.of(END), allowed(output, '\n'));
            output.accept(END);
            assertEquals(text ? 1 : SIZE, allowed(output, END).size());
        }
    }

    @Test
    void reasoningThatEndsInTimeIsNotClosedAgain() {
        ConstrainedOutput output = output(Optional.of(reasoning(3)), false);
        output.accept('x');
        output.accept(END);
        for (int i = 0; i < 10; i++) {
            assertEquals(SIZE, allowed(output, 'y').size());
            output.accept('y');
        }
    }

    @Test
    void whatIsNotAllowedIsSaid() {
        ConstrainedOutput output = output(Optional.empty(), true);
        output.accept('c');
        Next.Impossible next = assertInstanceOf(Next.Impossible.class, output.next('c'));
        assertTrue(next.reason().contains("token 99"), next.reason());
    }

    /// A sequence that was set aside is opened with its tokens, and nothing was prepared.
    @Test
    void placeDependsOnTheTokensAlone() {
        Random random = new Random(seed);
        for (int round = 0; round < 100; round++) {
            int budget = 1 + random.nextInt(6);
            Optional<Reasoning> reasoning =
                    random.nextBoolean() ? Optional.of(reasoning(budget)) : Optional.empty();
            boolean text = reasoning.isEmpty() || random.nextBoolean();
            ConstrainedOutput prepared = output(reasoning, text);
            List<Integer> tokens = new ArrayList<>();
            int last = 0;
            for (int step = 0; step < 15; step++) {
                List<Integer> allowed = allowed(prepared, last);
                ConstrainedOutput fresh = output(reasoning, text);
                tokens.forEach(fresh::accept);
                assertArrayEquals(
                        allowed(fresh, last).toArray(), allowed.toArray(), "-Dseed=" + seed);
                last = allowed.get(random.nextInt(allowed.size()));
                if (last == STOP) {
                    break;
                }
                prepared.prepare(last, Runnable::run);
                prepared.accept(last);
                tokens.add(last);
            }
        }
    }
}
