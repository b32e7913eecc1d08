/* The operations of io.atoll.kernels.Kernels over v16, compiled once for each instruction set.
 *
 * Every sum has the order of the contract, so the tiles below, which differ from set to set, cannot change a bit: a tile
 * is only a choice of which independent sums run side by side. */
#include "atoll_kernels.h"
#include "v16.h"

/* Register tiles. ROWS x GROUPS of a product with many rows; VECTOR_GROUPS of a product with one row, enough sums in
 * flight to hide the latency of fma; HEADS x DOTS query-key products; HEADS x SUM_WIDE and DELTA_WIDE vectors of an
 * output. */
#if defined(ATOLL_AVX512)
enum { ROWS = 6, GROUPS = 4, VECTOR_GROUPS = 8, HEADS = 4, DOTS = 4, SUM_WIDE = 4, DELTA_WIDE = 4 };
#elif defined(ATOLL_AVX2)
enum { ROWS = 6, GROUPS = 1, VECTOR_GROUPS = 4, HEADS = 2, DOTS = 2, SUM_WIDE = 2, DELTA_WIDE = 4 };
#elif defined(ATOLL_NEON)
enum { ROWS = 6, GROUPS = 1, VECTOR_GROUPS = 4, HEADS = 2, DOTS = 2, SUM_WIDE = 2, DELTA_WIDE = 4 };
#else
enum { ROWS = 6, GROUPS = 1, VECTOR_GROUPS = 1, HEADS = 2, DOTS = 1, SUM_WIDE = 1, DELTA_WIDE = 1 };
#endif

enum { MAX_GROUPS = 8, CHUNK_COLS = 1024, SEGMENT = 256, MAX_SHARED = 64, MAX_CONV_WIDTH = 16 };

/* ---- products ---- */

/* How weights of f32 rows are stored: io.atoll.kernels.PackedMatrix. */
enum stored { AS_F32, AS_BF16, AS_F16, AS_F8 };

enum { F8_RECORD = 128, F8_SCALES = LANES * sizeof(float) };

struct product {
    const void *w;
    const float *x;
    float *y;
    int32_t outputs, cols, y_stride;
};

/* Bytes of `cols` columns of a group, from the first column of a record on. */
INLINE size_t stored_bytes(const int stored, int32_t cols) {
    switch (stored) {
        case AS_F32:
            return (size_t)cols * LANES * 4;
        case AS_F8:
            return (size_t)cols * LANES + (size_t)((cols + F8_RECORD - 1) / F8_RECORD) * F8_SCALES;
        default:
            return (size_t)cols * LANES * 2;
    }
}

/* One column of a group. E4M3 numbers come 256 times too small, and their scales as much larger: see Fp8Layout.java. */
INLINE v16 column_weights(const int stored, const uint8_t *w, v16 scale) {
    switch (stored) {
        case AS_F32:
            return v_load((const float *)w);
        case AS_BF16:
            return v_load_bf16((const uint16_t *)w);
        case AS_F16:
            return v_load_f16((const uint16_t *)w);
        default:
            return v_mul(v_load_f8(w), scale);
    }
}

/* Adds the columns c0 to c1 of R rows and G groups to y, or begins y with them if c0 is 0. */
INLINE void product_tile(const int stored, const int R, const int G, const struct product *p, int32_t row,
                         int32_t group, int32_t c0, int32_t c1) {
    const size_t cols = (size_t)p->cols, group_bytes = stored_bytes(stored, p->cols);
    const size_t column_bytes = stored == AS_F32 ? 4 * LANES : stored == AS_F8 ? LANES : 2 * LANES;
    const uint8_t *w = (const uint8_t *)p->w + (size_t)group * group_bytes + stored_bytes(stored, c0);
    const float *x = p->x + (size_t)row * cols;
    float *y = p->y + (size_t)row * p->y_stride + (size_t)group * LANES;
    const int32_t outputs = p->outputs - group * LANES;
    v16 acc[ROWS][MAX_GROUPS];
    for (int r = 0; r < R; r++) {
        for (int g = 0; g < G; g++) {
            acc[r][g] = c0 == 0 ? v_zero() : v_get(y + (size_t)r * p->y_stride + g * LANES, outputs - g * LANES);
        }
    }
    for (int32_t c = c0; c < c1;) {
        const int32_t end = stored == AS_F8 && c1 - c > F8_RECORD ? c + F8_RECORD : c1;
        v16 scale[MAX_GROUPS];
        for (int g = 0; g < G; g++) {
            scale[g] = stored == AS_F8 ? v_mul(v_load((const float *)(w + g * group_bytes)), v_set1(256.0f)) : v_zero();
        }
        w += stored == AS_F8 ? F8_SCALES : 0;
        for (; c < end; c++, w += column_bytes) {
            v16 weights[MAX_GROUPS];
            for (int g = 0; g < G; g++) {
                weights[g] = column_weights(stored, w + g * group_bytes, scale[g]);
            }
            for (int r = 0; r < R; r++) {
                const v16 value = v_set1(x[r * cols + c]);
                for (int g = 0; g < G; g++) {
                    acc[r][g] = v_fma(weights[g], value, acc[r][g]);
                }
            }
        }
    }
    for (int r = 0; r < R; r++) {
        for (int g = 0; g < G; g++) {
            v_put(y + (size_t)r * p->y_stride + g * LANES, acc[r][g], outputs - g * LANES);
        }
    }
}

