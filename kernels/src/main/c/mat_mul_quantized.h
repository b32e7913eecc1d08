/* Products of quantised weights and rows, for all formats of io.atoll.kernels.WeightFormat. Where codes and scales lie
 * is said in BlockLayout.java; here a format is a constant that picks shifts and masks when a tile is compiled. */
#include "bytes.h"

INLINE int record_cols(const int f) {
    return f >= Q2_K ? 256 : 32;
}
INLINE int run_cols(const int f) {
    return f == Q2_K || f == Q3_K || f == Q6_K ? 16 : 32;
}
INLINE int low_bits(const int f) {
    return f == Q8 || f == Q8_0 ? 8 : f == Q2_K || f == Q3_K ? 2 : 4;
}
INLINE int high_bits(const int f) {
    return f == Q6_K ? 2 : f == Q5_0 || f == Q5_1 || f == Q5_K || f == Q3_K ? 1 : 0;
}
INLINE int header_bytes(const int f) {
    switch (f) {
        case Q8:
        case Q4_1:
        case Q5_1:
            return 64;
        case Q2_K:
        case Q3_K:
        case Q4_K:
        case Q5_K:
        case Q6_K:
            return 320;
        case IQ4_XS:
            return 192;
        default:
            return 32;
    }
}
INLINE int block_bytes(const int f) {
    return 64 * (low_bits(f) + high_bits(f));
}
INLINE size_t record_bytes(const int f) {
    return (size_t)header_bytes(f) + (size_t)(record_cols(f) / BLOCK) * (size_t)block_bytes(f);
}
INLINE int has_minimum(const int f) {
    return f == Q4_1 || f == Q5_1 || f == Q2_K || f == Q4_K || f == Q5_K;
}
INLINE int code_kind(const int f) {
    return f == Q8 || f == Q8_0 || f == IQ4_NL || f == IQ4_XS || f == MXFP4 ? BIASED : SMALL;
}
/* What the bytes that meet the row are larger than their levels. */
INLINE int dot_offset(const int f) {
    return code_kind(f) == BIASED ? DOT_BIAS : f == Q4_0 ? 8 : f == Q5_0 ? 16 : f == Q6_K ? 32 : f == Q3_K ? 4 : 0;
}

