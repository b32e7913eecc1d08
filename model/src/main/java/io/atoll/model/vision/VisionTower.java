package io.atoll.model.vision;

import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.kernels.KvLayout;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.WeightFormat;
import io.atoll.kernels.scalar.ScalarMath;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.config.VisionConfig;
import io.atoll.model.trace.ForwardObserver;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/// The vision tower: from patches to embeddings (model specification G.2). Rows are f32 throughout.
///
/// Owns the packed weights. A call's memory is its own, so several may run at once. Work is split so that each float is computed by
/// one thread in a fixed order: how it is split never shows in a result.
public final class VisionTower implements AutoCloseable {
    private static final String PREFIX = "model.visual.";
    private static final int LANES = 16;
    private static final double NORM_EPS = 1e-6;
    private static final double ROTARY_THETA = 10_000;
    private static final float GELU_CUBIC = 0.044715f;
    private static final float GELU_SCALE = (float) (2 * Math.sqrt(2 / Math.PI));
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    private final Arena arena = Arena.ofShared();
    private final VisionConfig config;
    private final Kernels kernels;
    private final Linear patchEmbedding;
    private final float[] positions; // [side, side, hidden]
    private final List<Block> blocks = new ArrayList<>();
    private final Norm mergerNorm;
    private final Linear mergerIn;
    private final Linear mergerOut;

    /// `y = W x + bias`.
    private record Linear(PackedMatrix weight, float[] bias) {}

    private record Norm(float[] weight, float[] bias) {}

    private record Block(
            Norm attentionNorm,
            Linear queryKeyValue,
            Linear output,
            Norm mlpNorm,
            Linear mlpIn,
            Linear mlpOut) {}

    /// Has several threads do a part of some items each.
    @FunctionalInterface
    public interface Splitter {
        /// Does everything in the calling thread.
        Splitter NONE = (items, work, part) -> part.run(0, items);

        /// @param work what all items cost together, in multiply-adds; a rough estimate does
        void split(int items, long work, Part part);
    }

    /// Items `begin` to `end - 1`.
    @FunctionalInterface
    public interface Part {
        void run(int begin, int end);
    }

    /// Packs the weights; BF16 stays so, which keeps every value.
    ///
    /// @throws io.atoll.model.config.ModelFileException if a weight is missing or has another shape than the configuration says
    public VisionTower(VisionConfig config, VisionTensors weights, Kernels kernels) {
        this.config = config;
        this.kernels = kernels;
        int hidden = config.hiddenSize();
        int inner = config.intermediateSize();
        int merged = hidden * config.spatialMergeSize() * config.spatialMergeSize();
        try {
            patchEmbedding =
                    linear(
                            weights,
                            "patch_embed.proj",
                            hidden,
                            config.patchValues(),
                            hidden,
                            config.inChannels(),
                            config.temporalPatchSize(),
                            config.patchSize(),
                            config.patchSize());
            positions =
                    weights.tensor(PREFIX + "pos_embed.weight", config.positionEmbeddings(), hidden)
                            .floats();
            for (int i = 0; i < config.depth(); i++) {
                String block = "blocks." + i + ".";
                blocks.add(
                        new Block(
                                norm(weights, block + "norm1", hidden),
                                linear(weights, block + "attn.qkv", 3 * hidden, hidden),
                                linear(weights, block + "attn.proj", hidden, hidden),
                                norm(weights, block + "norm2", hidden),
                                linear(weights, block + "mlp.linear_fc1", inner, hidden),
                                linear(weights, block + "mlp.linear_fc2", hidden, inner)));
            }
            mergerNorm = norm(weights, "merger.norm", hidden);
            mergerIn = linear(weights, "merger.linear_fc1", merged, merged);
            mergerOut = linear(weights, "merger.linear_fc2", config.outHiddenSize(), merged);
        } catch (RuntimeException | Error e) {
            arena.close();
            throw e;
        }
    }

