/* The operations of io.atoll.kernels.Kernels over v16, compiled once for each instruction set.
 *
 * Every sum has the order of the contract, so the tiles below, which differ from set to set, cannot change a bit: a tile
 * is only a choice of which independent sums run side by side. */
#include "atoll_kernels.h"
#include "v16.h"

/* Register tiles. ROWS x GROUPS of a product with many rows; VECTOR_GROUPS of a product with one row, enough sums in
 * flight to hide the latency of fma; HEADS x DOTS query-key products; HEADS x SUM_WIDE, DELTA_WIDE and CONV_WIDE vectors of an
 * output. */
#if defined(ATOLL_AVX512)
enum { ROWS = 6, GROUPS = 4, VECTOR_GROUPS = 8, HEADS = 4, DOTS = 4, SUM_WIDE = 4, DELTA_WIDE = 4, CONV_WIDE = 4 };
#elif defined(ATOLL_AVX2)
enum { ROWS = 6, GROUPS = 1, VECTOR_GROUPS = 4, HEADS = 2, DOTS = 2, SUM_WIDE = 2, DELTA_WIDE = 2, CONV_WIDE = 1 };
#elif defined(ATOLL_NEON)
enum { ROWS = 6, GROUPS = 1, VECTOR_GROUPS = 4, HEADS = 2, DOTS = 2, SUM_WIDE = 2, DELTA_WIDE = 2, CONV_WIDE = 1 };
#else
enum { ROWS = 6, GROUPS = 1, VECTOR_GROUPS = 1, HEADS = 2, DOTS = 1, SUM_WIDE = 1, DELTA_WIDE = 1, CONV_WIDE = 1 };
#endif

enum { MAX_GROUPS = 8, CHUNK_COLS = 1024, MAX_CONV_WIDTH = 16 };

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

static void gated_rms_norm(const float *x, const float *z, int32_t stride, const float *weight, float eps, float *y,
                           int32_t y_stride, int32_t rows, int32_t count, int32_t n) {
    for (int32_t r = 0; r < rows; r++, x += stride, z += stride, y += y_stride) {
        for (int32_t first = 0; first < count * n; first += n) {
            const v16 scale = v_set1(inverse_rms(x + first, n, eps));
            for (int32_t i = 0; i < n; i += LANES) {
                const v16 normed = v_mul(v_mul(v_get(x + first + i, n - i), scale), v_get(weight + i, n - i));
                v_put(y + first + i, v_mul(normed, v_silu(v_get(z + first + i, n - i))), n - i);
            }
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

#include "delta_net.h"

#include "attention.h"

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

/* ---- logits ---- */

enum { MAXIMA_RUN = 1024 };

static int32_t lane_maxima(const float *x, int32_t n, float *maxima) {
    v16 magnitude = v_zero();
    for (int32_t run = 0; run < n; run += MAXIMA_RUN, maxima += LANES) {
        const int32_t end = n - run < MAXIMA_RUN ? n : run + MAXIMA_RUN;
        v16 largest = v_set1(-__builtin_inff());
        int32_t i = run;
        for (; i + LANES <= end; i += LANES) {
            const v16 values = v_load(x + i);
            magnitude = v_max_bits(magnitude, v_abs(values));
            largest = v_max(values, largest);
        }
        v_store(maxima, largest);
        if (i < end) {
            magnitude = v_max_bits(magnitude, v_abs(v_load_n(x + i, end - i)));
        }
        for (; i < end; i++) {
            if (x[i] > maxima[i % LANES]) {
                maxima[i % LANES] = x[i];
            }
        }
    }
    return v_fold_max_bits(magnitude) < 0x7f800000;
}

static double sum_exp(const float *x, int32_t n, float max) {
    double sum = 0.0;
    for (int32_t run = 0; run < n; run += MAXIMA_RUN) {
        const int32_t end = n - run < MAXIMA_RUN ? n : run + MAXIMA_RUN;
        v16 lanes = v_zero();
        int32_t i = run;
        for (; i + LANES <= end; i += LANES) {
            lanes = v_add(lanes, v_exp(v_sub(v_load(x + i), v_set1(max))));
        }
        if (i < end) {
            float last[LANES];
            v_store(last, v_exp(v_sub(v_load_n(x + i, end - i), v_set1(max))));
            lanes = v_add(lanes, v_load_n(last, end - i));
        }
        sum += (double)v_fold(lanes);
    }
    return sum;
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
    [ATTENTION_SPAN] = SLOT(attention_span),
    [MERGE_SPANS] = SLOT(merge_spans),
    [TO_BF16] = SLOT(to_bf16),
    [SIGMOID_GATE] = SLOT(sigmoid_gate),
    [SWI_GLU] = SLOT(swi_glu),
    [ROUTER_TOP_K] = SLOT(router_top_k),
    [COMBINE_ADD] = SLOT(combine_add),
    [COMBINE_TO_FLOAT] = SLOT(combine_to_float),
    [ADD] = SLOT(add),
    [ADD_GATED] = SLOT(add_gated),
    [LANE_MAXIMA] = SLOT(lane_maxima),
    [SUM_EXP] = SLOT(sum_exp),
    [READ_SUM] = SLOT(read_sum),
}};
