package io.atoll.cluster.placement;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ExpertShardTest {
    private static final int LAYERS = 8;
    private static final int EXPERTS = 32;

    @Test
    void runWithoutLayersMeansEveryLayer() {
        ExpertShard shard = ExpertShard.parse("0-15", LAYERS, EXPERTS);
        assertEquals(16 * LAYERS, shard.size());
        assertTrue(shard.holds(7, 15));
        assertFalse(shard.holds(7, 16));
    }

    @Test
    void termsAddUp() {
        ExpertShard shard = ExpertShard.parse("0-3:0-15; 4:8-31 ;*:31", LAYERS, EXPERTS);
        assertTrue(shard.holds(0, 0));
        assertFalse(shard.holds(4, 0));
        assertTrue(shard.holds(4, 8));
        assertTrue(shard.holds(6, 31));
        assertEquals(4 * 17 + 24 + 3, shard.size());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "x", "3-1", "0-32", "8:0", "-1", "1-", "0,,2", "0-3:", "0;"})
    void whatIsNotARangeWithinTheModelIsRefused(String text) {
        String message =
                assertThrows(
                                IllegalArgumentException.class,
                                () -> ExpertShard.parse(text, LAYERS, EXPERTS))
                        .getMessage();
        assertTrue(message.contains("'" + text + "'"), message);
    }

    @Test
    void partsCoverEveryExpertOnce() {
        for (int parts = 1; parts <= EXPERTS; parts++) {
            int total = 0;
            for (int part = 0; part < parts; part++) {
                total += ExpertShard.part(LAYERS, EXPERTS, part, parts).size();
            }
            assertEquals(LAYERS * EXPERTS, total, "parts=" + parts);
        }
    }

    @Test
    void printedFormReadsBackTheSame() {
        long seed = Long.getLong("seed", System.nanoTime());
        Random random = new Random(seed);
        for (int trial = 0; trial < 500; trial++) {
            List<ExpertShard.LayerRange> ranges = new ArrayList<>();
            for (int layer = 0; layer < LAYERS; layer++) {
                int count = random.nextInt(4);
                for (int i = 0; i < count; i++) {
                    int first = random.nextInt(EXPERTS);
                    ranges.add(
                            new ExpertShard.LayerRange(
                                    layer, first, first + random.nextInt(EXPERTS - first)));
                }
            }
            ExpertShard shard = ExpertShard.of(LAYERS, EXPERTS, ranges);
            if (!shard.isEmpty()) {
                assertEquals(
                        shard,
                        ExpertShard.parse(shard.toString(), LAYERS, EXPERTS),
                        "seed=" + seed + " shard=" + shard);
            }
            assertEquals(shard, ExpertShard.of(LAYERS, EXPERTS, shard.ranges()), "seed=" + seed);
        }
    }

    @Test
    void allPrintsAsOneRun() {
        assertEquals("0-31", ExpertShard.all(LAYERS, EXPERTS).toString());
        assertEquals(ExpertShard.all(LAYERS, EXPERTS), ExpertShard.parse("*", LAYERS, EXPERTS));
    }

    @Test
    void announcedRangePastTheModelIsRefused() {
        for (ExpertShard.LayerRange range :
                List.of(
                        new ExpertShard.LayerRange(8, 0, 1),
                        new ExpertShard.LayerRange(-1, 0, 1),
                        new ExpertShard.LayerRange(0, 30, 32),
                        new ExpertShard.LayerRange(0, 3, 2))) {
            assertThrows(
                    IllegalArgumentException.class,
                    () -> ExpertShard.of(LAYERS, EXPERTS, List.of(range)));
        }
    }
}