/* Levels of the codes, plus 128. */
static const uint8_t iq4_levels[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
static const uint8_t mxfp4_levels[16] = {
    128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116,
};

/* The field of `bits` bits of columns 4 a to 4 a + 3 in the vector `stored`, moved to bit `to`. */
INLINE bytes field(bytes stored, const int bits, const int a, const int to) {
    const int at = bits * (a % (8 / bits));
    const bytes moved = at > to ? b_right(stored, at - to) : at < to ? b_left(stored, to - at) : stored;
    return bits == 8 ? moved : b_mask(moved, ((1 << bits) - 1) << to);
}

/* Columns 4 a to 4 a + 3 of a block, ready for products. */
INLINE operand block_operand(const int f, const uint8_t *block, const int a) {
    const int low = low_bits(f), high = high_bits(f), parts = high > 1 ? high : 1;
    const uint8_t *part = block + 64 * (low / parts + 1) * (a * parts / 8);
    bytes codes;
    if (high > 0) {
        const int vector = a * low / 8 % (low / parts);
        codes = b_or(field(b_load(part + 64 + 64 * vector), low, a, 0), field(b_load(part), high, a, low));
    } else {
        codes = field(b_load(block + 64 * (a * low / 8)), low, a, 0);
    }
    if (f == IQ4_NL || f == IQ4_XS) {
        codes = b_table(iq4_levels, codes);
    } else if (f == MXFP4) {
        codes = b_table(mxfp4_levels, codes);
    }
    return dot_operand(code_kind(f), codes);
}

INLINE v16 run_scale(const int f, const uint8_t *record, int32_t run) {
    const uint8_t *bytes_of_run = record + 64 + (size_t)run * LANES;
    switch (f) {
        case Q8:
            return v_load((const float *)record);
        case MXFP4:
            return v_load_bf16((const uint16_t *)record);
        case Q4_K:
        case Q5_K:
            return v_mul(v_load_f16((const uint16_t *)record), v_load_u8(bytes_of_run + (size_t)run * LANES, 255));
        case Q2_K:
            return v_mul(v_load_f16((const uint16_t *)record), v_load_u8(bytes_of_run, 15));
        case Q3_K:
        case Q6_K:
        case IQ4_XS:
            return v_mul(v_load((const float *)record), v_load_s8((const int8_t *)bytes_of_run));
        default:
            return v_load_f16((const uint16_t *)record);
    }
}

/* The minimum, or its negative where minima are subtracted: see minimum_sign. */
INLINE v16 run_minimum(const int f, const uint8_t *record, int32_t run) {
    const v16 minimum = v_load_f16((const uint16_t *)(record + 32));
    const uint8_t *bytes_of_run = record + 64 + (size_t)run * LANES;
    switch (f) {
        case Q4_K:
        case Q5_K:
            return v_mul(minimum, v_load_u8(bytes_of_run + (size_t)(run + 1) * LANES, 255));
        case Q2_K:
            return v_mul(minimum, v_load_u8_high(bytes_of_run));
        default:
            return minimum;
    }
}
INLINE float minimum_sign(const int f) {
    return f == Q4_1 || f == Q5_1 ? 1.0f : -1.0f;
}

/* y for R rows and G groups, from `w`, the first of the groups. */
INLINE void quantized_tile(const int f, const int R, const int G, const uint8_t *restrict w, int32_t cols,
                           const int8_t *restrict q, const float *restrict scales, float *restrict y, int32_t y_stride,
                           int32_t outputs) {
    const int blocks = record_cols(f) / BLOCK, runs = BLOCK / run_cols(f), vectors = run_cols(f) / 4;
    const int kind = code_kind(f);
    const int32_t records = cols / record_cols(f);
    const size_t group_bytes = (size_t)records * record_bytes(f);
    v16 acc[TILE_ROWS][TILE_GROUPS];
    for (int r = 0; r < R; r++) {
        for (int g = 0; g < G; g++) {
            acc[r][g] = v_zero();
        }
    }
    for (int32_t record = 0; record < records; record++, w += record_bytes(f)) {
        for (int g = 0; g < G; g++) { /* scales are used bit by bit, but a record is to be read strictly forward */
            for (int line = 64; line < header_bytes(f); line += 64) {
                __builtin_prefetch(w + g * group_bytes + line);
            }
        }
#pragma GCC unroll 1
        for (int32_t block = 0; block < blocks; block++) {
            const uint8_t *codes = w + header_bytes(f) + block * block_bytes(f);
            for (int run = 0; run < runs; run++) {
                sums s[TILE_ROWS][TILE_GROUPS];
                float row_sums[TILE_ROWS];
                for (int r = 0; r < R; r++) {
                    int32_t sum = 0;
                    if (has_minimum(f) || dot_offset(f) != 0) {
                        sum = row_sum(q + (size_t)r * cols + run * run_cols(f), run_cols(f));
                    }
                    row_sums[r] = (float)sum;
                    for (int g = 0; g < G; g++) {
                        s[r][g] = sums_from(-dot_offset(f) * sum);
                    }
                }
#pragma GCC unroll 8
                for (int i = 0; i < vectors; i++) {
                    const int a = run * vectors + i;
                    operand weights[TILE_GROUPS];
                    for (int g = 0; g < G; g++) {
                        weights[g] = block_operand(f, codes + g * group_bytes, a);
                    }
                    for (int r = 0; r < R; r++) {
                        int32_t x;
                        memcpy(&x, q + (size_t)r * cols + 4 * a, sizeof x);
                        for (int g = 0; g < G; g++) {
                            s[r][g] = dot(kind, s[r][g], weights[g], x);
                        }
                    }
                }
                for (int g = 0; g < G; g++) {
                    const v16 scale = run_scale(f, w + g * group_bytes, block * runs + run);
                    for (int r = 0; r < R; r++) {
                        const v16 row_scale = v_set1(scales[(size_t)r * (cols / BLOCK)]);
                        acc[r][g] = v_fma(v_mul(sums_float(s[r][g]), row_scale), scale, acc[r][g]);
                    }
                }
                for (int g = 0; has_minimum(f) && g < G; g++) {
                    const v16 minimum = run_minimum(f, w + g * group_bytes, block * runs + run);
                    for (int r = 0; r < R; r++) {
                        const float row_scale = scales[(size_t)r * (cols / BLOCK)];
                        acc[r][g] = v_fma(v_set1(minimum_sign(f) * (row_sums[r] * row_scale)), minimum, acc[r][g]);
                    }
                }
            }
            q += BLOCK;
            scales++;
        }
    }
    for (int r = 0; r < R; r++) {
        for (int g = 0; g < G; g++) {
            v_put(y + (size_t)r * y_stride + g * LANES, acc[r][g], outputs - g * LANES);
        }
    }
}

#define TILE_CASE(R)                                                         \
    case R:                                                                  \
        quantized_tile(f, R, G, w, cols, q, scales, y, y_stride, outputs);   \
        break

/* Register tiles are compiled for each number of rows, so that the loops over them vanish. */
INLINE void quantized_rows(const int f, const int G, int R, const uint8_t *restrict w, int32_t cols,
                           const int8_t *restrict q, const float *restrict scales, float *restrict y, int32_t y_stride,
                           int32_t outputs) {
    if (TILE_ROWS == 1) {
        quantized_tile(f, 1, G, w, cols, q, scales, y, y_stride, outputs);
        return;
    }
    switch (R) {
        TILE_CASE(1);
        TILE_CASE(2);
        TILE_CASE(3);
        TILE_CASE(4);
    }
}

INLINE void quantized_product(const int f, const uint8_t *restrict w, int32_t outputs, int32_t cols,
                              const int8_t *restrict q, const float *restrict scales, int32_t rows, float *restrict y,
                              int32_t y_stride, int32_t group_begin, int32_t group_end) {
    const size_t group_bytes = (size_t)(cols / record_cols(f)) * record_bytes(f);
    int32_t g = group_begin;
    while (g < group_end) {
        const int32_t wide = group_end - g >= TILE_GROUPS ? TILE_GROUPS : 1;
        for (int32_t r = 0; r < rows; r += TILE_ROWS) {
            const int32_t tile_rows = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;
            const uint8_t *wg = w + (size_t)g * group_bytes;
            const int8_t *qr = q + (size_t)r * cols;
            const float *sr = scales + (size_t)r * (cols / BLOCK);
            float *yr = y + (size_t)r * y_stride + (size_t)g * LANES;
            if (wide == TILE_GROUPS) {
                quantized_rows(f, TILE_GROUPS, tile_rows, wg, cols, qr, sr, yr, y_stride, outputs - g * LANES);
            } else {
                quantized_rows(f, 1, tile_rows, wg, cols, qr, sr, yr, y_stride, outputs - g * LANES);
            }
        }
        g += wide;
    }
}

/* Each format is a function of its own: with all tiles in one, compilers run out of patience and spill registers. */
#define MAT_MUL(f)                                                                                           \
    static __attribute__((noinline)) void mat_mul_##f(                                                       \
        const uint8_t *restrict w, int32_t outputs, int32_t cols, const int8_t *restrict q,                  \
        const float *restrict scales, int32_t rows, float *restrict y, int32_t y_stride, int32_t group_begin, \
        int32_t group_end) {                                                                                 \
        quantized_product(f, w, outputs, cols, q, scales, rows, y, y_stride, group_begin, group_end);        \
    }