#define PRODUCT_CASE(R)                                  \
    case R:                                              \
        product_tile(stored, R, G, p, row, group, c0, c1); \
        break

/* Tiles are compiled for each number of rows and groups, so that the loops over them vanish. */
INLINE void product_rows(const int stored, const int G, int R, const struct product *p, int32_t row, int32_t group,
                         int32_t c0, int32_t c1) {
    switch (R) {
        PRODUCT_CASE(1);
        PRODUCT_CASE(2);
        PRODUCT_CASE(3);
        PRODUCT_CASE(4);
        PRODUCT_CASE(5);
        PRODUCT_CASE(6);
    }
}

/* All rows of the widest tile of groups that fits; returns its width. */
INLINE int32_t product_groups(const int stored, const struct product *p, int32_t rows, int32_t group, int32_t groups_left,
                              int32_t c0, int32_t c1) {
    if (rows == 1 && VECTOR_GROUPS > GROUPS && groups_left >= VECTOR_GROUPS) {
        product_tile(stored, 1, VECTOR_GROUPS, p, 0, group, c0, c1);
        return VECTOR_GROUPS;
    }
    const int32_t wide = groups_left >= GROUPS ? GROUPS : groups_left >= 2 && GROUPS > 2 ? 2 : 1;
    int32_t row = 0;
    for (int32_t tiles = (rows + ROWS - 1) / ROWS; tiles > 0; tiles--) {
        const int32_t tile_rows = (rows - row + tiles - 1) / tiles;
        if (wide == GROUPS) {
            product_rows(stored, GROUPS, tile_rows, p, row, group, c0, c1);
        } else if (wide == 2) {
            product_rows(stored, 2, tile_rows, p, row, group, c0, c1);
        } else {
            product_rows(stored, 1, tile_rows, p, row, group, c0, c1);
        }
        row += tile_rows;
    }
    return wide;
}

/* With many rows the columns are taken in chunks, so that a tile's weights stay in the cache until all rows met them. */
INLINE void product(const int stored, const struct product *p, int32_t rows, int32_t group_begin, int32_t group_end) {
    const int32_t chunk = rows > ROWS ? CHUNK_COLS : p->cols;
    for (int32_t c0 = 0; c0 < p->cols; c0 += chunk) {
        const int32_t c1 = p->cols - c0 < chunk ? p->cols : c0 + chunk;
        int32_t group = group_begin;
        while (group < group_end) {
            group += product_groups(stored, p, rows, group, group_end - group, c0, c1);
        }
    }
}

#define MAT_MUL_ROWS(name, stored)                                                                             \
    static void name(const void *w, int32_t outputs, int32_t cols, const float *x, int32_t rows, float *y,     \
                     int32_t y_stride, int32_t group_begin, int32_t group_end) {                               \
        const struct product p = {w, x, y, outputs, cols, y_stride};                                           \
        product(stored, &p, rows, group_begin, group_end);                                                     \
    }

MAT_MUL_ROWS(mat_mul_f32, AS_F32)
MAT_MUL_ROWS(mat_mul_bf16, AS_BF16)
MAT_MUL_ROWS(mat_mul_f16, AS_F16)
MAT_MUL_ROWS(mat_mul_f8, AS_F8)

#ifdef ATOLL_AVX512
/* Quantised products come from vnni.c, or from the AVX2 table where the processor has no VNNI: see atoll_kernels.c. */
#define MAT_MUL_QUANTIZED_SLOT NULL
#else
#include "mat_mul_quantized.h"
#define MAT_MUL_QUANTIZED_SLOT ((void (*)(void))mat_mul_quantized)
#endif

