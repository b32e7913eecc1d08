package io.atoll.model.vision;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/// A picture or a clip, cut into patches: what the vision tower takes.
///
/// @param grid how it is cut
/// @param frames of each patch in `levels`: 1 for a still picture, whose two frames are equal
/// @param levels 8-bit levels `[patches, 3, frames, patchSize, patchSize]` in the order of [PatchGrid#row]; not copied
public record Patches(PatchGrid grid, int frames, byte[] levels) {
    private static final int CHANNELS = 3;

    public Patches {
        long perPlane = (long) grid.patches() * CHANNELS * frames;
        if (frames <= 0
                || levels.length % perPlane != 0
                || !isSquare((int) (levels.length / perPlane))) {
            throw new IllegalArgumentException(
                    levels.length
                            + " levels are no patches of "
                            + frames
                            + " frames on the grid "
                            + grid);
        }
    }

    private static boolean isSquare(int values) {
        int side = (int) Math.round(Math.sqrt(values));
        return side > 0 && side * side == values;
    }

    /// Pixels of a patch in one channel of one frame.
    public int planePixels() {
        return levels.length / (grid.patches() * CHANNELS * frames);
    }

    /// The values of one patch as the tower takes them: `(level / 255 - 0.5) / 0.5`, still pictures repeated for each frame.
    ///
    /// @param temporalPatchSize frames of a patch in the tower
    /// @param values `[3, temporalPatchSize, patchSize, patchSize]`, overwritten
    public void values(int patch, int temporalPatchSize, float[] values) {
        int plane = planePixels();
        int at = 0;
        for (int channel = 0; channel < CHANNELS; channel++) {
            for (int frame = 0; frame < temporalPatchSize; frame++) {
                int stored = Math.min(frame, frames - 1);
                int from = ((patch * CHANNELS + channel) * frames + stored) * plane;
                for (int i = 0; i < plane; i++) {
                    float level = (levels[from + i] & 0xff) * (1 / 255f);
                    values[at++] = (level - 0.5f) / 0.5f;
                }
            }
        }
    }

    /// SHA-256 over grid and levels: what tells pictures apart whose pads are the same tokens.
    public byte[] digest() {
        MessageDigest sha;
        try {
            sha = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
        sha.update(
                ByteBuffer.allocate(5 * Integer.BYTES)
                        .putInt(grid.slices())
                        .putInt(grid.rows())
                        .putInt(grid.cols())
                        .putInt(grid.mergeSize())
                        .putInt(frames)
                        .array());
        return sha.digest(levels);
    }
}
