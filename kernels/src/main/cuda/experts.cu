/* Routed experts over rows that are sorted by expert, with the weights where io.atoll.kernels.PackedMatrix has them.
 *
 * A warp is 16 outputs: lane l is output l mod 16. Integer products of a block of 32 columns are exact in any order, so the two halves of
 * a warp take turns with the blocks; the sums of blocks are f32, and every lane adds them in ascending order, so the bits are
 * those of a CPU. Weights of floats are added one column after the other: there the halves of a warp are two matrices, or two groups.
 *
 * A kernel is compiled for the shapes of codes and the rows that it takes at once; how scales are stored is asked at run time. */
#include "arithmetic.cuh"

/* A scale is a number of the record times a byte of the run, where the format has them. */
enum number { NO_NUMBER, NUMBER_F32, NUMBER_F16, NUMBER_BF16 };
enum run_byte { NO_BYTE, UNSIGNED_BYTE, SIGNED_BYTE, LOW_NIBBLE, HALF_OF_E4M3 };

/* What is added to the products beside, or taken off the codes. */
enum extra { NOTHING, MINIMUM, MINIMUM_TIMES_BYTE, MINIMUM_TIMES_HIGH_NIBBLE, ZERO_OF_RECORD, ZERO_OF_OUTPUT };

/* What a factor of an output does to its sum. */
enum factor { NO_FACTOR, MULTIPLIES, DIVIDES };

/* Formats of floats, for matrices without a layout. */
enum floats { F32, BF16, F16, F8_E4M3 };

/* What BlockLayout says of a format, and its sizes in bytes. */
struct layout {
    int32_t columns;       /* of a record */
    int32_t record_shift;  /* its blocks are 2^record_shift */
    int32_t offset;  /* what a code is larger than its level */
    int32_t number, run_byte, extra, factor;
    int32_t group_header; /* before the records of a group */
    int32_t header;       /* before the codes of a record */
    int32_t record;
    int32_t first_byte, run_bytes; /* where the bytes of the runs begin in a record, and from one run to the next */
    uint32_t table[4];             /* levels of 16 codes, where the shape has a table */
};

/* One expert's rows, a few of them at a time: positions first to first + count - 1 of the sorted routes. */
struct item {
    uint64_t gate, up, down; /* addresses of the packed matrices */
    int32_t first, count;
};

/* What a step of the layer is about. Rows and routes lie in device memory. */
struct job {
    const item *items;
    const int32_t *row_of;      /* [routes], row of each sorted route */
    const float *weight_of;     /* [routes] */
    const int8_t *x;            /* [rows, hidden], if gate and up take int8 rows */
    const float *x_scales;      /* [rows, hidden / 32] */
    const float *x_floats;      /* [rows, hidden], if they take f32 rows */
    int8_t *inner;              /* [routes, intermediate], if down takes int8 rows */
    float *inner_scales;        /* [routes, intermediate / 32] */
    float *inner_floats;        /* [routes, intermediate], if it takes f32 rows */
    unsigned long long *sums;   /* [rows, hidden] int64 */
    int32_t *failed;            /* [rows], set where a product is not finite or past the grid */
    int32_t hidden, intermediate;
    int32_t fraction_bits;
};

template <class T> INLINE T from(const uint8_t *at) {
    return *(const T *)at;
}

INLINE bool has_minimum(const layout &l) {
    return l.extra >= MINIMUM && l.extra <= MINIMUM_TIMES_HIGH_NIBBLE;
}

INLINE bool has_zero(const layout &l) {
    return l.extra >= ZERO_OF_RECORD;
}

