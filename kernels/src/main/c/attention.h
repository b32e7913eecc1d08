/* Softmax attention over blocks of keys and values, included by kernels.c.
 *
 * The heads of several rows that share a key/value head go through a segment together: its keys and values come from memory
 * once and then meet every query in the cache. What a row and head computes, and in which order, does not depend on the others. */

enum { SEGMENT = 256, SPAN = 1024, MAX_QUERIES = 64 };

/* What the heads of one row do with keys or values that lie side by side; one for each format. */
struct tiles {
    size_t element; /* bytes */
    void (*dots[2])(float (*scores)[SEGMENT], const float *q, const void *keys, int32_t n, float scale, int32_t j,
                    int32_t count);
    void (*values[2])(float (*p)[SEGMENT], float *sums, const void *values, int32_t n, int32_t j, int32_t count);
};

/* Which of the two: for HEADS heads, or for one. */
enum { MANY, ONE };

struct cache {
    const struct tiles *tiles;
    const char *pool;
    const int64_t *offsets;
    int32_t block_tokens, kv_heads, head_dim;
};

/* The rows of a block that belong to a head: keys from head 0, values from head kv_heads. */
INLINE const void *cache_rows(const struct cache *c, int32_t position, int32_t head) {
    const size_t row = (size_t)head * c->block_tokens + position % c->block_tokens;
    return c->pool + c->offsets[position / c->block_tokens] + row * c->head_dim * c->tiles->element;
}

/* Positions from this one on that lie side by side, at most `left`. */
INLINE int32_t cache_run(const struct cache *c, int32_t position, int32_t left) {
    const int32_t in_block = c->block_tokens - position % c->block_tokens;
    return left < in_block ? left : in_block;
}

/* Sixteen of the elements from `index` on, or the `left` that are left. */
INLINE v16 cached(const int bf16, const int full, const void *p, size_t index, int64_t left) {
    if (!bf16) {
        return v_part(full, (const float *)p + index, left);
    }
    if (full || left >= LANES) {
        return v_load_bf16((const uint16_t *)p + index);
    }
    uint16_t last[LANES] = {0};
    memcpy(last, (const uint16_t *)p + index, (size_t)left * sizeof(uint16_t));
    return v_load_bf16(last);
}

/* Consecutive rows of one sequence with some heads of one key/value head, and what they have seen of a span. Entry `row *
 * heads + head` of an array is that query's. */
struct queries {
    const struct cache *cache;
    const float *q; /* heads side by side, rows `stride` apart */
    float *o;       /* the same, `o_stride` apart: weighted values so far */
    size_t stride, o_stride;
    int32_t rows, heads, kv_head;
    int32_t length; /* positions that the first row sees; each row sees one more than the row before it */
    float scale;
    float (*scores)[SEGMENT]; /* of the segment, then their exponentials */
    float *segment_o;         /* weighted values of the segment, [rows, heads, head_dim] */
    float *max, *sum;
    float *keep, *take; /* how the segment merges with those before it */
};

/* How many positions of the segment at `begin` a row sees. */
INLINE int32_t seen(const struct queries *s, int32_t row, int32_t begin) {
    const int32_t count = s->length + row - begin;
    return count < SEGMENT ? count : SEGMENT;
}

/* ---- scores ---- */

/* Adds the columns i to i + 15, or as many as are left, to the products of H heads and D positions. */
INLINE void dot_step(const int bf16, const int H, const int D, const int full, v16 (*lanes)[DOTS], const float *q,
                     const void *k, int32_t n, int32_t i) {
    v16 key[DOTS];
    for (int d = 0; d < D; d++) {
        key[d] = cached(bf16, full, k, (size_t)d * n + i, n - i);
    }
    for (int h = 0; h < H; h++) {
        const v16 query = v_part(full, q + (size_t)h * n + i, n - i);
        for (int d = 0; d < D; d++) {
            lanes[h][d] = v_fma(query, key[d], lanes[h][d]);
        }
    }
}

