/* Products of quantised weights and rows. Weights are decoded from where they lie in memory, in registers, once for all
 * rows of a tile; what a row needs is made ready before. */
#include "ready_rows.h"

/* Where the outputs of a tile go: y, or what is there already plus these columns. */
struct target {
    float *y;
    int32_t y_stride, outputs;
    int adds;
};

INLINE v16 target_get(const struct target *to, int r, int g) {
    return to->adds ? v_get(to->y + (size_t)r * to->y_stride + g * LANES, to->outputs - g * LANES) : v_zero();
}
INLINE void target_put(const struct target *to, int r, int g, v16 value) {
    v_put(to->y + (size_t)r * to->y_stride + g * LANES, value, to->outputs - g * LANES);
}

/* `count` blocks of R rows, ready at x, and of G groups, from `w`, the record of the first of them, which begins at `group`. Sums
 * and accumulators are meant to stay in registers. */
INLINE void quantized_tile(const int f, const int R, const int G, const struct layout *l, const uint8_t *group,
                           const uint8_t *restrict w, const char *restrict x, int32_t count, const struct target *to) {
    const int blocks = l->record_blocks, runs = BLOCK / run_cols(f), vectors = run_cols(f) / 4;
    const int kind = code_kind(f);
    const size_t group_bytes = l->outputs;
    v16 acc[TILE_ROWS][WIDE_GROUPS];
    for (int r = 0; r < R; r++) {
        for (int g = 0; g < G; g++) {
            acc[r][g] = target_get(to, r, g);
        }
    }
    for (int32_t record = 0; record < count / blocks; record++, w += l->record) {
        for (int g = 0; g < G; g++) { /* scales are used bit by bit, but a record is to be read strictly forward */
            for (int line = 64; line < l->header; line += 64) {
                __builtin_prefetch(w + g * group_bytes + line);
            }
        }
#pragma GCC unroll 1
        for (int32_t block = 0; block < blocks; block++, x += R * ready_bytes(f)) {
            const uint8_t *codes = w + l->header + block * block_bytes(f);
            const float *words = (const float *)(x + R * BLOCK);
            for (int run = 0; run < runs; run++) {
                sums s[TILE_ROWS][WIDE_GROUPS];
                for (int r = 0; r < R; r++) {
                    int32_t start = 0;
                    if (dot_offset(f) != 0 && !has_zero(f)) {
                        memcpy(&start, words + (1 + run) * R + r, sizeof start);
                    }
                    for (int g = 0; g < G; g++) {
                        s[r][g] = sums_from(start);
                    }
                }
#pragma GCC unroll 8
                for (int i = 0; i < vectors; i++) {
                    const int a = run * vectors + i;
                    operand weights[WIDE_GROUPS];
                    for (int g = 0; g < G; g++) {
                        weights[g] = block_operand(f, codes + g * group_bytes, a);
                    }
                    for (int r = 0; r < R; r++) {
                        int32_t four;
                        memcpy(&four, x + r * BLOCK + 4 * a, sizeof four);
                        for (int g = 0; g < G; g++) {
                            s[r][g] = dot(kind, s[r][g], weights[g], four);
                        }
                    }
                }
                for (int g = 0; g < G; g++) {
                    const v16 scale = run_scale(f, l->group_scale, w + g * group_bytes, block * runs + run);
                    const v16 zero =
                        has_zero(f) ? run_zero(f, l, group + g * group_bytes, w + g * group_bytes) : v_zero();
                    for (int r = 0; r < R; r++) {
                        v16 sum = sums_float(s[r][g]);
                        if (has_zero(f)) {
                            sum = v_fma(zero, v_set1(words[(1 + run) * R + r]), sum);
                        }
                        acc[r][g] = v_fma(v_mul(sum, v_set1(words[r])), scale, acc[r][g]);
                    }
                }
                for (int g = 0; has_minimum(f) && g < G; g++) {
                    const v16 minimum = run_minimum(f, w + g * group_bytes, block * runs + run);
                    for (int r = 0; r < R; r++) {
                        acc[r][g] = v_fma(v_set1(words[(1 + run) * R + r]), minimum, acc[r][g]);
                    }
                }
            }
        }
    }
    for (int r = 0; r < R; r++) {
        for (int g = 0; g < G; g++) {
            target_put(to, r, g, acc[r][g]);
        }
    }
}

/* Register tiles are compiled for each number of rows up to `most`, so that the loops over them vanish. */
#define TILE_CASE(R)                                                                                             \
    case R:                                                                                                      \
        if (R <= most) {                                                                                         \
            quantized_tile(f, R < most ? R : most, G, l, group, w, ready->memory + tile_at(f, ready, t),         \
                           ready->blocks, &to);                                                                  \
        }                                                                                                        \
        break

/* All ready rows and G groups. */
INLINE void quantized_groups(const int f, const int most, const int G, const struct ready_rows *ready,
                             const struct layout *l, const uint8_t *group, const uint8_t *restrict w, struct target to) {
    float *const y = to.y;
    for (int32_t t = 0; t < ready->tiles; t++) {
        to.y = y + (size_t)tile_begin(ready, t) * to.y_stride;
        switch (tile_begin(ready, t + 1) - tile_begin(ready, t)) {
            TILE_CASE(1);
            TILE_CASE(2);
            TILE_CASE(3);
            TILE_CASE(4);
            TILE_CASE(5);
            TILE_CASE(6);
        }
    }
}