/* Codes of an output's block of 32 columns, as they lie in memory. */
template <int LOW, int HIGH> struct codes {
    uint32_t low[LOW], high[HIGH > 0 ? HIGH : 1];

    INLINE void load(const uint8_t *block, int lane) {
#pragma unroll
        for (int v = 0; v < LOW; v++) {
            low[v] = from<uint32_t>(block + 64 * (HIGH == 0 ? v : v + 1 + v * HIGH / LOW) + 4 * lane);
        }
#pragma unroll
        for (int v = 0; v < HIGH; v++) {
            high[v] = from<uint32_t>(block + 64 * v * (1 + LOW / (HIGH > 0 ? HIGH : 1)) + 4 * lane);
        }
    }

    /* The signed bytes of columns 4 a to 4 a + 3. Bytes of eight bits are less 128 already. */
    template <bool TABLE> INLINE int four(const layout &l, int a) const {
        if (LOW == 8) {
            return (int)(low[a % LOW] ^ 0x80808080u);
        }
        uint32_t code = (low[a * LOW / 8] >> (LOW * (a % (8 / LOW)))) & (0x01010101u * ((1 << LOW) - 1));
        if (HIGH > 0) {
            code |= ((high[a * HIGH / 8] >> (HIGH * (a % (8 / (HIGH > 0 ? HIGH : 1))))) & (0x01010101u * ((1 << HIGH) - 1))) << LOW;
        }
        if (!TABLE) {
            return (int)code;
        }
        const uint32_t pairs = code | (code >> 4);
        const uint32_t nibbles = (pairs & 0xFF) | ((pairs >> 8) & 0xFF00);
        const uint32_t lower = pick_bytes(l.table[0], l.table[1], nibbles & 0x7777);
        const uint32_t upper = pick_bytes(l.table[2], l.table[3], nibbles & 0x7777);
        return (int)pick_bytes(lower, upper, 0x3210 | ((nibbles & 0x8888) >> 1));
    }
};

/* A block of 32 columns of an output as it lies in memory. All of it is asked for at once, and taken apart later: what a lane waits
 * for is the memory. */
template <int LOW, int HIGH, int RUN> struct block {
    static constexpr int RUNS = BLOCK / RUN;
    codes<LOW, HIGH> code;
    uint32_t number, minimum, run_byte[RUNS], minimum_byte[RUNS];
    int offset;

    INLINE void load(const layout &l, const uint8_t *group, int index, int lane) {
        const uint8_t *record = group + l.group_header + (int64_t)(index >> l.record_shift) * l.record;
        const int in_record = index & ((1 << l.record_shift) - 1);
        code.load(record + l.header + in_record * (64 * (LOW + HIGH)), lane);
        number = l.number == NUMBER_F32 ? from<uint32_t>(record + 4 * lane)
                 : l.number != NO_NUMBER ? from<uint16_t>(record + 2 * lane)
                                         : 0;
        minimum = has_minimum(l) ? from<uint16_t>(record + 2 * LANES + 2 * lane) : 0;
#pragma unroll
        for (int run = 0; run < RUNS; run++) {
            const uint8_t *bytes = record + l.first_byte + l.run_bytes * (in_record * RUNS + run) + lane;
            run_byte[run] = l.run_byte != NO_BYTE ? *bytes : 0;
            minimum_byte[run] = l.extra == MINIMUM_TIMES_BYTE ? bytes[LANES] : run_byte[run] >> 4;
        }
        offset = l.extra == ZERO_OF_RECORD   ? (int8_t)record[l.header - LANES + lane]
                 : l.extra == ZERO_OF_OUTPUT ? (int8_t)group[4 * LANES + lane]
                                             : 0;
        offset += l.offset - (LOW == 8 ? 128 : 0);
    }

    INLINE float scale(const layout &l, int run) const {
        const float factor = l.number == NUMBER_F16    ? half_to_float(number)
                             : l.number == NUMBER_F32  ? bits_to_float(number)
                             : l.number == NUMBER_BF16 ? bf16_to_float(number)
                                                       : 1.0f;
        const uint32_t byte = run_byte[run];
        return l.run_byte == NO_BYTE         ? factor
               : l.run_byte == UNSIGNED_BYTE ? factor * (float)byte
               : l.run_byte == SIGNED_BYTE   ? factor * (float)(int8_t)byte
               : l.run_byte == LOW_NIBBLE    ? factor * (float)(byte & 15)
                                             : e4m3_to_float(byte) * 0.5f;
    }

    INLINE float least(const layout &l, int run) const {
        const float value = half_to_float(minimum);
        return l.extra == MINIMUM ? value : -(value * (float)minimum_byte[run]);
    }
};