static void quantize_rows(const float *x, int32_t rows, int32_t cols, int8_t *q, float *scales) {
    const int64_t blocks = (int64_t)rows * (cols / BLOCK);
    for (int64_t b = 0; b < blocks; b++) {
        const v16 low = v_load(x + b * BLOCK), high = v_load(x + b * BLOCK + LANES);
        const int32_t bits = v_fold_max_bits(v_max_bits(v_abs(low), v_abs(high)));
        float max;
        memcpy(&max, &bits, sizeof max);
        const float scale = max / 127.0f;
        if (bits >= 0x7f800000 || scale < 0x1p-126f) {
            scales[b] = bits >= 0x7f800000 ? __builtin_nanf("") : 0.0f;
            memset(q + b * BLOCK, 0, BLOCK);
        } else {
            const v16 inverse = v_set1(1.0f / scale);
            scales[b] = scale;
            v_store_i8(q + b * BLOCK, v_mul(low, inverse));
            v_store_i8(q + b * BLOCK + LANES, v_mul(high, inverse));
        }
    }
}

/* ---- norms ---- */

INLINE float sum_of_squares(const float *x, int32_t n) {
    v16 lanes = v_zero();
    for (int32_t i = 0; i < n; i += LANES) {
        const v16 v = v_get(x + i, n - i);
        lanes = v_fma(v, v, lanes);
    }
    return v_fold(lanes);
}

INLINE float inverse_rms(const float *x, int32_t n, float eps) {
    return 1.0f / __builtin_sqrtf(sum_of_squares(x, n) / (float)n + eps);
}

static void rms_norm(const float *x, int32_t x_stride, const float *weight, float eps, float *y, int32_t y_stride,
                     int32_t rows, int32_t n) {
    for (int32_t r = 0; r < rows; r++, x += x_stride, y += y_stride) {
        const v16 scale = v_set1(inverse_rms(x, n, eps));
        for (int32_t i = 0; i < n; i += LANES) {
            const v16 w = v_add(v_set1(1.0f), v_get(weight + i, n - i));
            v_put(y + i, v_mul(v_mul(v_get(x + i, n - i), scale), w), n - i);
        }
    }
}

static void gated_rms_norm(const float *x, const float *z, const float *weight, float eps, float *y, int32_t rows,
                           int32_t n) {
    for (int32_t r = 0; r < rows; r++, x += n, z += n, y += n) {
        const v16 scale = v_set1(inverse_rms(x, n, eps));
        for (int32_t i = 0; i < n; i += LANES) {
            const v16 normed = v_mul(v_mul(v_get(x + i, n - i), scale), v_get(weight + i, n - i));
            v_put(y + i, v_mul(normed, v_silu(v_get(z + i, n - i))), n - i);
        }
    }
}

static void l2_norm(float *x, int32_t x_stride, int32_t rows, int32_t count, int32_t n, float scale) {
    for (int32_t r = 0; r < rows; r++, x += x_stride) {
        for (int32_t v = 0; v < count; v++) {
            float *p = x + (size_t)v * n;
            const v16 inverse = v_set1(1.0f / __builtin_sqrtf(sum_of_squares(p, n) + 1e-6f));
            for (int32_t i = 0; i < n; i += LANES) {
                v_put(p + i, v_mul(v_mul(v_get(p + i, n - i), inverse), v_set1(scale)), n - i);
            }
        }
    }
}

static void rotary(float *x, int32_t heads, int32_t head_stride, int32_t rotary_dim, const float *cos,
                   const float *sin) {
    const int32_t half = rotary_dim / 2;
    for (int32_t h = 0; h < heads; h++, x += head_stride) {
        for (int32_t i = 0; i < half; i += LANES) {
            const int32_t left = half - i;
            const v16 low = v_get(x + i, left), high = v_get(x + half + i, left);
            const v16 c = v_get(cos + i, left), s = v_get(sin + i, left);
            v_put(x + i, v_fma(low, c, v_neg(v_mul(high, s))), left);
            v_put(x + half + i, v_fma(high, c, v_mul(low, s)), left);
        }
    }
}

/* ---- Gated DeltaNet ---- */

