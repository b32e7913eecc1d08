package io.atoll.kernels.cuda;

import io.atoll.kernels.BlockLayout;
import io.atoll.kernels.WeightFormat;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/// The kernels of routed experts (`src/main/cuda/experts.cu`): gate, up, SiLU and rounding of the rows of several experts in one
/// launch, down and the combine in another. Results have the bits of [io.atoll.kernels.Kernels].
public final class ExpertKernels {
    /// Bytes of one [#putItem].
    public static final int ITEM_BYTES = 32;

    /// Rows of one expert that a launch of many takes at a time.
    public static final int MANY = 4;

    private static final int LAYOUT_BYTES = 64;
    private static final int JOB_BYTES = 104;
    private static final int THREADS = 128; // four warps
    private static final int GRID_LIMIT = 65535;

    // The enums of experts.cu.
    private static final int NO_NUMBER = 0;
    private static final int NUMBER_F32 = 1;
    private static final int NUMBER_F16 = 2;
    private static final int NUMBER_BF16 = 3;
    private static final int NO_BYTE = 0;
    private static final int UNSIGNED_BYTE = 1;
    private static final int SIGNED_BYTE = 2;
    private static final int LOW_NIBBLE = 3;
    private static final int HALF_OF_E4M3 = 4;
    private static final int NOTHING = 0;
    private static final int MINIMUM = 1;
    private static final int MINIMUM_TIMES_BYTE = 2;
    private static final int MINIMUM_TIMES_HIGH_NIBBLE = 3;
    private static final int ZERO_OF_RECORD = 4;
    private static final int ZERO_OF_OUTPUT = 5;
    private static final int NO_FACTOR = 0;
    private static final int MULTIPLIES = 1;
    private static final int DIVIDES = 2;

    private final CudaDevice device;
    private final Map<WeightFormat, ByteBuffer> layouts = new EnumMap<>(WeightFormat.class);

    public ExpertKernels(CudaDevice device) {
        this.device = device;
    }

    /// Whether experts of these formats and sizes can be computed: the others are for the CPU.
    public static boolean takes(
            WeightFormat gate, WeightFormat up, WeightFormat down, int hidden, int intermediate) {
        return gate == up
                && hidden % gate.columnMultiple() == 0
                && intermediate % down.columnMultiple() == 0
                && hidden % WeightFormat.BLOCK == 0
                && intermediate % WeightFormat.BLOCK == 0;
    }

    /// Where everything lies in the device's memory: addresses, 0 for what the formats don't need.
    ///
    /// @param items [#ITEM_BYTES] for each, see [#putItem]
    /// @param rowOf int32 `[routes]`, the row of each sorted route
    /// @param weightOf f32 `[routes]`
    /// @param x int8 `[rows, hidden]`, where gate and up take such rows
    /// @param xScales f32 `[rows, hidden / 32]`
    /// @param xFloats f32 `[rows, hidden]`, where they take f32 rows
    /// @param inner int8 `[routes, intermediate]`, where down takes such rows
    /// @param innerScales f32 `[routes, intermediate / 32]`
    /// @param innerFloats f32 `[routes, intermediate]`, where it takes f32 rows
    /// @param sums int64 `[rows, hidden]`, added to
    /// @param failed int32 `[rows]`, set where a product is not finite or past the grid
    public record Job(
            long items,
            long rowOf,
            long weightOf,
            long x,
            long xScales,
            long xFloats,
            long inner,
            long innerScales,
            long innerFloats,
            long sums,
            long failed,
            int hidden,
            int intermediate,
            int fractionBits) {
        private ByteBuffer bytes(long firstItem, boolean rounds) {
            ByteBuffer bytes = CudaDevice.parameter(JOB_BYTES);
            bytes.putLong(items + firstItem * ITEM_BYTES).putLong(rowOf).putLong(weightOf);
            bytes.putLong(x).putLong(xScales).putLong(xFloats);
            bytes.putLong(inner).putLong(innerScales).putLong(rounds ? 0 : innerFloats);
            bytes.putLong(sums).putLong(failed);
            return bytes.putInt(hidden).putInt(intermediate).putInt(fractionBits).clear();
        }
    }

    /// Writes an item: some sorted routes of one expert, one in a launch of single rows, at most [#MANY] in one of many.
    ///
    /// @param gate address of the packed matrix
    /// @param first of the routes
    public static void putItem(ByteBuffer to, long gate, long up, long down, int first, int count) {
        to.putLong(gate).putLong(up).putLong(down).putInt(first).putInt(count);
    }

    /// Begins to compute the inner outputs of some items.
    ///
    /// @param format of gate and up
    /// @param rounds whether down takes int8 rows
    /// @param many whether items have more than one row
    public void inner(
            WeightFormat format, boolean rounds, boolean many, Job job, int firstItem, int items) {
        int blocks = job.intermediate / WeightFormat.BLOCK;
        int threads = format.takesQuantizedRows() ? THREADS : THREADS / 2;
        launch("inner", format, rounds, many, job, firstItem, items, blocks, threads);
    }