/* Blocks that a lane has under way at once. */
template <int R> INLINE constexpr int blocks_ahead() {
    return R == 1 ? 4 : 2;
}

/* The products of a group of 16 outputs and R rows.
 *
 * @param x the rows' bytes; rows that there are not repeat the last
 * @param y [R], the sums of this lane's output, the same in both halves of the warp */
template <int LOW, int HIGH, int RUN, bool TABLE, int R>
INLINE void quantized_product(const layout &l, const uint8_t *group, int cols, const int8_t *const *x, const float *const *scales,
                              float *y) {
    const int lane = threadIdx.x % LANES, half = threadIdx.x / LANES % 2;
    const int blocks = cols / BLOCK;
    const bool minima = has_minimum(l), sums = minima || has_zero(l) || (LOW != 8 && !TABLE && l.offset != 0);
    constexpr int runs = BLOCK / RUN, AHEAD = blocks_ahead<R>();
#pragma unroll
    for (int r = 0; r < R; r++) {
        y[r] = 0.0f;
    }
    block<LOW, HIGH, RUN> ahead[AHEAD] = {}; /* each lane's next blocks; the last one again where there are no more */
    for (int first = -2 * AHEAD; first < blocks; first += 2 * AHEAD) {
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            const int pair = first + 2 * i;
            if (pair >= blocks) {
                break;
            }
            const block<LOW, HIGH, RUN> now = ahead[i];
            ahead[i].load(l, group, min(pair + 2 * AHEAD + half, blocks - 1), lane);
            if (pair < 0) {
                continue; /* nothing was asked for yet */
            }
            const int index = min(pair + half, blocks - 1);
            float scale[runs], minimum[runs];
#pragma unroll
            for (int run = 0; run < runs; run++) {
                scale[run] = now.scale(l, run);
                minimum[run] = minima ? now.least(l, run) : 0.0f;
            }
            float term[R][runs], sum_term[R][runs];
#pragma unroll
            for (int r = 0; r < R; r++) {
                const int4 *words = (const int4 *)(x[r] + (int64_t)index * BLOCK);
                const int4 w0 = words[0], w1 = words[1];
                const int four[8] = {w0.x, w0.y, w0.z, w0.w, w1.x, w1.y, w1.z, w1.w};
                const float row_scale = scales[r][index];
#pragma unroll
                for (int run = 0; run < runs; run++) {
                    int dot = 0, sum = 0;
#pragma unroll
                    for (int k = 0; k < RUN / 4; k++) {
                        const int a = run * (RUN / 4) + k;
                        dot = dot4(now.code.template four<TABLE>(l, a), four[a], dot);
                        if (sums) {
                            sum = dot4(0x01010101, four[a], sum);
                        }
                    }
                    term[r][run] = (float)(dot - now.offset * sum) * row_scale;
                    sum_term[r][run] = (float)sum * row_scale;
                }
            }
            /* Both halves add both blocks, the earlier one first. */
#pragma unroll
            for (int turn = 0; turn < 2; turn++) {
                if (pair + turn < blocks) {
#pragma unroll
                    for (int run = 0; run < runs; run++) {
                        const int source = turn * LANES + lane;
                        const float times = __shfl_sync(~0u, scale[run], source);
                        const float plus = minima ? __shfl_sync(~0u, minimum[run], source) : 0.0f;
#pragma unroll
                        for (int r = 0; r < R; r++) {
                            y[r] = fmaf(__shfl_sync(~0u, term[r][run], source), times, y[r]);
                            if (minima) {
                                y[r] = fmaf(__shfl_sync(~0u, sum_term[r][run], source), plus, y[r]);
                            }
                        }
                    }
                }
            }
        }
    }
    if (l.factor != NO_FACTOR) {
        const float factor = from<float>(group + 4 * lane);
#pragma unroll
        for (int r = 0; r < R; r++) {
            y[r] = l.factor == DIVIDES ? y[r] / factor : y[r] * factor;
        }
    }
}