/* Scores of H heads and D positions that lie side by side, from position j of the segment on. */
INLINE void dot_tile(const int bf16, const int H, const int D, float (*scores)[SEGMENT], const float *q, const void *k,
                     int32_t n, float scale, int32_t j) {
    v16 lanes[HEADS][DOTS];
    for (int h = 0; h < H; h++) {
        for (int d = 0; d < D; d++) {
            lanes[h][d] = v_zero();
        }
    }
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        dot_step(bf16, H, D, 1, lanes, q, k, n, i);
    }
    if (i < n) {
        dot_step(bf16, H, D, 0, lanes, q, k, n, i);
    }
#ifdef V_FOLD_4X4
    if (H == 4 && D == 4) {
        float *to[4] = {scores[0] + j, scores[1] + j, scores[2] + j, scores[3] + j};
        v_fold_4x4(lanes, scale, to);
        return;
    }
#endif
    for (int h = 0; h < H; h++) {
        for (int d = 0; d < D; d++) {
            scores[h][j + d] = v_fold(lanes[h][d]) * scale;
        }
    }
}

/* Scores of H heads of a row for `count` positions side by side. */
INLINE void dot_run(const int bf16, const int H, float (*scores)[SEGMENT], const float *q, const void *k, int32_t n,
                    float scale, int32_t j, int32_t count) {
    const size_t bytes = (size_t)n * (bf16 ? 2 : 4);
    const char *key = k;
    int32_t i = 0;
    for (; i + DOTS <= count; i += DOTS) {
        dot_tile(bf16, H, DOTS, scores, q, key + i * bytes, n, scale, j + i);
    }
    for (; i < count; i++) {
        dot_tile(bf16, H, 1, scores, q, key + i * bytes, n, scale, j + i);
    }
}

/* ---- softmax ---- */

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

/* Merges a part's maximum and sum into those before it; returns what the weighted values are to be multiplied with. */
INLINE void merge_softmax(float *max, float *sum, float part_max, float part_sum, float *keep, float *take) {
    const float old = *max, all = part_max > old ? part_max : old;
    *keep = v_first(v_exp(v_set1(old - all)));
    *take = v_first(v_exp(v_set1(part_max - all)));
    *max = all;
    *sum = v_first(v_fma(v_set1(*sum), v_set1(*keep), v_set1(part_sum * *take)));
}

enum { CHAINS = 8 };

/* The sums of C rows of exponentials: each is a chain of additions, and side by side they hide each other. */
INLINE void ascending_sums(const int C, float (*p)[SEGMENT], int32_t count, float *sums) {
    float sum[CHAINS] = {0};
    for (int32_t j = 0; j < count; j++) {
        for (int c = 0; c < C; c++) {
            sum[c] += p[c][j];
        }
    }
    for (int c = 0; c < C; c++) {
        sums[c] = sum[c];
    }
}

/* Turns a row's scores into exponentials and finds how they merge with the segments before. */
INLINE void row_softmax(const struct queries *s, int32_t first_query, int32_t count, int first) {
    float max[MAX_QUERIES], sum[MAX_QUERIES];
    for (int32_t h = 0; h < s->heads; h++) {
        float *p = s->scores[first_query + h];
        max[h] = largest_of(p, count);
        for (int32_t j = 0; j < count; j += LANES) {
            v_put(p + j, v_exp(v_sub(v_get(p + j, count - j), v_set1(max[h]))), count - j);
        }
    }
    int32_t h = 0;
    for (; h + CHAINS <= s->heads; h += CHAINS) {
        ascending_sums(CHAINS, s->scores + first_query + h, count, sum + h);
    }
    for (; h < s->heads; h++) {
        ascending_sums(1, s->scores + first_query + h, count, sum + h);
    }
    for (h = 0; h < s->heads; h++) {
        const int32_t at = first_query + h;
        if (first) {
            s->max[at] = max[h];
            s->sum[at] = sum[h];
        } else {
            merge_softmax(s->max + at, s->sum + at, max[h], sum[h], s->keep + at, s->take + at);
        }
    }
}

/* ---- values ---- */

/* Adds the values of `count` positions side by side, from position j of the segment on, to T vectors of the sums of H heads, or
 * begins the sums with them if j is 0. A vector may be a part unless `full`. */
