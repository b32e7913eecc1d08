package io.atoll.model.reference;

import io.atoll.model.config.RopeParameters;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Cosine and sine of a position's angles (model specification B.3 step 3 and H).
final class Rotary {
    private final float[] inverseFrequencies;
    private final float attentionFactor;
    private final int heightShare;
    private final int widthShare;

    Rotary(RopeParameters rope, int rotaryDim) {
        inverseFrequencies = rope.inverseFrequencies(rotaryDim);
        attentionFactor = rope.attentionFactor();
        heightShare = rope.mropeSection().get(1);
        widthShare = rope.mropeSection().get(2);
    }

    /// Frequencies are turned by time, height and width in turn, until an axis has its share.
    ///
    /// @param cos `[rotaryDim / 2]`, overwritten
    /// @param sin `[rotaryDim / 2]`, overwritten
    void at(int time, int height, int width, MemorySegment cos, MemorySegment sin) {
        for (int i = 0; i < inverseFrequencies.length; i++) {
            int position = time;
            if (i % 3 == 1 && i < 3 * heightShare) {
                position = height;
            } else if (i % 3 == 2 && i < 3 * widthShare) {
                position = width;
            }
            // The angle is rounded to f32, as the reference implementation does; StrictMath gives
            // the same bits on every
            // machine.
            float angle = position * inverseFrequencies[i];
            cos.setAtIndex(
                    ValueLayout.JAVA_FLOAT, i, (float) StrictMath.cos(angle) * attentionFactor);
            sin.setAtIndex(
                    ValueLayout.JAVA_FLOAT, i, (float) StrictMath.sin(angle) * attentionFactor);
        }
    }
}