static void causal_conv(const float *u, const float *weight, float *state, float *y, int32_t rows, int32_t channels,
                        int32_t width, int32_t channel_begin, int32_t channel_end) {
    const int32_t kept = width - 1;
    for (int32_t c = channel_begin; c < channel_end; c += LANES) {
        const int32_t left = channel_end - c, lanes = left < LANES ? left : LANES;
        float w[MAX_CONV_WIDTH][LANES] = {{0}}; /* the weights of these channels, tap by tap */
        for (int32_t lane = 0; lane < lanes; lane++) {
            for (int32_t j = 0; j < width; j++) {
                w[j][lane] = weight[(size_t)(c + lane) * width + j];
            }
        }
        v16 last[MAX_CONV_WIDTH]; /* the inputs of row t, oldest first */
        for (int32_t j = 0; j < kept; j++) {
            last[j] = v_get(state + (size_t)j * channels + c, left);
        }
        for (int32_t t = 0; t < rows; t++) {
            last[kept] = v_get(u + (size_t)t * channels + c, left);
            v16 sum = v_zero();
            for (int32_t j = 0; j < width; j++) {
                sum = v_fma(v_load(w[j]), last[j], sum);
            }
            v_put(y + (size_t)t * channels + c, v_silu(sum), left);
            for (int32_t j = 0; j < kept; j++) {
                last[j] = last[j + 1];
            }
        }
        for (int32_t j = 0; j < kept; j++) {
            v_put(state + (size_t)j * channels + c, last[j], left);
        }
    }
}

static void delta_gates(const float *a, const float *b, const float *a_log, const float *dt_bias, float *decay,
                        float *beta, int32_t rows, int32_t heads) {
    for (int32_t h = 0; h < heads; h += LANES) {
        const int32_t left = heads - h;
        const v16 rate = v_exp(v_get(a_log + h, left));
        const v16 bias = v_get(dt_bias + h, left);
        for (int32_t r = 0; r < rows; r++) {
            const size_t at = (size_t)r * heads + h;
            const v16 step = v_softplus(v_add(v_get(a + at, left), bias));
            v_put(decay + at, v_exp(v_neg(v_mul(rate, step))), left);
            v_put(beta + at, v_sigmoid(v_get(b + at, left)), left);
        }
    }
}

struct delta_rows {
    const float *q, *k, *v, *decay, *beta;
    float *out;
    int32_t rows, key_dim, value_dim;
    size_t qkv_stride, gate_stride, out_stride;
};

/* All rows for T vectors of a head's values, which are whole if `full`. The decayed state is not stored but
 * computed twice: a row reads the state twice and writes it once. */
INLINE void delta_tile(const int T, const int full, const struct delta_rows *p, float *state, int32_t column) {
    const int32_t left = p->value_dim - column;
    for (int32_t r = 0; r < p->rows; r++) {
        const float *q = p->q + r * p->qkv_stride, *k = p->k + r * p->qkv_stride;
        const float *v = p->v + r * p->qkv_stride + column;
        const v16 decay = v_set1(p->decay[r * p->gate_stride]), beta = v_set1(p->beta[r * p->gate_stride]);
        v16 m[DELTA_WIDE], d[DELTA_WIDE], o[DELTA_WIDE];
        for (int t = 0; t < T; t++) {
            m[t] = o[t] = v_zero();
        }
        const float *s = state + column;
        for (int32_t i = 0; i < p->key_dim; i++, s += p->value_dim) {
            const v16 key = v_set1(k[i]);
            for (int t = 0; t < T; t++) {
                m[t] = v_fma(key, v_mul(v_part(full, s + t * LANES, left - t * LANES), decay), m[t]);
            }
        }
        for (int t = 0; t < T; t++) {
            d[t] = v_mul(beta, v_sub(v_get(v + t * LANES, left - t * LANES), m[t]));
        }
        float *updated = state + column;
        for (int32_t i = 0; i < p->key_dim; i++, updated += p->value_dim) {
            const v16 key = v_set1(k[i]), query = v_set1(q[i]);
            for (int t = 0; t < T; t++) {
                float *at = updated + t * LANES;
                const v16 next = v_fma(key, d[t], v_mul(v_part(full, at, left - t * LANES), decay));
                v_put_part(full, at, next, left - t * LANES);
                o[t] = v_fma(query, next, o[t]);
            }
        }
        for (int t = 0; t < T; t++) {
            v_put(p->out + r * p->out_stride + column + t * LANES, o[t], left - t * LANES);
        }
    }
}

