/* v16 in standard C, for any processor. fmaf is exact wherever the C library is; elsewhere the tests would tell. */
#include <math.h>

typedef struct {
    float lane[16];
} v16;

#define V_EACH(expression)             \
    v16 result;                        \
    for (int i = 0; i < 16; i++) {     \
        result.lane[i] = (expression); \
    }                                  \
    return result

INLINE int32_t v_bits(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
INLINE float v_from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
INLINE v16 v_set1(float x) {
    V_EACH(x);
}
INLINE v16 v_zero(void) {
    return v_set1(0.0f);
}
INLINE v16 v_load(const float *p) {
    V_EACH(p[i]);
}
INLINE void v_store(float *p, v16 v) {
    memcpy(p, v.lane, sizeof v.lane);
}
/* The first n lanes, zeros behind. */
INLINE v16 v_load_n(const float *p, int n) {
    V_EACH(i < n ? p[i] : 0.0f);
}
INLINE void v_store_n(float *p, v16 v, int n) {
    memcpy(p, v.lane, (size_t)n * sizeof(float));
}
INLINE v16 v_load_bf16(const uint16_t *p) {
    V_EACH(v_from_bits((uint32_t)p[i] << 16));
}
INLINE v16 v_fma(v16 a, v16 b, v16 c) {
    V_EACH(fmaf(a.lane[i], b.lane[i], c.lane[i]));
}
INLINE v16 v_add(v16 a, v16 b) {
    V_EACH(a.lane[i] + b.lane[i]);
}
INLINE v16 v_sub(v16 a, v16 b) {
    V_EACH(a.lane[i] - b.lane[i]);
}
INLINE v16 v_mul(v16 a, v16 b) {
    V_EACH(a.lane[i] * b.lane[i]);
}
INLINE v16 v_div(v16 a, v16 b) {
    V_EACH(a.lane[i] / b.lane[i]);
}
INLINE v16 v_abs(v16 a) {
    V_EACH(fabsf(a.lane[i]));
}
INLINE v16 v_neg(v16 a) {
    V_EACH(-a.lane[i]);
}
INLINE v16 v_max(v16 a, v16 b) {
    V_EACH(a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]);
}
INLINE v16 v_select_gt(v16 a, v16 b, v16 yes, v16 no) {
    V_EACH(a.lane[i] > b.lane[i] ? yes.lane[i] : no.lane[i]);
}
INLINE int v_any_gt(v16 a, v16 b) {
    int any = 0;
    for (int i = 0; i < 16; i++) {
        any |= a.lane[i] > b.lane[i];
    }
    return any;
}
/* 2^n from the float 1.5 * 2^23 + n. */
INLINE v16 v_power_of_two(v16 shifted) {
    V_EACH(v_from_bits(((uint32_t)v_bits(shifted.lane[i]) + 127u) << 23));
}
/* The contract's fold of the lanes. */
INLINE float v_fold(v16 v) {
    for (int half = 8; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            v.lane[i] += v.lane[i + half];
        }
    }
    return v.lane[0];
}
/* The larger bit pattern: for magnitudes the larger number, and NaN above all. */
INLINE v16 v_max_bits(v16 a, v16 b) {
    V_EACH(v_bits(a.lane[i]) > v_bits(b.lane[i]) ? a.lane[i] : b.lane[i]);
}
INLINE int32_t v_fold_max_bits(v16 v) {
    int32_t largest = v_bits(v.lane[0]);
    for (int i = 1; i < 16; i++) {
        const int32_t next = v_bits(v.lane[i]);
        largest = next > largest ? next : largest;
    }
    return largest;
}
/* Sixteen bytes, each rounded half to even from a lane within [-127, 127]. */
INLINE void v_store_i8(int8_t *p, v16 v) {
    for (int i = 0; i < 16; i++) {
        p[i] = (int8_t)lrintf(v.lane[i]);
    }
}
/* acc += rint(v); each lane below 2^61 in magnitude. */
INLINE void v_accumulate_i64(int64_t *acc, v16 v) {
    for (int i = 0; i < 16; i++) {
        acc[i] += llrintf(v.lane[i]);
    }
}
INLINE v16 v_load_i64(const int64_t *p) {
    V_EACH((float)p[i]);
}

/* Byte products, see mat_mul_q8.h. */
#define Q8_ROWS 1
#define Q8_GROUPS 1

typedef struct {
    int32_t lane[16];
} q8_sums;
typedef struct {
    const uint8_t *bytes;
} q8_weights;

INLINE q8_sums q8_start(const int8_t *x) {
    (void)x;
    return (q8_sums){{0}};
}
INLINE q8_weights q8_load(const uint8_t *p) {
    return (q8_weights){p};
}
INLINE q8_sums q8_dot(q8_sums sums, q8_weights w, int32_t x) {
    int8_t row[4];
    memcpy(row, &x, sizeof row);
    for (int o = 0; o < 16; o++) {
        for (int i = 0; i < 4; i++) {
            sums.lane[o] += ((int32_t)w.bytes[4 * o + i] - 128) * row[i];
        }
    }
    return sums;
}
INLINE v16 q8_float(q8_sums sums) {
    V_EACH((float)sums.lane[i]);
}