    private Linear linear(VisionTensors weights, String name, int rows, int cols, long... shape) {
        Tensor tensor =
                weights.tensor(
                        PREFIX + name + ".weight",
                        shape.length > 0 ? shape : new long[] {rows, cols});
        WeightFormat format = tensor.dtype() == DType.BF16 ? WeightFormat.BF16 : WeightFormat.F32;
        PackedMatrix packed =
                Packing.pack(
                        format,
                        rows,
                        cols,
                        (first, count, out) -> {
                            float[] values = new float[count * cols];
                            tensor.floats((long) first * cols, values, 0, values.length);
                            MemorySegment.copy(values, 0, out, F32, 0, values.length);
                        },
                        arena);
        return new Linear(packed, weights.tensor(PREFIX + name + ".bias", rows).floats());
    }

    private static Norm norm(VisionTensors weights, String name, int size) {
        return new Norm(
                weights.tensor(PREFIX + name + ".weight", size).floats(),
                weights.tensor(PREFIX + name + ".bias", size).floats());
    }

    /// The sizes.
    public VisionConfig config() {
        return config;
    }

    /// Runs the tower over a picture or a clip.
    ///
    /// @param observer is shown `vision_tower` `[patches, hidden]`, before the merger
    /// @return `[grid.embeddings(), outHiddenSize]`
    /// @throws VisionException if the patches are of another size than the tower's
    public float[] embed(Patches patches, Splitter splitter, ForwardObserver observer) {
        PatchGrid grid = patches.grid();
        if (patches.planePixels() != config.patchSize() * config.patchSize()
                || grid.mergeSize() != config.spatialMergeSize()
                || (patches.frames() != 1 && patches.frames() != config.temporalPatchSize())) {
            throw new VisionException("patches of another tower: " + grid);
        }
        int rows = grid.patches();
        int hidden = config.hiddenSize();
        try (Arena call = Arena.ofShared()) {
            MemorySegment x = floats(call, rows, hidden);
            embedPatches(patches, x, splitter);
            Angles angles = angles(grid, call);
            for (Block block : blocks) {
                attend(block, grid, angles, x, splitter);
                feedForward(block, rows, x, splitter);
            }
            observer.tensor("vision_tower", -1, x, rows, hidden);
            return merge(grid, x, splitter);
        }
    }

    // Step 1 and 2: the patch embedding, and the learned positions.

    private void embedPatches(Patches patches, MemorySegment x, Splitter splitter) {
        PatchGrid grid = patches.grid();
        int rows = grid.patches();
        int width = config.patchValues();
        try (Arena call = Arena.ofShared()) {
            MemorySegment values = floats(call, rows, width);
            splitter.split(
                    rows,
                    (long) rows * width,
                    (begin, end) -> {
                        float[] row = new float[width];
                        for (int patch = begin; patch < end; patch++) {
                            patches.values(patch, config.temporalPatchSize(), row);
                            MemorySegment.copy(
                                    row, 0, values, F32, (long) patch * width * Float.BYTES, width);
                        }
                    });
            multiply(patchEmbedding, values, rows, x, splitter);
        }
        addPositions(grid, x);
    }

    /// Adds the learned table, interpolated between its entries so that its corners meet the grid's.
    private void addPositions(PatchGrid grid, MemorySegment x) {
        int hidden = config.hiddenSize();
        int side = config.positionGridSide();
        for (int index = 0; index < grid.slicePatches(); index++) {
            float row = coordinate(grid.row(index), grid.rows(), side);
            float col = coordinate(grid.col(index), grid.cols(), side);
            int top = (int) row;
            int left = (int) col;
            int bottom = Math.min(top + 1, side - 1);
            int right = Math.min(left + 1, side - 1);
            float down = row - top;
            float across = col - left;
            for (int i = 0; i < hidden; i++) {
                float position =
                        (1 - down) * (1 - across) * positions[(top * side + left) * hidden + i]
                                + (1 - down) * across * positions[(top * side + right) * hidden + i]
                                + down
                                        * (1 - across)
                                        * positions[(bottom * side + left) * hidden + i]
                                + down * across * positions[(bottom * side + right) * hidden + i];
                for (int slice = 0; slice < grid.slices(); slice++) {
                    long at = ((long) slice * grid.slicePatches() + index) * hidden + i;
                    x.setAtIndex(F32, at, x.getAtIndex(F32, at) + position);
                }
            }
        }
    }