static void gated_delta_rule(const float *qkv, const float *decay, const float *beta, float *state, float *out,
                             int32_t rows, int32_t key_heads, int32_t value_heads, int32_t key_dim, int32_t value_dim,
                             int32_t head_begin, int32_t head_end) {
    const size_t keys = (size_t)key_heads * key_dim;
    for (int32_t h = head_begin; h < head_end; h++) {
        const float *q = qkv + (size_t)(h / (value_heads / key_heads)) * key_dim;
        const struct delta_rows p = {
            .q = q,
            .k = q + keys,
            .v = qkv + 2 * keys + (size_t)h * value_dim,
            .decay = decay + h,
            .beta = beta + h,
            .out = out + (size_t)h * value_dim,
            .rows = rows,
            .key_dim = key_dim,
            .value_dim = value_dim,
            .qkv_stride = 2 * keys + (size_t)value_heads * value_dim,
            .gate_stride = value_heads,
            .out_stride = (size_t)value_heads * value_dim,
        };
        float *head_state = state + (size_t)h * key_dim * value_dim;
        int32_t column = 0;
        for (; column + DELTA_WIDE * LANES <= value_dim; column += DELTA_WIDE * LANES) {
            delta_tile(DELTA_WIDE, 1, &p, head_state, column);
        }
        for (; column < value_dim; column += LANES) {
            delta_tile(1, 0, &p, head_state, column);
        }
    }
}

/* ---- attention ---- */

struct cache {
    const char *pool;
    const int64_t *offsets;
    int32_t block_tokens, kv_heads, head_dim;
};

/* The rows of a block that belong to a head: keys from head 0, values from head kv_heads. */
INLINE const float *cache_rows(const struct cache *c, int32_t position, int32_t head) {
    const float *block = (const float *)(c->pool + c->offsets[position / c->block_tokens]);
    return block + ((size_t)head * c->block_tokens + position % c->block_tokens) * c->head_dim;
}

/* Query heads that read one key/value head, at one segment: where their state is, and what lasts for the segment. */
struct head_tile {
    const float *q;
    float *out, *max, *sum;
    float scores[HEADS][SEGMENT]; /* then their exponentials */
    float keep[HEADS], take[HEADS];
};

/* Adds the columns i to i + 15, or as many as are left, to the products of H heads and D positions. */
INLINE void dot_step(const int H, const int D, const int full, v16 (*lanes)[DOTS], const float *q, const float *k,
                     int32_t n, int32_t i) {
    v16 key[DOTS];
    for (int d = 0; d < D; d++) {
        key[d] = v_part(full, k + (size_t)d * n + i, n - i);
    }
    for (int h = 0; h < H; h++) {
        const v16 query = v_part(full, q + (size_t)h * n + i, n - i);
        for (int d = 0; d < D; d++) {
            lanes[h][d] = v_fma(query, key[d], lanes[h][d]);
        }
    }
}

/* Scores of H heads and D positions that lie side by side. */
INLINE void dot_tile(const int H, const int D, struct head_tile *tile, const float *k, int32_t n, float scale,
                     int32_t j) {
    v16 lanes[HEADS][DOTS];
    for (int h = 0; h < H; h++) {
        for (int d = 0; d < D; d++) {
            lanes[h][d] = v_zero();
        }
    }
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        dot_step(H, D, 1, lanes, tile->q, k, n, i);
    }
    if (i < n) {
        dot_step(H, D, 0, lanes, tile->q, k, n, i);
    }
    for (int h = 0; h < H; h++) {
        for (int d = 0; d < D; d++) {
            tile->scores[h][j + d] = v_fold(lanes[h][d]) * scale;
        }
    }
}

INLINE void segment_scores(const int H, struct head_tile *tile, const struct cache *c, int32_t kv_head, int32_t begin,
                           int32_t count, float scale) {
    for (int32_t j = 0; j < count;) {
        const int32_t in_block = c->block_tokens - (begin + j) % c->block_tokens;
        const int32_t run = count - j < in_block ? count - j : in_block;
        const float *k = cache_rows(c, begin + j, kv_head);
        int32_t i = 0;
        for (; i + DOTS <= run; i += DOTS) {
            dot_tile(H, DOTS, tile, k + (size_t)i * c->head_dim, c->head_dim, scale, j + i);
        }
        for (; i < run; i++) {
            dot_tile(H, 1, tile, k + (size_t)i * c->head_dim, c->head_dim, scale, j + i);
        }
        j += run;
    }
}

INLINE float largest_of(const float *scores, int32_t count) {
    v16 lanes = v_set1(-__builtin_inff());
    float max = -__builtin_inff(), last[LANES];
    int32_t j = 0;
    for (; j + LANES <= count; j += LANES) {
        lanes = v_max(v_load(scores + j), lanes);
    }
    v_store(last, lanes);
    for (int i = 0; i < LANES; i++) {
        max = last[i] > max ? last[i] : max;
    }
    for (; j < count; j++) {
        max = scores[j] > max ? scores[j] : max;
    }
    return max;
}

