package io.atoll.attention.state;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PrefixCacheTest {
    private final Map<Checkpoint, Long> bytes = new HashMap<>();
    private final PrefixCache<Checkpoint> cache =
            new PrefixCache<>(each -> bytes.getOrDefault(each, 100L));

    private Checkpoint put(int... tokens) {
        Checkpoint checkpoint = checkpoint(tokens.length);
        cache.put(tokens, checkpoint);
        return checkpoint;
    }

    private static Checkpoint checkpoint(int tokens) {
        return new Checkpoint(0, new BlockTable(MemorySegment.NULL), tokens);
    }

    private Optional<Checkpoint> find(int... tokens) {
        return cache.find(tokens, tokens.length);
    }

    @Test
    void deepestCheckpointOnTheWayIsFound() {
        Checkpoint two = put(1, 2);
        Checkpoint four = put(1, 2, 3, 4);
        assertEquals(Optional.of(four), find(1, 2, 3, 4, 5));
        assertEquals(Optional.of(two), find(1, 2, 3, 9));
        assertEquals(Optional.empty(), find(1, 9));
        assertEquals(Optional.empty(), find(2, 1));
    }

    @Test
    void nothingPastTheLimitIsFound() {
        Checkpoint two = put(1, 2);
        put(1, 2, 3, 4);
        assertEquals(Optional.of(two), cache.find(new int[] {1, 2, 3, 4}, 3));
        assertEquals(Optional.empty(), cache.find(new int[] {1, 2}, 1));
        assertEquals(Optional.empty(), cache.find(new int[0], 0));
    }

    @Test
    void branchThatAgreesInPartOfAnEdgeIsSplit() {
        Checkpoint one = put(1, 2, 3, 4, 5);
        Checkpoint other = put(1, 2, 3, 7, 8);
        assertEquals(Optional.empty(), find(1, 2, 3));
        Checkpoint middle = put(1, 2, 3);
        assertEquals(Optional.of(middle), find(1, 2, 3, 4));
        assertEquals(Optional.of(one), find(1, 2, 3, 4, 5));
        assertEquals(Optional.of(other), find(1, 2, 3, 7, 8, 9));
        assertTrue(cache.contains(new int[] {1, 2, 3}, 3));
        assertFalse(cache.contains(new int[] {1, 2, 3}, 2));
    }

    @Test
    void secondCheckpointAfterTheSameTokensIsABug() {
        put(1, 2);
        assertThrows(IllegalStateException.class, () -> put(1, 2));
    }

    @Test
    void leastSavedForItsBytesIsGivenUpFirst() {
        Checkpoint system = put(1, 2, 3, 4, 5, 6); // saves 6 for 100 bytes
        Checkpoint turn = put(1, 2, 3, 4, 5, 6, 7); // saves 1 more
        Checkpoint large = put(9, 9, 9, 9, 9, 9, 9);
        bytes.put(large, 500L); // saves 7 for 500
        assertEquals(Optional.of(turn), cache.evict(Optional.empty()));
        assertEquals(Optional.of(large), cache.evict(Optional.empty()));
        assertEquals(Optional.of(system), cache.evict(Optional.empty()));
        assertEquals(Optional.empty(), cache.evict(Optional.empty()));
        assertEquals(0, cache.size());
    }

    @Test
    void whatIsUsedOutlivesWhatIsNot() {
        put(1, 1, 1);
        Checkpoint used = put(2, 2, 2);
        put(3);
        cache.evict(Optional.empty()); // raises what counts from now on
        assertEquals(Optional.of(used), find(2, 2, 2));
        Checkpoint unused = find(1, 1, 1).orElseThrow();
        unused.inflation = 0;
        assertEquals(Optional.of(unused), cache.evict(Optional.empty()));
    }

    @Test
    void sparedCheckpointIsNotGivenUp() {
        Checkpoint spared = put(1);
        Checkpoint other = put(1, 2, 3, 4);
        assertEquals(Optional.of(other), cache.evict(Optional.of(spared)));
        assertEquals(Optional.empty(), cache.evict(Optional.of(spared)));
    }

    /// Against a list that is searched from end to end.
    @Test
    void findsWhatASearchOfAllFinds() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        Map<List<Integer>, Checkpoint> all = new HashMap<>();
        for (int i = 0; i < 20_000; i++) {
            int[] tokens = random.ints(1 + random.nextInt(8), 0, 3).toArray();
            List<Integer> key = list(tokens, tokens.length);
            switch (random.nextInt(3)) {
                case 0 -> {
                    if (!all.containsKey(key)) {
                        all.put(key, put(tokens));
                    }
                }
                case 1 -> {
                    if (all.size() > 12) {
                        Checkpoint gone = cache.evict(Optional.empty()).orElseThrow();
                        assertTrue(all.values().remove(gone));
                    }
                }
                default -> {
                    Optional<Checkpoint> expected = Optional.empty();
                    for (int length = 1; length <= tokens.length; length++) {
                        Checkpoint found = all.get(list(tokens, length));
                        expected = found == null ? expected : Optional.of(found);
                    }
                    assertEquals(expected, find(tokens), () -> "seed=" + seed);
                }
            }
            assertEquals(all.size(), cache.size());
        }
    }

    private static List<Integer> list(int[] tokens, int length) {
        return new ArrayList<>(Arrays.stream(tokens, 0, length).boxed().toList());
    }
}