MAT_MUL(Q8)
MAT_MUL(Q8_0)
MAT_MUL(Q4_0)
MAT_MUL(Q4_1)
MAT_MUL(Q5_0)
MAT_MUL(Q5_1)
MAT_MUL(IQ4_NL)
MAT_MUL(MXFP4)
MAT_MUL(Q2_K)
MAT_MUL(Q3_K)
MAT_MUL(Q4_K)
MAT_MUL(Q5_K)
MAT_MUL(Q6_K)
MAT_MUL(IQ4_XS)

#define FORMAT_CASE(f)                                                                        \
    case f:                                                                                   \
        mat_mul_##f(w, outputs, cols, q, scales, rows, y, y_stride, group_begin, group_end);  \
        break

static void mat_mul_quantized(MAT_MUL_QUANTIZED_PARAMETERS) {
    switch (format) {
        FORMAT_CASE(Q8);
        FORMAT_CASE(Q8_0);
        FORMAT_CASE(Q4_0);
        FORMAT_CASE(Q4_1);
        FORMAT_CASE(Q5_0);
        FORMAT_CASE(Q5_1);
        FORMAT_CASE(IQ4_NL);
        FORMAT_CASE(MXFP4);
        FORMAT_CASE(Q2_K);
        FORMAT_CASE(Q3_K);
        FORMAT_CASE(Q4_K);
        FORMAT_CASE(Q5_K);
        FORMAT_CASE(Q6_K);
        FORMAT_CASE(IQ4_XS);
    }
}