/* Turns the segment's scores into exponentials and finds how it merges with the segments before it. */
INLINE void segment_softmax(const int H, struct head_tile *tile, int32_t count, int first) {
    float max[HEADS], sum[HEADS];
    for (int h = 0; h < H; h++) {
        float *p = tile->scores[h];
        max[h] = largest_of(p, count);
        sum[h] = 0.0f;
        for (int32_t j = 0; j < count; j += LANES) {
            v_put(p + j, v_exp(v_sub(v_get(p + j, count - j), v_set1(max[h]))), count - j);
        }
    }
    for (int32_t j = 0; j < count; j++) { /* the sums are chains of additions: side by side they hide each other */
        for (int h = 0; h < H; h++) {
            sum[h] += tile->scores[h][j];
        }
    }
    for (int h = 0; h < H; h++) {
        if (first) {
            tile->max[h] = max[h];
            tile->sum[h] = sum[h];
        } else {
            const float old = tile->max[h], all = max[h] > old ? max[h] : old;
            const float keep = v_first(v_exp(v_set1(old - all))), take = v_first(v_exp(v_set1(max[h] - all)));
            tile->max[h] = all;
            tile->sum[h] = v_first(v_fma(v_set1(tile->sum[h]), v_set1(keep), v_set1(sum[h] * take)));
            tile->keep[h] = keep;
            tile->take[h] = take;
        }
    }
}

/* T vectors of the sums over j of p_j v_j of H heads, merged into the output. A vector may be a part unless `full`. */
INLINE void value_tile(const int H, const int T, const int full, struct head_tile *tile, const struct cache *c, int32_t kv_head,
                       int32_t begin, int32_t count, int32_t column) {
    const int32_t left = c->head_dim - column;
    v16 sum[HEADS][SUM_WIDE];
    for (int h = 0; h < H; h++) {
        for (int t = 0; t < T; t++) {
            sum[h][t] = v_zero();
        }
    }
    for (int32_t j = 0; j < count;) {
        const int32_t in_block = c->block_tokens - (begin + j) % c->block_tokens;
        const int32_t run = count - j < in_block ? count - j : in_block;
        const float *v = cache_rows(c, begin + j, c->kv_heads + kv_head) + column;
        for (int32_t i = 0; i < run; i++, v += c->head_dim) {
            v16 value[SUM_WIDE];
            for (int t = 0; t < T; t++) {
                value[t] = v_part(full, v + t * LANES, left - t * LANES);
            }
            for (int h = 0; h < H; h++) {
                const v16 weight = v_set1(tile->scores[h][j + i]);
                for (int t = 0; t < T; t++) {
                    sum[h][t] = v_fma(weight, value[t], sum[h][t]);
                }
            }
        }
        j += run;
    }
    for (int h = 0; h < H; h++) {
        for (int t = 0; t < T; t++) {
            float *o = tile->out + (size_t)h * c->head_dim + column + t * LANES;
            v16 merged = sum[h][t];
            if (begin > 0) {
                const v16 kept = v_get(o, left - t * LANES);
                merged = v_fma(kept, v_set1(tile->keep[h]), v_mul(merged, v_set1(tile->take[h])));
            }
            v_put(o, merged, left - t * LANES);
        }
    }
}

/* One segment for H heads. */
INLINE void attend(const int H, struct head_tile *tile, const struct cache *c, int32_t kv_head, int32_t begin,
                   int32_t count, float scale) {
    segment_scores(H, tile, c, kv_head, begin, count, scale);
    segment_softmax(H, tile, count, begin == 0);
    int32_t column = 0;
    for (; column + SUM_WIDE * LANES <= c->head_dim; column += SUM_WIDE * LANES) {
        value_tile(H, SUM_WIDE, 1, tile, c, kv_head, begin, count, column);
    }
    for (; column < c->head_dim; column += LANES) {
        value_tile(H, 1, 0, tile, c, kv_head, begin, count, column);
    }
}

/* Up to MAX_SHARED heads of one key/value head. Segments are the outer loop, so that all heads meet a segment's keys and
 * values in the cache. */