/* Weight `column` of an output of a group, as the f32 that it means. */
template <int FLOATS> INLINE float weight(const uint8_t *group, int column, int lane) {
    switch (FLOATS) {
        case F32:
            return from<float>(group + 4 * (LANES * (int64_t)column + lane));
        case BF16:
            return bf16_to_float(from<uint16_t>(group + 2 * (LANES * (int64_t)column + lane)));
        case F16:
            return half_to_float(from<uint16_t>(group + 2 * (LANES * (int64_t)column + lane)));
        default: {
            const uint8_t *record = group + column / 128 * (4 * LANES + LANES * (int64_t)128);
            const float number = e4m3_to_float(record[4 * LANES + LANES * (column % 128) + lane]);
            return number * 0.00390625f * (from<float>(record + 4 * lane) * 256.0f);
        }
    }
}

template <int FLOATS> INLINE int64_t float_group_bytes(int cols) {
    return FLOATS == F32    ? 64 * (int64_t)cols
           : FLOATS == F8_E4M3 ? (cols + 127) / 128 * 64 + 16 * (int64_t)cols
                               : 32 * (int64_t)cols;
}

/* The products of a lane's output with R rows, ascending. */
template <int FLOATS, int R>
INLINE void float_product(const uint8_t *group, int cols, const float *const *x, float *y) {
    const int lane = threadIdx.x % LANES;
    constexpr int AHEAD = 32; /* columns that a lane has under way at once */
#pragma unroll
    for (int r = 0; r < R; r++) {
        y[r] = 0.0f;
    }
    for (int first = 0; first < cols; first += AHEAD) { /* a multiple: every number of columns is one of 32 */
        float w[AHEAD];
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            w[i] = weight<FLOATS>(group, first + i, lane);
        }
#pragma unroll
        for (int r = 0; r < R; r++) {
#pragma unroll
            for (int i = 0; i < AHEAD; i += 4) {
                const float4 four = *(const float4 *)(x[r] + first + i);
                y[r] = fmaf(w[i], four.x, y[r]);
                y[r] = fmaf(w[i + 1], four.y, y[r]);
                y[r] = fmaf(w[i + 2], four.z, y[r]);
                y[r] = fmaf(w[i + 3], four.w, y[r]);
            }
        }
    }
}

/* Activated values of 32 neighbouring inner outputs, one a lane of a warp: kept as they are, or as int8 with a scale. */
INLINE void keep_inner(const job &j, int64_t position, int column, float value) {
    if (j.inner_floats != nullptr) {
        j.inner_floats[position * j.intermediate + column] = value;
        return;
    }
    const float magnitude = fabsf(value);
    bool finite = magnitude <= 3.402823466e38f;
    float max = finite ? magnitude : 0.0f;
    int all_finite = finite;
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        const float other = __shfl_xor_sync(~0u, max, step);
        max = other > max ? other : max;
        all_finite &= __shfl_xor_sync(~0u, all_finite, step);
    }
    const float scale = max / 127.0f;
    const bool usable = all_finite && scale >= 1.17549435e-38f;
    const float level = usable ? value * (1.0f / scale) : 0.0f;
    j.inner[position * j.intermediate + column] = (int8_t)rintf(level);
    if (threadIdx.x % 32 == 0) {
        j.inner_scales[(position * j.intermediate + column) / BLOCK] =
            !all_finite ? bits_to_float(0x7FC00000u) : usable ? scale : 0.0f;
    }
}

/* Brings the outputs of a block's four warps together, 16 of gate or of up each, and keeps the activation of 32 inner outputs.
 *
 * @param y [R], of the lane's output; those of the first half of each warp count */
