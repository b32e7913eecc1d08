package io.atoll.model.vision;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;

/// The pictures of one sequence: what takes the place of its pads, and the positions that follow from them.
public final class VisualInput {
    /// Of a sequence without pictures.
    public static final VisualInput NONE = new VisualInput(List.of());

    /// Fewer pads cannot hold a hash that nobody finds a second picture for.
    private static final int MIN_KEY_PADS = 4;

    private final List<Picture> pictures;
    private final MropePositions positions;

    /// A still picture, or one slice of a clip.
    ///
    /// @param run where its pads are
    /// @param embeddings `[run.length(), hidden]`, not copied
    /// @param digest of all pixels that the embeddings come from: [Patches#digest]
    public record Picture(VisualRun run, float[] embeddings, byte[] digest) {
        public Picture {
            if (embeddings.length == 0 || embeddings.length % run.length() != 0) {
                throw new IllegalArgumentException(
                        embeddings.length + " floats are no embeddings of " + run);
            }
        }

        private int width() {
            return embeddings.length / run.length();
        }
    }

    /// @param pictures in the order of their pads
    /// @throws IllegalArgumentException if their pads overlap or are out of order
    public VisualInput(List<Picture> pictures) {
        this.pictures = List.copyOf(pictures);
        positions = new MropePositions(pictures.stream().map(Picture::run).toList());
    }

    /// The pictures, in the order of their pads.
    public List<Picture> pictures() {
        return pictures;
    }

    /// The three positions of each token.
    public MropePositions positions() {
        return positions;
    }

    /// Checks that embeddings fit a model.
    ///
    /// @throws IllegalArgumentException if one does not
    public void checkWidth(int hidden) {
        for (Picture picture : pictures) {
            if (picture.width() != hidden) {
                throw new IllegalArgumentException(
                        "embeddings of width "
                                + picture.width()
                                + " for a model of width "
                                + hidden
                                + ": "
                                + picture.run());
            }
        }
    }

    /// Writes the embedding that takes a pad's place.
    ///
    /// @param index of a token in the sequence
    /// @param row f32 `[hidden]`, overwritten if the token is a pad
    /// @return whether it is
    public boolean embed(int index, MemorySegment row) {
        int at = positions.runAt(index);
        if (at < 0) {
            return false;
        }
        Picture picture = pictures.get(at);
        int width = picture.width();
        MemorySegment.copy(
                picture.embeddings(),
                (index - picture.run().begin()) * width,
                row,
                ValueLayout.JAVA_FLOAT,
                0,
                width);
        return true;
    }

    /// What tells a sequence from others, token by token: ids, and in the place of pads numbers below zero that come from the
    /// picture's pixels. Equal beginnings have equal states then.
    ///
    /// A picture of fewer than 4 pads has no room for a hash, so that its numbers also come from `sequence`.
    ///
    /// @param ids of the first tokens; the same array is returned if there are no pictures
    /// @param sequence a number that no other sequence has
    public int[] keys(int[] ids, long sequence) {
        if (pictures.isEmpty()) {
            return ids;
        }
        int[] keys = ids.clone();
        for (Picture picture : pictures) {
            VisualRun run = picture.run();
            long owner = run.length() < MIN_KEY_PADS ? sequence : -1;
            for (int i = 0; i < run.length() && run.begin() + i < keys.length; i++) {
                keys[run.begin() + i] = Integer.MIN_VALUE | padHash(picture, owner, i);
            }
        }
        return keys;
    }

    private static int padHash(Picture picture, long owner, int pad) {
        try {
            MessageDigest sha = MessageDigest.getInstance("SHA-256");
            sha.update(picture.digest());
            sha.update(
                    ByteBuffer.allocate(3 * Integer.BYTES + Long.BYTES)
                            .putInt(picture.run().rows())
                            .putInt(picture.run().cols())
                            .putInt(pad)
                            .putLong(owner)
                            .array());
            return ByteBuffer.wrap(sha.digest()).getInt();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