static void attend_shared(const float *q, float *out, const struct cache *c, int32_t kv_head, int32_t heads,
                          int32_t length, float scale) {
    float max[MAX_SHARED], sum[MAX_SHARED];
    struct head_tile tile;
    for (int32_t begin = 0; begin < length; begin += SEGMENT) {
        const int32_t count = length - begin < SEGMENT ? length - begin : SEGMENT;
        for (int32_t h = 0; h < heads;) {
            tile.q = q + (size_t)h * c->head_dim;
            tile.out = out + (size_t)h * c->head_dim;
            tile.max = max + h;
            tile.sum = sum + h;
            if (heads - h >= HEADS) {
                attend(HEADS, &tile, c, kv_head, begin, count, scale);
                h += HEADS;
            } else {
                attend(1, &tile, c, kv_head, begin, count, scale);
                h += 1;
            }
        }
    }
    for (int32_t h = 0; h < heads; h++, out += c->head_dim) {
        for (int32_t i = 0; i < c->head_dim; i += LANES) {
            v_put(out + i, v_div(v_get(out + i, c->head_dim - i), v_set1(sum[h])), c->head_dim - i);
        }
    }
}

static void attention(const float *q, const char *pool, const int64_t *offsets, int32_t block_tokens, int32_t length,
                      int32_t heads, int32_t kv_heads, int32_t head_dim, float scale, float *out, int32_t head_begin,
                      int32_t head_end) {
    const struct cache c = {pool, offsets, block_tokens, kv_heads, head_dim};
    const int32_t shared = heads / kv_heads;
    for (int32_t h = head_begin; h < head_end;) {
        const int32_t kv_head = h / shared, kv_end = (kv_head + 1) * shared;
        int32_t run = (kv_end < head_end ? kv_end : head_end) - h;
        run = run < MAX_SHARED ? run : MAX_SHARED;
        attend_shared(q + (size_t)h * head_dim, out + (size_t)h * head_dim, &c, kv_head, run, length, scale);
        h += run;
    }
}

static void sigmoid_gate(float *x, const float *gate, int32_t gate_stride, int32_t count, int32_t n) {
    for (int32_t v = 0; v < count; v++, x += n, gate += gate_stride) {
        for (int32_t i = 0; i < n; i += LANES) {
            v_put(x + i, v_mul(v_get(x + i, n - i), v_sigmoid(v_get(gate + i, n - i))), n - i);
        }
    }
}

/* ---- experts ---- */

static void swi_glu(const float *gate_up, float *y, int32_t rows, int32_t n) {
    for (int32_t r = 0; r < rows; r++, gate_up += 2 * (size_t)n, y += n) {
        for (int32_t i = 0; i < n; i += LANES) {
            v_put(y + i, v_mul(v_silu(v_get(gate_up + i, n - i)), v_get(gate_up + n + i, n - i)), n - i);
        }
    }
}

/* Keeps the k largest logits in descending order, of which `held` are there; equal ones stay in order of arrival. */
INLINE void insert(int32_t *ids, float *logits, int32_t held, int32_t k, int32_t id, float logit) {
    int32_t at = held;
    while (at > 0 && logit > logits[at - 1]) {
        at--;
    }
    for (int32_t i = held < k ? held : k - 1; i > at; i--) {
        logits[i] = logits[i - 1];
        ids[i] = ids[i - 1];
    }
    if (at < k) {
        logits[at] = logit;
        ids[at] = id;
    }
}

static void router_top_k(const float *logits, int32_t rows, int32_t experts, int32_t k, int32_t *ids, float *weights) {
    for (int32_t r = 0; r < rows; r++, logits += experts, ids += k, weights += k) {
        int32_t e = 0;
        for (; e < k; e++) {
            insert(ids, weights, e, k, e, logits[e] == logits[e] ? logits[e] : -__builtin_inff());
        }
        for (; e < experts; e += LANES) { /* most runs of sixteen hold none of the largest */
            const int32_t end = experts - e < LANES ? experts : e + LANES;
            if (end - e == LANES && !v_any_gt(v_load(logits + e), v_set1(weights[k - 1]))) {
                continue;
            }
            for (int32_t i = e; i < end; i++) {
                if (logits[i] > weights[k - 1]) {
                    insert(ids, weights, k, k, i, logits[i]);
                }
            }
        }
        const float largest = weights[0];
        float sum = 0.0f;
        for (int32_t i = 0; i < k; i++) {
            weights[i] = weights[i] == largest ? 1.0f : v_first(v_exp(v_set1(weights[i] - largest)));
            sum += weights[i];
        }
        for (int32_t i = 0; i < k; i++) {
            weights[i] /= sum;
        }
    }
}