    /// Begins to compute the outputs of some items, and to add them to the sums.
    ///
    /// @param format of down
    public void outer(WeightFormat format, boolean many, Job job, int firstItem, int items) {
        // A block is four warps; a warp is 16 outputs of integers, or 32 of floats.
        int outputs = format.takesQuantizedRows() ? THREADS / 2 : THREADS;
        int blocks = Math.ceilDiv(job.hidden, outputs);
        boolean rounds = format.takesQuantizedRows();
        launch("outer", format, rounds, many, job, firstItem, items, blocks, THREADS);
    }

    private void launch(
            String step,
            WeightFormat format,
            boolean rounds,
            boolean many,
            Job job,
            int firstItem,
            int items,
            int blocks,
            int threads) {
        String kernel = step + "_" + shape(format) + "_r" + (many ? MANY : 1);
        ByteBuffer layout = layouts.computeIfAbsent(format, ExpertKernels::layout);
        for (int first = 0; first < items; first += GRID_LIMIT) {
            int count = Math.min(GRID_LIMIT, items - first);
            device.launch(
                    kernel, blocks, count, threads, layout, job.bytes(firstItem + first, rounds));
        }
    }

    /// The shape of codes that a kernel is compiled for.
    private static String shape(WeightFormat format) {
        if (!format.takesQuantizedRows()) {
            return format.name();
        }
        BlockLayout layout = format.layout();
        return layout.lowBits()
                + "_"
                + layout.highBits()
                + "_"
                + layout.runColumns()
                + "_"
                + (layout.table().isEmpty() ? 0 : 1);
    }

    private static ByteBuffer layout(WeightFormat format) {
        ByteBuffer bytes = CudaDevice.parameter(LAYOUT_BYTES);
        if (!format.takesQuantizedRows()) {
            return bytes;
        }
        BlockLayout layout = format.layout();
        Scales scales = Scales.of(layout.scales());
        bytes.putInt(layout.columns());
        bytes.putInt(Integer.numberOfTrailingZeros(layout.columns() / WeightFormat.BLOCK));
        bytes.putInt(layout.table().isEmpty() ? layout.offset() : 0);
        bytes.putInt(scales.number)
                .putInt(scales.runByte)
                .putInt(scales.extra)
                .putInt(scales.factor);
        bytes.putInt(layout.groupHeaderBytes()).putInt(layout.headerBytes());
        bytes.putInt(Math.toIntExact(layout.recordBytes()));
        bytes.putInt(scales.firstByte).putInt(scales.runBytes);
        for (int level : levels(layout.table())) {
            bytes.put((byte) level);
        }
        return bytes.clear();
    }

    private static List<Integer> levels(List<Integer> table) {
        return table.isEmpty() ? Collections.nCopies(16, 0) : table;
    }

    /// What experts.cu says of scales.
    private record Scales(
            int number, int runByte, int extra, int factor, int firstByte, int runBytes) {
        static Scales of(BlockLayout.Scales scales) {
            return switch (scales) {
                case F32_SCALE -> plain(NUMBER_F32, NOTHING);
                case F16_SCALE -> plain(NUMBER_F16, NOTHING);
                case BF16_SCALE -> plain(NUMBER_BF16, NOTHING);
                case F16_SCALE_AND_MINIMUM -> plain(NUMBER_F16, MINIMUM);
                case F16_SCALE_AND_ZERO -> plain(NUMBER_F16, ZERO_OF_RECORD);
                case BF16_SCALE_AND_ZERO -> plain(NUMBER_BF16, ZERO_OF_RECORD);
                case F32_SCALE_AND_ZERO -> plain(NUMBER_F32, ZERO_OF_RECORD);
                case SCALE_AND_ZERO_OF_OUTPUT ->
                        new Scales(NO_NUMBER, NO_BYTE, ZERO_OF_OUTPUT, MULTIPLIES, 0, 0);
                case E4M3_MULTIPLIED ->
                        new Scales(NO_NUMBER, HALF_OF_E4M3, NOTHING, MULTIPLIES, 0, 16);
                case E4M3_DIVIDED -> new Scales(NO_NUMBER, HALF_OF_E4M3, NOTHING, DIVIDES, 0, 16);
                case HALVES_TIMES_BYTES ->
                        new Scales(
                                NUMBER_F16, UNSIGNED_BYTE, MINIMUM_TIMES_BYTE, NO_FACTOR, 64, 32);
                case HALVES_TIMES_NIBBLES ->
                        new Scales(
                                NUMBER_F16,
                                LOW_NIBBLE,
                                MINIMUM_TIMES_HIGH_NIBBLE,
                                NO_FACTOR,
                                64,
                                16);
                case F32_TIMES_SIGNED_BYTES ->
                        new Scales(NUMBER_F32, SIGNED_BYTE, NOTHING, NO_FACTOR, 64, 16);
            };
        }

        private static Scales plain(int number, int extra) {
            return new Scales(number, NO_BYTE, extra, NO_FACTOR, 0, 0);
        }
    }
}