template <int R> INLINE void activate(const job &j, const item &it, const float *y) {
    __shared__ float products[2][R][BLOCK];
    const int lane = threadIdx.x % LANES, half = threadIdx.x / LANES % 2, warp = threadIdx.x / 32;
#pragma unroll
    for (int r = 0; r < R; r++) {
        if (half == 0) {
            products[warp / 2][r][warp % 2 * LANES + lane] = y[r];
        }
    }
    __syncthreads();
    for (int r = warp; r < it.count; r += 4) {
        const int output = threadIdx.x % BLOCK;
        keep_inner(j, it.first + r, blockIdx.x * BLOCK + output, silu(products[0][r][output]) * products[1][r][output]);
    }
}

/* Adds a product's rounded, weighted value to the sum of its row. */
INLINE void combine(const job &j, int64_t position, int output, float y) {
    if (output >= j.hidden) {
        return;
    }
    const int row = j.row_of[position];
    const float scaled = j.weight_of[position] * y * bits_to_float((uint32_t)(127 + j.fraction_bits) << 23);
    if (!(fabsf(scaled) < 2305843009213693952.0f)) {
        j.failed[row] = 1;
        return;
    }
    atomicAdd(&j.sums[(int64_t)row * j.hidden + output], (unsigned long long)(long long)rintf(scaled));
}

/* gate, up, SiLU: grid [intermediate / 32, items], 128 threads: two warps for 32 outputs of gate, two for the same of up. */
template <int LOW, int HIGH, int RUN, bool TABLE, int R> __device__ void quantized_inner(const layout &l, const job &j) {
    const item it = j.items[blockIdx.y];
    const int8_t *x[R];
    const float *scales[R];
#pragma unroll
    for (int r = 0; r < R; r++) {
        const int64_t row = j.row_of[it.first + (r < it.count ? r : it.count - 1)];
        x[r] = j.x + row * j.hidden;
        scales[r] = j.x_scales + row * (j.hidden / BLOCK);
    }
    const int warp = threadIdx.x / 32, group = blockIdx.x * 2 + warp % 2;
    const int64_t at = group * ((int64_t)l.group_header + (int64_t)(j.hidden / l.columns) * l.record);
    float y[R];
    quantized_product<LOW, HIGH, RUN, TABLE, R>(l, (const uint8_t *)(warp < 2 ? it.gate : it.up) + at, j.hidden, x, scales, y);
    activate<R>(j, it, y);
}

/* The same for weights of floats, 64 threads: each half of a warp is 16 outputs of gate or of up. */
template <int FLOATS, int R> __device__ void float_inner(const job &j) {
    const item it = j.items[blockIdx.y];
    const float *x[R];
#pragma unroll
    for (int r = 0; r < R; r++) {
        x[r] = j.x_floats + (int64_t)j.row_of[it.first + (r < it.count ? r : it.count - 1)] * j.hidden;
    }
    __shared__ float products[2][R][BLOCK];
    const int half = threadIdx.x / LANES, group = blockIdx.x * 2 + half % 2;
    float y[R];
    float_product<FLOATS, R>((const uint8_t *)(half < 2 ? it.gate : it.up) + group * float_group_bytes<FLOATS>(j.hidden), j.hidden, x, y);
#pragma unroll
    for (int r = 0; r < R; r++) {
        products[half / 2][r][half % 2 * LANES + threadIdx.x % LANES] = y[r];
    }
    __syncthreads();
    for (int r = threadIdx.x / 32; r < it.count; r += 2) {
        const int output = threadIdx.x % BLOCK;
        keep_inner(j, it.first + r, blockIdx.x * BLOCK + output, silu(products[0][r][output]) * products[1][r][output]);
    }
}