INLINE void value_tile(const int bf16, const int H, const int T, const int full, float (*p)[SEGMENT], float *sums,
                       const void *values, int32_t n, int32_t column, int32_t j, int32_t count) {
    const int32_t left = n - column;
    const char *v = values;
    v16 sum[HEADS][SUM_WIDE];
    for (int h = 0; h < H; h++) {
        for (int t = 0; t < T; t++) {
            const float *old = sums + (size_t)h * n + column + t * LANES;
            sum[h][t] = j == 0 ? v_zero() : v_part(full, old, left - t * LANES);
        }
    }
    for (int32_t i = 0; i < count; i++, v += (size_t)n * (bf16 ? 2 : 4)) {
        v16 value[SUM_WIDE];
        for (int t = 0; t < T; t++) {
            value[t] = cached(bf16, full, v, column + t * LANES, left - t * LANES);
        }
        for (int h = 0; h < H; h++) {
            const v16 weight = v_set1(p[h][j + i]);
            for (int t = 0; t < T; t++) {
                sum[h][t] = v_fma(weight, value[t], sum[h][t]);
            }
        }
    }
    for (int h = 0; h < H; h++) {
        for (int t = 0; t < T; t++) {
            v_put_part(full, sums + (size_t)h * n + column + t * LANES, sum[h][t], left - t * LANES);
        }
    }
}

/* All columns for H heads. */
INLINE void value_run(const int bf16, const int H, float (*p)[SEGMENT], float *sums, const void *values, int32_t n,
                      int32_t j, int32_t count) {
    int32_t column = 0;
    for (; column + SUM_WIDE * LANES <= n; column += SUM_WIDE * LANES) {
        value_tile(bf16, H, SUM_WIDE, 1, p, sums, values, n, column, j, count);
    }
    for (; column < n; column += LANES) {
        value_tile(bf16, H, 1, 0, p, sums, values, n, column, j, count);
    }
}

/* Compiled as functions of their own, because within a larger one the compiler runs out of registers for a tile. */
#define TILES(name, bf16, H, count_name)                                                                             \
    static __attribute__((noinline)) void dots_##name##_##count_name(float(*scores)[SEGMENT], const float *q,        \
                                                                     const void *keys, int32_t n, float scale,       \
                                                                     int32_t j, int32_t count) {                     \
        dot_run(bf16, H, scores, q, keys, n, scale, j, count);                                                       \
    }                                                                                                                \
    static __attribute__((noinline)) void values_##name##_##count_name(float(*p)[SEGMENT], float *sums,              \
                                                                       const void *values, int32_t n, int32_t j,     \
                                                                       int32_t count) {                              \
        value_run(bf16, H, p, sums, values, n, j, count);                                                            \
    }

TILES(f32, 0, HEADS, many)
TILES(f32, 0, 1, one)
TILES(bf16, 1, HEADS, many)
TILES(bf16, 1, 1, one)

static const struct tiles tiles_f32 = {4, {dots_f32_many, dots_f32_one}, {values_f32_many, values_f32_one}};
static const struct tiles tiles_bf16 = {2, {dots_bf16_many, dots_bf16_one}, {values_bf16_many, values_bf16_one}};

/* o = fma(o, keep, part * take) */
INLINE void merge_values(float *o, const float *part, int32_t n, float keep, float take) {
    for (int32_t i = 0; i < n; i += LANES) {
        const v16 taken = v_mul(v_get(part + i, n - i), v_set1(take));
        v_put(o + i, v_fma(v_get(o + i, n - i), v_set1(keep), taken), n - i);
    }
}

/* ---- segments and spans ---- */

/* All queries meet the keys of one block before the next block is read. */
static void segment_scores(const struct queries *s, int32_t begin, int32_t end) {
    const int32_t n = s->cache->head_dim;
    for (int32_t position = begin, run; position < end; position += run) {
        run = cache_run(s->cache, position, end - position);
        const void *keys = cache_rows(s->cache, position, s->kv_head);
        for (int32_t r = 0; r < s->rows; r++) {
            const int32_t visible = s->length + r - position, count = visible < run ? visible : run;
            for (int32_t h = 0; h < s->heads && count > 0;) {
                const int one = s->heads - h < HEADS;
                s->cache->tiles->dots[one ? ONE : MANY](s->scores + r * s->heads + h,
                                                        s->q + r * s->stride + (size_t)h * n, keys, n, s->scale,
                                                        position - begin, count);
                h += one ? 1 : HEADS;
            }
        }
    }
}

