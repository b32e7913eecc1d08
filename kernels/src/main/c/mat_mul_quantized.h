/* Products of quantised weights and rows, for all formats of weight_formats.h. */
#include "weight_formats.h"

/* y for R rows and G groups, from `group`, the first of them. */
INLINE void quantized_tile(const int f, const int R, const int G, const uint8_t *restrict group, int32_t cols,
                           const int8_t *restrict q, const float *restrict scales, float *restrict y, int32_t y_stride,
                           int32_t outputs) {
    const int blocks = record_cols(f) / BLOCK, runs = BLOCK / run_cols(f), vectors = run_cols(f) / 4;
    const int kind = code_kind(f);
    const int32_t records = cols / record_cols(f);
    const size_t group_bytes = outputs_bytes(f, cols);
    const uint8_t *w = group + group_header_bytes(f);
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
                    if (has_minimum(f) || has_zero(f) || dot_offset(f) != 0) {
                        sum = row_sum(q + (size_t)r * cols + run * run_cols(f), run_cols(f));
                    }
                    row_sums[r] = (float)sum;
                    for (int g = 0; g < G; g++) {
                        s[r][g] = sums_from(has_zero(f) ? 0 : -dot_offset(f) * sum);
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
                    const v16 zero = has_zero(f) ? run_zero(f, group + g * group_bytes, w + g * group_bytes) : v_zero();
                    for (int r = 0; r < R; r++) {
                        const v16 row_scale = v_set1(scales[(size_t)r * (cols / BLOCK)]);
                        const v16 sum = has_zero(f) ? v_fma(zero, v_set1(row_sums[r]), sums_float(s[r][g]))
                                                    : sums_float(s[r][g]);
                        acc[r][g] = v_fma(v_mul(sum, row_scale), scale, acc[r][g]);
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
            v_put(y + (size_t)r * y_stride + g * LANES, with_factor(f, group + g * group_bytes, acc[r][g]),
                  outputs - g * LANES);
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
    const size_t group_bytes = outputs_bytes(f, cols);
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
MAT_MUL(NVFP4)
MAT_MUL(NVFP4_DIVIDED)
MAT_MUL(INT4_32_F16)
MAT_MUL(INT4_32_BF16)
MAT_MUL(INT4_32_F32)
MAT_MUL(INT4_64_F16)
MAT_MUL(INT4_64_BF16)
MAT_MUL(INT4_64_F32)
MAT_MUL(INT4_128_F16)
MAT_MUL(INT4_128_BF16)
MAT_MUL(INT4_128_F32)
MAT_MUL(INT8_32_F16)
MAT_MUL(INT8_32_BF16)
MAT_MUL(INT8_32_F32)
MAT_MUL(INT8_64_F16)
MAT_MUL(INT8_64_BF16)
MAT_MUL(INT8_64_F32)
MAT_MUL(INT8_128_F16)
MAT_MUL(INT8_128_BF16)
MAT_MUL(INT8_128_F32)
MAT_MUL(INT4_ROW)
MAT_MUL(INT8_ROW)

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
        FORMAT_CASE(NVFP4);
        FORMAT_CASE(NVFP4_DIVIDED);
        FORMAT_CASE(INT4_32_F16);
        FORMAT_CASE(INT4_32_BF16);
        FORMAT_CASE(INT4_32_F32);
        FORMAT_CASE(INT4_64_F16);
        FORMAT_CASE(INT4_64_BF16);
        FORMAT_CASE(INT4_64_F32);
        FORMAT_CASE(INT4_128_F16);
        FORMAT_CASE(INT4_128_BF16);
        FORMAT_CASE(INT4_128_F32);
        FORMAT_CASE(INT8_32_F16);
        FORMAT_CASE(INT8_32_BF16);
        FORMAT_CASE(INT8_32_F32);
        FORMAT_CASE(INT8_64_F16);
        FORMAT_CASE(INT8_64_BF16);
        FORMAT_CASE(INT8_64_F32);
        FORMAT_CASE(INT8_128_F16);
        FORMAT_CASE(INT8_128_BF16);
        FORMAT_CASE(INT8_128_F32);
        FORMAT_CASE(INT4_ROW);
        FORMAT_CASE(INT8_ROW);
    }
}
