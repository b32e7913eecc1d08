package io.atoll.attention.forward;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.atoll.model.config.RopeParameters;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Test;

class RotaryTableTest {
    private static final RopeParameters ROPE =
            RopeParameters.plain(1e7, 0.25, List.of(11, 11, 10), 262_144);

    private static float at(MemorySegment row, int index) {
        return row.getAtIndex(ValueLayout.JAVA_FLOAT, index);
    }

    @Test
    void frequenciesAlternateBetweenTheThreePositions() {
        try (Arena arena = Arena.ofConfined()) {
            RotaryTable table = new RotaryTable(ROPE, 64, 1, arena);
            float[] frequencies = ROPE.inverseFrequencies(64);
            table.turn(0, 100, 2000, 30_000);
            int[] used = new int[3];
            for (int i = 0; i < 32; i++) {
                // Model spec B.3: 11 height indices below 33, 10 width indices below 30, the rest
                // is time.
                int axis = i % 3 == 1 && i < 33 ? 1 : i % 3 == 2 && i < 30 ? 2 : 0;
                used[axis]++;
                float angle = new int[] {100, 2000, 30_000}[axis] * frequencies[i];
                assertEquals((float) StrictMath.cos(angle), at(table.cos(0), i), "cos " + i);
                assertEquals((float) StrictMath.sin(angle), at(table.sin(0), i), "sin " + i);
            }
            assertEquals(List.of(11, 11, 10), List.of(used[0], used[1], used[2]));
        }
    }

    @Test
    void yarnScalesCosineAndSine() {
        try (Arena arena = Arena.ofConfined()) {
            RotaryTable plain = new RotaryTable(ROPE, 64, 1, arena);
            RotaryTable yarn = new RotaryTable(ROPE.withYarn(4), 64, 1, arena);
            plain.turn(0, 7, 7, 7);
            yarn.turn(0, 7, 7, 7);
            // The first frequencies are not stretched, so only the factor shows (model spec H).
            for (int i = 0; i < 14; i++) {
                assertEquals(1.138629f * at(plain.cos(0), i), at(yarn.cos(0), i), 1e-6f);
                assertEquals(1.138629f * at(plain.sin(0), i), at(yarn.sin(0), i), 1e-6f);
            }
            assertEquals(
                    Math.sin(7 * 8.759770e-6) * 1.138629, at(yarn.sin(0), 21), 1e-10, "stretched");
        }
    }
}
