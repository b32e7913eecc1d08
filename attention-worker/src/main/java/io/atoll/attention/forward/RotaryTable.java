package io.atoll.attention.forward;

import io.atoll.model.config.RopeParameters;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Cosines and sines of the rows of one step (model spec B.3 step 3, H).
///
/// They are computed anew for each step and shared by its layers, so a context of a million positions costs no table. An
/// angle is the f32 product of position and inverse frequency; its cosine is taken in f64 by [StrictMath], which is the same
/// on every machine, and rounded once, then scaled by YaRN's factor.
final class RotaryTable {
    private final float[] inverseFrequencies;
    private final int[] axes;
    private final float attentionFactor;
    private final MemorySegment cos; // f32 [maxRows, rotaryDim / 2]
    private final MemorySegment sin;

    /// The three positions of a token; equal for text.
    private static final int TIME = 0;

    private static final int HEIGHT = 1;
    private static final int WIDTH = 2;

    RotaryTable(RopeParameters rope, int rotaryDim, int maxRows, Arena arena) {
        inverseFrequencies = rope.inverseFrequencies(rotaryDim);
        attentionFactor = rope.attentionFactor();
        axes = new int[inverseFrequencies.length];
        for (int i = 0; i < axes.length; i++) {
            axes[i] = axis(i, rope.mropeSection().get(HEIGHT), rope.mropeSection().get(WIDTH));
        }
        long bytes = (long) maxRows * axes.length * Float.BYTES;
        cos = arena.allocate(bytes, 64);
        sin = arena.allocate(bytes, 64);
    }

    /// Which of a token's positions turns frequency `index`: interleaved, until an axis has its share.
    private static int axis(int index, int heightShare, int widthShare) {
        if (index % 3 == HEIGHT && index < 3 * heightShare) {
            return HEIGHT;
        }
        return index % 3 == WIDTH && index < 3 * widthShare ? WIDTH : TIME;
    }

    /// Computes the rows of a step.
    void turnTo(StepBatch batch) {
        for (int row = 0; row < batch.rows(); row++) {
            int position = batch.position(row);
            turn(row, position, position, position);
        }
    }

    void turn(int row, int time, int height, int width) {
        for (int i = 0; i < axes.length; i++) {
            int position =
                    switch (axes[i]) {
                        case HEIGHT -> height;
                        case WIDTH -> width;
                        default -> time;
                    };
            float angle = position * inverseFrequencies[i];
            long at = (long) row * axes.length + i;
            cos.setAtIndex(
                    ValueLayout.JAVA_FLOAT, at, (float) StrictMath.cos(angle) * attentionFactor);
            sin.setAtIndex(
                    ValueLayout.JAVA_FLOAT, at, (float) StrictMath.sin(angle) * attentionFactor);
        }
    }

    /// Cosines `[rotaryDim / 2]` of a row.
    MemorySegment cos(int row) {
        return Rows.from(cos, row, axes.length);
    }

    /// Sines `[rotaryDim / 2]` of a row.
    MemorySegment sin(int row) {
        return Rows.from(sin, row, axes.length);
    }
}