    private static float coordinate(int index, int count, int side) {
        return count == 1 ? 0 : (float) ((double) index * (side - 1) / (count - 1));
    }

    // Step 3: rotary angles of the patches of a slice.

    /// @param cos `[slice's patches, headDim / 2]`
    /// @param sin `[slice's patches, headDim / 2]`
    private record Angles(MemorySegment cos, MemorySegment sin) {}

    private Angles angles(PatchGrid grid, Arena call) {
        int half = config.headDim() / 2;
        int quarter = half / 2;
        Angles angles =
                new Angles(
                        floats(call, grid.slicePatches(), half),
                        floats(call, grid.slicePatches(), half));
        for (int index = 0; index < grid.slicePatches(); index++) {
            for (int i = 0; i < half; i++) {
                float frequency =
                        (float) (1 / StrictMath.pow(ROTARY_THETA, 2.0 * (i % quarter) / half));
                int place = i < quarter ? grid.row(index) : grid.col(index);
                float angle = place * frequency;
                long at = (long) index * half + i;
                angles.cos.setAtIndex(F32, at, (float) StrictMath.cos(angle));
                angles.sin.setAtIndex(F32, at, (float) StrictMath.sin(angle));
            }
        }
        return angles;
    }

    // Step 4: the blocks.

    /// `x += proj(attention(norm(x)))`, over the patches of each slice.
    private void attend(
            Block block, PatchGrid grid, Angles angles, MemorySegment x, Splitter splitter) {
        int rows = grid.patches();
        int hidden = config.hiddenSize();
        int heads = config.heads();
        int dim = config.headDim();
        int padded = Math.ceilDiv(dim, LANES) * LANES; // with zeros, which change no product
        try (Arena call = Arena.ofShared()) {
            MemorySegment normed = floats(call, rows, hidden);
            norm(block.attentionNorm(), x, rows, normed, splitter);
            MemorySegment queryKeyValue = floats(call, rows, 3 * hidden);
            multiply(block.queryKeyValue(), normed, rows, queryKeyValue, splitter);

            KvLayout layout = new KvLayout(KvFormat.F32, heads, Kernels.ATTENTION_SEGMENT, padded);
            int sliceBlocks = Math.ceilDiv(grid.slicePatches(), layout.blockTokens());
            MemorySegment pool =
                    call.allocate(
                            (long) grid.slices() * sliceBlocks * layout.blockBytes(),
                            Long.BYTES * 8);
            MemorySegment queries = floats(call, rows, heads * padded);
            MemorySegment[] offsets = new MemorySegment[grid.slices()];
            for (int slice = 0; slice < offsets.length; slice++) {
                offsets[slice] = call.allocate(ValueLayout.JAVA_LONG, sliceBlocks);
                for (int i = 0; i < sliceBlocks; i++) {
                    long offset = ((long) slice * sliceBlocks + i) * layout.blockBytes();
                    offsets[slice].setAtIndex(ValueLayout.JAVA_LONG, i, offset);
                }
            }
            splitter.split(
                    rows,
                    6L * rows * hidden,
                    (begin, end) -> {
                        try (Arena own = Arena.ofConfined()) {
                            MemorySegment key = floats(own, heads, padded);
                            MemorySegment value = floats(own, heads, padded);
                            for (int row = begin; row < end; row++) {
                                MemorySegment from = row(queryKeyValue, row, 3 * hidden);
                                MemorySegment query = row(queries, row, heads * padded);
                                int index = row % grid.slicePatches();
                                pad(from, 0, query, padded);
                                pad(from, hidden, key, padded);
                                pad(from, 2 * hidden, value, padded);
                                MemorySegment cos = row(angles.cos(), index, dim / 2);
                                MemorySegment sin = row(angles.sin(), index, dim / 2);
                                kernels.rotary(query, heads, padded, dim, cos, sin);
                                kernels.rotary(key, heads, padded, dim, cos, sin);
                                MemorySegment blocksOfSlice = offsets[row / grid.slicePatches()];
                                layout.store(kernels, key, value, pool, blocksOfSlice, index);
                            }
                        }
                    });

            MemorySegment attended = floats(call, rows, hidden);
            float scale = (float) (1 / Math.sqrt(dim));
            // A row at a time, each over all patches of its slice: there is no order among them.
            splitter.split(
                    rows * heads,
                    2L * rows * grid.slicePatches() * hidden,
                    (begin, end) -> {
                        try (Arena own = Arena.ofConfined()) {
                            MemorySegment scratch =
                                    floats(own, 1, (int) Kernels.attentionScratch(padded));
                            MemorySegment out = floats(own, heads, padded);
                            for (int item = begin; item < end; item++) {
                                int head = item / rows; // neighbours share keys and values
                                int row = item % rows;
                                kernels.attention(
                                        row(queries, row, heads * padded),
                                        1,
                                        layout,
                                        pool,
                                        offsets[row / grid.slicePatches()],
                                        grid.slicePatches(),
                                        heads,
                                        scale,
                                        out,
                                        scratch,
                                        head,
                                        head + 1);
                                MemorySegment.copy(
                                        out,
                                        (long) head * padded * Float.BYTES,
                                        attended,
                                        ((long) row * hidden + (long) head * dim) * Float.BYTES,
                                        (long) dim * Float.BYTES);
                            }
                        }
                    });
            multiply(block.output(), attended, rows, normed, splitter);
            kernels.add(x, normed, (long) rows * hidden);
        }
    }

