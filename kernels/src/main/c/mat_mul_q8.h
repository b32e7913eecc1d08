/* The Q8 product, over the integer operations that the including file defines:
 *
 * q8_sums        sixteen int32 sums
 * q8_weights     64 weight bytes, made ready
 * q8_start(x)    what the sums of a block start from, given its 32 row bytes
 * q8_load(p)     the weights at p
 * q8_dot(s, w, x) s plus, for each output, the product of its four weights with the four row bytes in x
 * q8_float(s)    the sums as floats */
#ifndef Q8_ROWS
#error "define Q8_ROWS and Q8_GROUPS, the register tile"
#endif

/* y for R rows and G groups, from `w`, the first of the groups. */
INLINE void q8_tile(const int R, const int G, const uint8_t *restrict w, int32_t cols, const int8_t *restrict q,
                    const float *restrict scales, float *restrict y, int32_t y_stride, int32_t outputs) {
    const int32_t blocks = cols / BLOCK;
    const size_t group_bytes = (size_t)blocks * Q8_BLOCK_BYTES;
    v16 acc[Q8_ROWS][Q8_GROUPS];
    for (int r = 0; r < R; r++) {
        for (int g = 0; g < G; g++) {
            acc[r][g] = v_zero();
        }
    }
    for (int32_t b = 0; b < blocks; b++) {
        const uint8_t *wb = w + (size_t)b * Q8_BLOCK_BYTES;
        const int8_t *qb = q + (size_t)b * BLOCK;
        q8_sums sums[Q8_ROWS][Q8_GROUPS];
        for (int r = 0; r < R; r++) {
            const q8_sums start = q8_start(qb + (size_t)r * cols);
            for (int g = 0; g < G; g++) {
                sums[r][g] = start;
            }
        }
#pragma GCC unroll 8
        for (int a = 0; a < BLOCK / 4; a++) {
            q8_weights weights[Q8_GROUPS];
            for (int g = 0; g < G; g++) {
                weights[g] = q8_load(wb + g * group_bytes + 4 * LANES + 64 * a);
            }
            for (int r = 0; r < R; r++) {
                int32_t x;
                memcpy(&x, qb + (size_t)r * cols + 4 * a, sizeof x);
                for (int g = 0; g < G; g++) {
                    sums[r][g] = q8_dot(sums[r][g], weights[g], x);
                }
            }
        }
        for (int r = 0; r < R; r++) {
            const v16 scale = v_set1(scales[(size_t)r * blocks + b]);
            for (int g = 0; g < G; g++) {
                const v16 product = v_mul(q8_float(sums[r][g]), scale);
                acc[r][g] = v_fma(product, v_load((const float *)(wb + g * group_bytes)), acc[r][g]);
            }
        }
    }
    for (int r = 0; r < R; r++) {
        for (int g = 0; g < G; g++) {
            v_put(y + (size_t)r * y_stride + g * LANES, acc[r][g], outputs - g * LANES);
        }
    }
}

#define Q8_CASE(R)                                                                \
    case R:                                                                       \
        q8_tile(R, G, w, cols, q, scales, y, y_stride, outputs);                  \
        break

/* Register tiles are compiled for each number of rows, so that the loops over them vanish. */
INLINE void q8_rows(const int G, int R, const uint8_t *restrict w, int32_t cols, const int8_t *restrict q,
                    const float *restrict scales, float *restrict y, int32_t y_stride, int32_t outputs) {
    switch (R) {
        Q8_CASE(1);
#if Q8_ROWS > 1
        Q8_CASE(2);
        Q8_CASE(3);
        Q8_CASE(4);
#endif
    }
}

static void mat_mul_q8(MAT_MUL_Q8_PARAMETERS) {
    const size_t group_bytes = (size_t)(cols / BLOCK) * Q8_BLOCK_BYTES;
    int32_t g = group_begin;
    while (g < group_end) {
        const int32_t wide = group_end - g >= Q8_GROUPS ? Q8_GROUPS : 1;
        for (int32_t r = 0; r < rows; r += Q8_ROWS) {
            const int32_t tile_rows = rows - r < Q8_ROWS ? rows - r : Q8_ROWS;
            const uint8_t *wg = w + g * group_bytes;
            const int8_t *qr = q + (size_t)r * cols;
            const float *sr = scales + (size_t)r * (cols / BLOCK);
            float *yr = y + (size_t)r * y_stride + (size_t)g * LANES;
            if (wide == Q8_GROUPS) {
                q8_rows(Q8_GROUPS, tile_rows, wg, cols, qr, sr, yr, y_stride, outputs - g * LANES);
            } else {
                q8_rows(1, tile_rows, wg, cols, qr, sr, yr, y_stride, outputs - g * LANES);
            }
        }
        g += wide;
    }
}