/* The same with values. */
static void segment_values(const struct queries *s, int32_t begin, int32_t end) {
    const int32_t n = s->cache->head_dim;
    for (int32_t position = begin, run; position < end; position += run) {
        run = cache_run(s->cache, position, end - position);
        const void *values = cache_rows(s->cache, position, s->cache->kv_heads + s->kv_head);
        for (int32_t r = 0; r < s->rows; r++) {
            const int32_t visible = s->length + r - position, count = visible < run ? visible : run;
            for (int32_t h = 0; h < s->heads && count > 0;) {
                const int one = s->heads - h < HEADS;
                const int32_t query = r * s->heads + h;
                s->cache->tiles->values[one ? ONE : MANY](s->scores + query, s->segment_o + (size_t)query * n, values, n,
                                                          position - begin, count);
                h += one ? 1 : HEADS;
            }
        }
    }
}

/* The sums of the segment go to those before it. */
INLINE void merge_segment(const struct queries *s, int32_t row, int first) {
    const int32_t n = s->cache->head_dim;
    for (int32_t h = 0; h < s->heads; h++) {
        const int32_t query = row * s->heads + h;
        float *o = s->o + row * s->o_stride + (size_t)h * n;
        const float *part = s->segment_o + (size_t)query * n;
        if (first) {
            memcpy(o, part, (size_t)n * sizeof(float));
        } else {
            merge_values(o, part, n, s->keep[query], s->take[query]);
        }
    }
}

/* The part of one span: weighted values in `o`, maxima and sums beside them. */
static void attend_span(const struct queries *s, int32_t span_begin) {
    const int32_t last = s->length + s->rows - 1;
    const int32_t span_end = last < span_begin + SPAN ? last : span_begin + SPAN;
    for (int32_t begin = span_begin; begin < span_end; begin += SEGMENT) {
        const int32_t end = span_end < begin + SEGMENT ? span_end : begin + SEGMENT;
        const int first = begin == span_begin;
        segment_scores(s, begin, end);
        for (int32_t r = 0; r < s->rows; r++) {
            if (seen(s, r, begin) > 0) {
                row_softmax(s, r * s->heads, seen(s, r, begin), first);
            }
        }
        segment_values(s, begin, end);
        for (int32_t r = 0; r < s->rows; r++) {
            if (seen(s, r, begin) > 0) {
                merge_segment(s, r, first);
            }
        }
    }
}

INLINE void divide_values(float *o, int32_t n, float sum) {
    for (int32_t i = 0; i < n; i += LANES) {
        v_put(o + i, v_div(v_get(o + i, n - i), v_set1(sum)), n - i);
    }
}

/* At most MAX_QUERIES queries over everything they see. The first span's part is made in place, a later one in
 * `span_o` and merged. */
static void attend_queries(const struct queries *all, float *span_o) {
    const int32_t n = all->cache->head_dim, last = all->length + all->rows - 1;
    float max[MAX_QUERIES], sum[MAX_QUERIES], span_max[MAX_QUERIES], span_sum[MAX_QUERIES];
    struct queries s = *all;
    s.max = max;
    s.sum = sum;
    attend_span(&s, 0);
    s.o = span_o;
    s.o_stride = (size_t)s.heads * n;
    s.max = span_max;
    s.sum = span_sum;
    for (int32_t begin = SPAN; begin < last; begin += SPAN) {
        attend_span(&s, begin);
        for (int32_t r = 0; r < s.rows; r++) {
            if (seen(&s, r, begin) <= 0) {
                continue;
            }
            for (int32_t h = 0; h < s.heads; h++) {
                const int32_t at = r * s.heads + h;
                float keep, take;
                merge_softmax(max + at, sum + at, span_max[at], span_sum[at], &keep, &take);
                merge_values(all->o + r * all->o_stride + (size_t)h * n, span_o + (size_t)at * n, n, keep, take);
            }
        }
    }
    for (int32_t r = 0; r < s.rows; r++) {
        for (int32_t h = 0; h < s.heads; h++) {
            divide_values(all->o + r * all->o_stride + (size_t)h * n, n, sum[r * s.heads + h]);
        }
    }
}