/* down and combine: grid [ceil(hidden / 64), items], 128 threads: each warp 16 outputs. */
template <int LOW, int HIGH, int RUN, bool TABLE, int R> __device__ void quantized_outer(const layout &l, const job &j) {
    const item it = j.items[blockIdx.y];
    const int group = blockIdx.x * 4 + threadIdx.x / 32;
    if (group * LANES >= j.hidden) {
        return;
    }
    const int8_t *x[R];
    const float *scales[R];
#pragma unroll
    for (int r = 0; r < R; r++) {
        const int64_t position = it.first + (r < it.count ? r : it.count - 1);
        x[r] = j.inner + position * j.intermediate;
        scales[r] = j.inner_scales + position * (j.intermediate / BLOCK);
    }
    const int64_t at = group * ((int64_t)l.group_header + (int64_t)(j.intermediate / l.columns) * l.record);
    float y[R];
    quantized_product<LOW, HIGH, RUN, TABLE, R>(l, (const uint8_t *)it.down + at, j.intermediate, x, scales, y);
    if (threadIdx.x / LANES % 2 == 0) {
#pragma unroll
        for (int r = 0; r < R; r++) {
            if (r < it.count) {
                combine(j, it.first + r, group * LANES + threadIdx.x % LANES, y[r]);
            }
        }
    }
}

/* The same for weights of floats: grid [ceil(hidden / 128), items]; each half of a warp 16 outputs. */
template <int FLOATS, int R> __device__ void float_outer(const job &j) {
    const item it = j.items[blockIdx.y];
    const int group = blockIdx.x * 8 + threadIdx.x / LANES;
    if (group * LANES >= j.hidden) {
        return;
    }
    const float *x[R];
#pragma unroll
    for (int r = 0; r < R; r++) {
        x[r] = j.inner_floats + (it.first + (r < it.count ? r : it.count - 1)) * (int64_t)j.intermediate;
    }
    float y[R];
    float_product<FLOATS, R>((const uint8_t *)it.down + group * float_group_bytes<FLOATS>(j.intermediate), j.intermediate, x, y);
#pragma unroll
    for (int r = 0; r < R; r++) {
        if (r < it.count) {
            combine(j, it.first + r, group * LANES + threadIdx.x % LANES, y[r]);
        }
    }
}

/* What is compiled; the stand-in for tests registers the same list. CUDA_KERNEL makes a kernel of a name. */
#ifndef CUDA_KERNEL
#define CUDA_KERNEL(name, threads, parameters, body) \
    extern "C" __global__ void __launch_bounds__(threads) name parameters body
#endif

#define QUANTIZED(low, high, run, table, rows)                                                                       \
    CUDA_KERNEL(inner_##low##_##high##_##run##_##table##_r##rows, 128, (const layout l, const job j),                 \
                { (quantized_inner<low, high, run, table, rows>(l, j)); })                                           \
    CUDA_KERNEL(outer_##low##_##high##_##run##_##table##_r##rows, 128, (const layout l, const job j),                \
                { (quantized_outer<low, high, run, table, rows>(l, j)); })
#define FLOATS(type, rows)                                                                                           \
    CUDA_KERNEL(inner_##type##_r##rows, 64, (const layout l, const job j), { (void)l; (float_inner<type, rows>(j)); })        \
    CUDA_KERNEL(outer_##type##_r##rows, 128, (const layout l, const job j), { (void)l; (float_outer<type, rows>(j)); })
#define ROWS(M, ...)   \
    M(__VA_ARGS__, 1)  \
    M(__VA_ARGS__, 4)

ROWS(QUANTIZED, 8, 0, 32, 0)
ROWS(QUANTIZED, 4, 0, 32, 0)
ROWS(QUANTIZED, 4, 0, 32, 1)
ROWS(QUANTIZED, 4, 0, 16, 1)
ROWS(QUANTIZED, 4, 1, 32, 0)
ROWS(QUANTIZED, 4, 2, 16, 0)
ROWS(QUANTIZED, 2, 0, 16, 0)
ROWS(QUANTIZED, 2, 1, 16, 0)
ROWS(FLOATS, F32)
ROWS(FLOATS, BF16)
ROWS(FLOATS, F16)
ROWS(FLOATS, F8_E4M3)

/* The rate at which memory is copied: what the kernels are measured against. */
CUDA_KERNEL(copy_words, 256, (const int4 *from, int4 *to, int64_t count), {
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < count; i += gridDim.x * (int64_t)blockDim.x) {
        to[i] = from[i];
    }
})