    /// Spreads the heads of a row; what is between them stays zero.
    private void pad(MemorySegment from, int first, MemorySegment to, int padded) {
        int dim = config.headDim();
        for (int head = 0; head < config.heads(); head++) {
            MemorySegment.copy(
                    from,
                    ((long) first + (long) head * dim) * Float.BYTES,
                    to,
                    (long) head * padded * Float.BYTES,
                    (long) dim * Float.BYTES);
        }
    }

    /// `x += fc2(gelu(fc1(norm(x))))`.
    private void feedForward(Block block, int rows, MemorySegment x, Splitter splitter) {
        int hidden = config.hiddenSize();
        int inner = config.intermediateSize();
        try (Arena call = Arena.ofShared()) {
            MemorySegment normed = floats(call, rows, hidden);
            MemorySegment middle = floats(call, rows, inner);
            norm(block.mlpNorm(), x, rows, normed, splitter);
            multiply(block.mlpIn(), normed, rows, middle, splitter);
            splitter.split(
                    rows,
                    16L * rows * inner,
                    (begin, end) -> {
                        for (long i = (long) begin * inner; i < (long) end * inner; i++) {
                            middle.setAtIndex(F32, i, geluTanh(middle.getAtIndex(F32, i)));
                        }
                    });
            multiply(block.mlpOut(), middle, rows, normed, splitter);
            kernels.add(x, normed, (long) rows * hidden);
        }
    }

    // Step 5: the merger, over the patches of a square next to each other.