INLINE float power_of_two(int32_t exponent) {
    const int32_t bits = (127 + exponent) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

static int32_t combine_add(const float *y, float weight, int64_t *acc, int32_t n, int32_t fraction_bits) {
    const v16 w = v_set1(weight), grid = v_set1(power_of_two(fraction_bits));
    v16 largest = v_zero();
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const v16 scaled = v_mul(v_mul(w, v_load(y + i)), grid);
        largest = v_max_bits(largest, v_abs(scaled));
        v_accumulate_i64(acc + i, scaled);
    }
    if (i < n) {
        int64_t last[LANES] = {0};
        const v16 scaled = v_mul(v_mul(w, v_load_n(y + i, n - i)), grid);
        /* Lanes behind the end are 0 * weight: nothing, unless the weight is not finite, and then all lanes fail. */
        largest = v_max_bits(largest, v_abs(scaled));
        memcpy(last, acc + i, (size_t)(n - i) * sizeof(int64_t));
        v_accumulate_i64(last, scaled);
        memcpy(acc + i, last, (size_t)(n - i) * sizeof(int64_t));
    }
    const float limit = 0x1p61f;
    int32_t limit_bits;
    memcpy(&limit_bits, &limit, sizeof limit_bits);
    return v_fold_max_bits(largest) < limit_bits;
}

static void combine_to_float(const int64_t *acc, float *y, int32_t n, int32_t fraction_bits) {
    const v16 unit = v_set1(power_of_two(-fraction_bits));
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        v_store(y + i, v_mul(v_load_i64(acc + i), unit));
    }
    if (i < n) {
        int64_t last[LANES] = {0};
        memcpy(last, acc + i, (size_t)(n - i) * sizeof(int64_t));
        v_store_n(y + i, v_mul(v_load_i64(last), unit), n - i);
    }
}

/* ---- residuals ---- */

static void add(float *x, const float *y, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        v_put(x + i, v_add(v_get(x + i, n - i), v_get(y + i, n - i)), n - i);
    }
}

static void add_gated(float *x, const float *y, const float *gate, int32_t gate_stride, int32_t rows, int32_t n) {
    for (int32_t r = 0; r < rows; r++, x += n, y += n, gate += gate_stride) {
        const v16 g = v_sigmoid(v_set1(*gate));
        for (int32_t i = 0; i < n; i += LANES) {
            v_put(x + i, v_fma(g, v_get(y + i, n - i), v_get(x + i, n - i)), n - i);
        }
    }
}

/* ---- measuring ---- */

/* Four runs side by side, as the products read four groups: a single one leaves memory prefetchers idle at the end of
 * each page. Enough sums that their latency does not show. */
static int64_t read_sum(const uint64_t *p, int64_t n) {
    enum { RUNS = 4, SUMS = 16 };
    uint64_t sums[RUNS][SUMS] = {{0}}, sum = 0;
    const int64_t run = n / (RUNS * SUMS) * SUMS;
    for (int64_t i = 0; i < run; i += SUMS) {
        for (int r = 0; r < RUNS; r++) {
            for (int j = 0; j < SUMS; j++) {
                sums[r][j] += p[r * run + i + j];
            }
        }
    }
    for (int r = 0; r < RUNS; r++) {
        for (int j = 0; j < SUMS; j++) {
            sum += sums[r][j];
        }
    }
    for (int64_t i = RUNS * run; i < n; i++) {
        sum += p[i];
    }
    return (int64_t)sum;
}

#define SLOT(function) ((void (*)(void))function)

const struct kernels ATOLL_TABLE = {{
    [MAT_MUL_F32] = SLOT(mat_mul_f32),
    [MAT_MUL_BF16] = SLOT(mat_mul_bf16),
    [MAT_MUL_F16] = SLOT(mat_mul_f16),
    [MAT_MUL_F8] = SLOT(mat_mul_f8),
    [MAT_MUL_QUANTIZED] = MAT_MUL_QUANTIZED_SLOT,
    [QUANTIZE_ROWS] = SLOT(quantize_rows),
    [RMS_NORM] = SLOT(rms_norm),
    [GATED_RMS_NORM] = SLOT(gated_rms_norm),
    [L2_NORM] = SLOT(l2_norm),
    [ROTARY] = SLOT(rotary),
    [CAUSAL_CONV] = SLOT(causal_conv),
    [DELTA_GATES] = SLOT(delta_gates),
    [GATED_DELTA_RULE] = SLOT(gated_delta_rule),
    [ATTENTION] = SLOT(attention),
    [SIGMOID_GATE] = SLOT(sigmoid_gate),
    [SWI_GLU] = SLOT(swi_glu),
    [ROUTER_TOP_K] = SLOT(router_top_k),
    [COMBINE_ADD] = SLOT(combine_add),
    [COMBINE_TO_FLOAT] = SLOT(combine_to_float),
    [ADD] = SLOT(add),
    [ADD_GATED] = SLOT(add_gated),
    [READ_SUM] = SLOT(read_sum),
}};