/* Heads from h on that share a key/value head and end before head_end, at most MAX_QUERIES. */
INLINE int32_t head_run(int32_t h, int32_t head_end, int32_t shared) {
    const int32_t kv_end = (h / shared + 1) * shared, run = (kv_end < head_end ? kv_end : head_end) - h;
    return run < MAX_QUERIES ? run : MAX_QUERIES;
}

static void attention(const float *q, int32_t rows, int32_t bf16, const char *pool, const int64_t *offsets,
                      int32_t block_tokens, int32_t length, int32_t heads, int32_t kv_heads, int32_t head_dim,
                      float scale, float *out, float *scratch, int32_t head_begin, int32_t head_end) {
    const struct cache c = {bf16 ? &tiles_bf16 : &tiles_f32, pool, offsets, block_tokens, kv_heads, head_dim};
    const size_t stride = (size_t)heads * head_dim;
    const int32_t shared = heads / kv_heads;
    float *segment_o = scratch + MAX_QUERIES * SEGMENT;
    float keep[MAX_QUERIES], take[MAX_QUERIES];
    for (int32_t h = head_begin, run; h < head_end; h += run) {
        run = head_run(h, head_end, shared);
        const int32_t most = MAX_QUERIES / run;
        for (int32_t r = 0; r < rows; r += most) {
            const struct queries s = {
                .cache = &c,
                .q = q + r * stride + (size_t)h * head_dim,
                .o = out + r * stride + (size_t)h * head_dim,
                .stride = stride,
                .o_stride = stride,
                .rows = rows - r < most ? rows - r : most,
                .heads = run,
                .kv_head = h / shared,
                .length = length + r,
                .scale = scale,
                .scores = (float(*)[SEGMENT])scratch,
                .segment_o = segment_o,
                .keep = keep,
                .take = take,
            };
            attend_queries(&s, segment_o + MAX_QUERIES * (size_t)head_dim);
        }
    }
}

static void attention_span(const float *q, int32_t bf16, const char *pool, const int64_t *offsets,
                           int32_t block_tokens, int32_t length, int32_t span, int32_t heads, int32_t kv_heads,
                           int32_t head_dim, float scale, float *part, float *scratch, int32_t head_begin,
                           int32_t head_end) {
    const struct cache c = {bf16 ? &tiles_bf16 : &tiles_f32, pool, offsets, block_tokens, kv_heads, head_dim};
    const size_t stride = (size_t)heads * head_dim;
    const int32_t shared = heads / kv_heads;
    float keep[MAX_QUERIES], take[MAX_QUERIES];
    for (int32_t h = head_begin, run; h < head_end; h += run) {
        run = head_run(h, head_end, shared);
        const struct queries s = {
            .cache = &c,
            .q = q + (size_t)h * head_dim,
            .o = part + (size_t)h * head_dim,
            .stride = stride,
            .o_stride = stride,
            .rows = 1,
            .heads = run,
            .kv_head = h / shared,
            .length = length,
            .scale = scale,
            .scores = (float(*)[SEGMENT])scratch,
            .segment_o = scratch + MAX_QUERIES * SEGMENT,
            .max = part + stride + h,
            .sum = part + stride + heads + h,
            .keep = keep,
            .take = take,
        };
        attend_span(&s, span * SPAN);
    }
}

static void merge_spans(const float *parts, int32_t spans, int32_t heads, int32_t head_dim, float *out,
                        int32_t head_begin, int32_t head_end) {
    const size_t stride = (size_t)heads * head_dim, part_floats = stride + 2 * (size_t)heads;
    for (int32_t h = head_begin; h < head_end; h++) {
        float *o = out + (size_t)h * head_dim;
        float max = parts[stride + h], sum = parts[stride + heads + h];
        memcpy(o, parts + (size_t)h * head_dim, (size_t)head_dim * sizeof(float));
        for (int32_t span = 1; span < spans; span++) {
            const float *part = parts + span * part_floats;
            float keep, take;
            merge_softmax(&max, &sum, part[stride + h], part[stride + heads + h], &keep, &take);
            merge_values(o, part + (size_t)h * head_dim, head_dim, keep, take);
        }
        divide_values(o, head_dim, sum);
    }
}

/* Half to even by adding just under half a unit, and one more if the kept part is odd; a NaN keeps its high bits and stays one. */
static void to_bf16(const float *x, uint16_t *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        y[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
    }
}