    private float[] merge(PatchGrid grid, MemorySegment x, Splitter splitter) {
        int rows = grid.embeddings();
        int merged = config.hiddenSize() * grid.mergeSize() * grid.mergeSize();
        try (Arena call = Arena.ofShared()) {
            MemorySegment normed = floats(call, rows, merged);
            MemorySegment middle = floats(call, rows, merged);
            MemorySegment out = floats(call, rows, config.outHiddenSize());
            norm(mergerNorm, x, grid.patches(), normed, splitter);
            multiply(mergerIn, normed, rows, middle, splitter);
            splitter.split(
                    rows,
                    100L * rows * merged,
                    (begin, end) -> {
                        for (long i = (long) begin * merged; i < (long) end * merged; i++) {
                            middle.setAtIndex(F32, i, gelu(middle.getAtIndex(F32, i)));
                        }
                    });
            multiply(mergerOut, middle, rows, out, splitter);
            return out.toArray(F32);
        }
    }

    // Operations that the text model does not have.

    private void multiply(
            Linear linear, MemorySegment x, int rows, MemorySegment y, Splitter splitter) {
        PackedMatrix weight = linear.weight();
        int outputs = weight.rows();
        splitter.split(
                weight.groups(),
                (long) rows * outputs * weight.cols(),
                (begin, end) -> {
                    kernels.matMul(weight, x, rows, y, outputs, begin, end);
                    int last = Math.min(outputs, end * WeightFormat.GROUP);
                    for (int row = 0; row < rows; row++) {
                        for (int i = begin * WeightFormat.GROUP; i < last; i++) {
                            long at = (long) row * outputs + i;
                            y.setAtIndex(F32, at, y.getAtIndex(F32, at) + linear.bias()[i]);
                        }
                    }
                });
    }

    /// LayerNorm with weight and bias (B.1); sums are taken in f64, ascending.
    private static void norm(
            Norm norm, MemorySegment x, int rows, MemorySegment y, Splitter splitter) {
        int width = norm.weight().length;
        splitter.split(
                rows,
                4L * rows * width,
                (begin, end) -> {
                    for (int row = begin; row < end; row++) {
                        long first = (long) row * width;
                        double sum = 0;
                        for (int i = 0; i < width; i++) {
                            sum += x.getAtIndex(F32, first + i);
                        }
                        double mean = sum / width;
                        double squares = 0;
                        for (int i = 0; i < width; i++) {
                            double off = x.getAtIndex(F32, first + i) - mean;
                            squares += off * off;
                        }
                        double inverse = 1 / Math.sqrt(squares / width + NORM_EPS);
                        for (int i = 0; i < width; i++) {
                            double normed = (x.getAtIndex(F32, first + i) - mean) * inverse;
                            y.setAtIndex(
                                    F32,
                                    first + i,
                                    (float) (normed * norm.weight()[i] + norm.bias()[i]));
                        }
                    }
                });
    }

    /// `x / 2 (1 + tanh(u))` with `u` the usual cubic, which is `x sigmoid(2 u)`.
    private static float geluTanh(float x) {
        return x * ScalarMath.sigmoid(GELU_SCALE * (x + GELU_CUBIC * x * x * x));
    }

    /// `x / 2 (1 + erf(x / sqrt(2)))`.
    static float gelu(float x) {
        return (float) (0.5 * x * (1 + errorFunction(x / Math.sqrt(2))));
    }

    /// The error function by its series of terms of one sign, `2 / sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!`.
    private static double errorFunction(double x) {
        double size = Math.abs(x);
        if (!(size < 6)) {
            return Double.isNaN(x) ? x : Math.signum(x);
        }
        double term = size;
        double sum = size;
        for (int n = 1; term > sum * 1e-17; n++) {
            term *= 2 * size * size / (2 * n + 1);
            sum += term;
        }
        return Math.signum(x) * 2 / Math.sqrt(Math.PI) * StrictMath.exp(-size * size) * sum;
    }

    private static MemorySegment floats(Arena arena, int rows, int cols) {
        return arena.allocate(Float.BYTES * (long) rows * cols, 64);
    }

    private static MemorySegment row(MemorySegment matrix, int row, int cols) {
        long bytes = (long) Float.BYTES * cols;
        return matrix.asSlice(row * bytes, bytes);
    }

    @Override
    public void close() {
        arena.close();
    }
}
