/* Rows of int8 made ready for products: what a tile needs of its rows lies side by side in the order in which it is needed,
 * and the sums of row bytes are taken once, not for each group of outputs. */
#ifndef ATOLL_READY_ROWS_H
#define ATOLL_READY_ROWS_H

#include "weight_formats.h"

/* How many rows are ready at a time, and how many blocks of 32 columns of all of them together: what the second cache
 * holds. One row may have 65,536 columns before it is taken in parts. */
enum { READY_ROWS = 64, READY_BLOCKS = 2048 };

/* The tiles of rows one after the other. A block of a tile of R rows is `int8 x[R][32]; float scale[R]; word run[runs][R]`,
 * where the word of a run is the factor of its minimum, or the float sum of its bytes where there are zero points, or else the
 * integer its sums start from, which takes away what bytes are larger than levels. */
struct ready_rows {
    int32_t rows, tiles, first_block, blocks;
    char memory[READY_BLOCKS * (BLOCK + 3 * sizeof(float))];
};

INLINE size_t ready_bytes(const int f) {
    return BLOCK + (size_t)(1 + BLOCK / run_cols(f)) * sizeof(float);
}

/* The rows of tile t, of which all tiles have nearly the same number. */
INLINE int32_t tile_begin(const struct ready_rows *ready, int32_t t) {
    return ready->rows * t / ready->tiles;
}

INLINE size_t tile_at(const int f, const struct ready_rows *ready, int32_t t) {
    return (size_t)tile_begin(ready, t) * (size_t)ready->blocks * ready_bytes(f);
}

/* Row r of R in a block. */
INLINE void make_block_ready(const int f, char *block, int32_t R, int32_t r, const int8_t *q, float scale) {
    float *words = (float *)(block + R * BLOCK);
    memcpy(block + r * BLOCK, q, BLOCK);
    words[r] = scale;
    for (int run = 0; run < BLOCK / run_cols(f); run++) {
        const int needed = has_minimum(f) || has_zero(f) || dot_offset(f) != 0;
        const int32_t sum = needed ? row_sum(q + run * run_cols(f), run_cols(f)) : 0;
        const int32_t start = -dot_offset(f) * sum;
        const float factor = has_zero(f) ? (float)sum : minimum_sign(f) * ((float)sum * scale);
        const int floats = has_minimum(f) || has_zero(f);
        memcpy(words + (1 + run) * R + r, floats ? (const void *)&factor : &start, sizeof(float));
    }
}

/* Makes `blocks` blocks of `rows` rows ready, from block `first_block` on.
 *
 * q and scales are those of the first of the rows. */
INLINE void make_ready(const int f, struct ready_rows *ready, const int8_t *q, const float *scales, int32_t cols) {
    for (int32_t t = 0; t < ready->tiles; t++) {
        const int32_t begin = tile_begin(ready, t), R = tile_begin(ready, t + 1) - begin;
        for (int32_t r = 0; r < R; r++) {
            const int8_t *row = q + (size_t)(begin + r) * cols + (size_t)ready->first_block * BLOCK;
            const float *row_scales = scales + (size_t)(begin + r) * (cols / BLOCK) + ready->first_block;
            char *block = ready->memory + tile_at(f, ready, t);
            for (int32_t b = 0; b < ready->blocks; b++, block += R * ready_bytes(f)) {
                make_block_ready(f, block, R, r, row + (size_t)b * BLOCK, row_scales[b]);
            }
        }
    }
}

#endif