/* Multiplies finished sums with the factors of their outputs, or divides them. */
INLINE void apply_factors(const int format, const struct layout *l, const uint8_t *w, int32_t outputs, int32_t rows,
                          float *y, int32_t y_stride, int32_t group_begin, int32_t group_end) {
    for (int32_t g = group_begin; g < group_end; g++) {
        const v16 factor = v_load((const float *)(w + (size_t)g * l->outputs));
        for (int32_t r = 0; r < rows; r++) {
            float *to = y + (size_t)r * y_stride + (size_t)g * LANES;
            const v16 sum = v_get(to, outputs - g * LANES);
            v_put(to, format == NVFP4_DIVIDED ? v_div(sum, factor) : v_mul(sum, factor), outputs - g * LANES);
        }
    }
}

INLINE void quantized_product(const int f, const int format, const uint8_t *restrict w, int32_t outputs,
                              int32_t cols, const int8_t *restrict q, const float *restrict scales, int32_t rows, float *restrict y,
                              int32_t y_stride, int32_t group_begin, int32_t group_end) {
    const struct layout l = layout_of(f, format, cols);
    struct ready_rows ready;
    for (int32_t row = 0; row < rows; row += ready.rows) {
        ready.rows = rows - row < READY_ROWS ? rows - row : READY_ROWS;
        ready.tiles = (ready.rows + TILE_ROWS - 1) / TILE_ROWS;
        const int32_t most = READY_BLOCKS / ready.rows / l.record_blocks * l.record_blocks;
        for (ready.first_block = 0; ready.first_block < cols / BLOCK; ready.first_block += ready.blocks) {
            const int32_t left = cols / BLOCK - ready.first_block;
            ready.blocks = left < most ? left : most;
            make_ready(f, &ready, q + (size_t)row * cols, scales + (size_t)row * (cols / BLOCK), cols);
            const size_t first = (size_t)l.group_header + (size_t)(ready.first_block / l.record_blocks) * l.record;
            for (int32_t g = group_begin; g < group_end;) {
                const struct target to = {y + (size_t)row * y_stride + (size_t)g * LANES, y_stride, outputs - g * LANES,
                                          ready.first_block > 0};
                const uint8_t *group = w + (size_t)g * l.outputs;
                if (ready.rows <= WIDE_ROWS && group_end - g >= WIDE_GROUPS) {
                    quantized_groups(f, WIDE_ROWS, WIDE_GROUPS, &ready, &l, group, group + first, to);
                    g += WIDE_GROUPS;
                } else if (group_end - g >= TILE_GROUPS) {
                    quantized_groups(f, TILE_ROWS, TILE_GROUPS, &ready, &l, group, group + first, to);
                    g += TILE_GROUPS;
                } else {
                    quantized_groups(f, TILE_ROWS, 1, &ready, &l, group, group + first, to);
                    g += 1;
                }
            }
        }
    }
    if (l.group_header > 0) {
        apply_factors(format, &l, w, outputs, rows, y, y_stride, group_begin, group_end);
    }
}

/* Each family is a function of its own: with all tiles in one, compilers run out of patience and spill registers. */
#define MAT_MUL(f, format_of_call)                                                                            \
    static __attribute__((noinline)) void mat_mul_##f(MAT_MUL_QUANTIZED_PARAMETERS) {                         \
        (void)format;                                                                                         \
        quantized_product(f, format_of_call, w, outputs, cols, q, scales, rows, y, y_stride, group_begin,     \
                          group_end);                                                                         \
    }

MAT_MUL(Q8, Q8)
MAT_MUL(Q8_0, Q8_0)
MAT_MUL(Q4_0, Q4_0)
MAT_MUL(Q4_1, Q4_1)
MAT_MUL(Q5_0, Q5_0)
MAT_MUL(Q5_1, Q5_1)
MAT_MUL(IQ4_NL, IQ4_NL)
MAT_MUL(MXFP4, MXFP4)
MAT_MUL(Q2_K, Q2_K)
MAT_MUL(Q3_K, Q3_K)
MAT_MUL(Q4_K, Q4_K)
MAT_MUL(Q5_K, Q5_K)
MAT_MUL(Q6_K, Q6_K)
MAT_MUL(IQ4_XS, IQ4_XS)
MAT_MUL(NVFP4, format)
MAT_MUL(INT4, format)
MAT_MUL(INT8, format)

#define FAMILY_CASE(f)                                                                                 \
    case f:                                                                                            \
        mat_mul_##f(format, w, outputs, cols, q, scales, rows, y, y_stride, group_begin, group_end);   \
        break

static void mat_mul_quantized(MAT_MUL_QUANTIZED_PARAMETERS) {
    switch (family(format)) {
        FAMILY_CASE(Q8);
        FAMILY_CASE(Q8_0);
        FAMILY_CASE(Q4_0);
        FAMILY_CASE(Q4_1);
        FAMILY_CASE(Q5_0);
        FAMILY_CASE(Q5_1);
        FAMILY_CASE(IQ4_NL);
        FAMILY_CASE(MXFP4);
        FAMILY_CASE(Q2_K);
        FAMILY_CASE(Q3_K);
        FAMILY_CASE(Q4_K);
        FAMILY_CASE(Q5_K);
        FAMILY_CASE(Q6_K);
        FAMILY_CASE(IQ4_XS);
        FAMILY_CASE(NVFP4);
        FAMILY_CASE(INT4);
        FAMILY_CASE(INT8);
    }
}
