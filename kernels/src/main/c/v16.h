/* Sixteen floats, whatever the registers. One name for each operation the kernels need, four ways to do it.
 *
 * A select or maximum is defined by its comparison, so that NaN and signed zeros come out alike everywhere:
 * v_max(a, b) is a > b ? a : b. */
#ifndef ATOLL_V16_H
#define ATOLL_V16_H

#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

#if defined(ATOLL_AVX512)
#include "v16_avx512.h"
#elif defined(ATOLL_AVX2)
#include "v16_avx2.h"
#elif defined(ATOLL_NEON)
#include "v16_neon.h"
#else
#include "v16_generic.h"
#endif

/* Sixteen lanes, or the `left` that are left: loops step by 16 and end with a part. */
INLINE v16 v_get(const float *p, int64_t left) {
    return left >= 16 ? v_load(p) : v_load_n(p, (int)left);
}
INLINE void v_put(float *p, v16 v, int64_t left) {
    if (left >= 16) {
        v_store(p, v);
    } else {
        v_store_n(p, v, (int)left);
    }
}

/* The same for tiles, which know when they are compiled that no vector is a part. */
INLINE v16 v_part(const int full, const float *p, int64_t left) {
    return full ? v_load(p) : v_get(p, left);
}
INLINE void v_put_part(const int full, float *p, v16 v, int64_t left) {
    if (full) {
        v_store(p, v);
    } else {
        v_put(p, v, left);
    }
}

/* The exponential of the contract; see ScalarMath.java for why the low bits of `shifted` are n. */
INLINE v16 v_exp(v16 x) {
    const v16 highest = v_set1(88.3f), round = v_set1(12582912.0f);
    const v16 top = v_select_gt(x, highest, highest, x);
    const v16 shifted = v_add(v_mul(top, v_set1(1.442695f)), round);
    const v16 n = v_sub(shifted, round);
    v16 r = v_fma(n, v_set1(-0.693359375f), top);
    r = v_fma(n, v_set1(2.1219444e-4f), r);
    v16 p = v_set1(1.9875691e-4f);
    p = v_fma(p, r, v_set1(1.3981999e-3f));
    p = v_fma(p, r, v_set1(8.333452e-3f));
    p = v_fma(p, r, v_set1(4.1665796e-2f));
    p = v_fma(p, r, v_set1(1.6666666e-1f));
    p = v_fma(p, r, v_set1(0.5f));
    p = v_fma(p, r, v_set1(1.0f));
    p = v_fma(p, r, v_set1(1.0f));
    return v_select_gt(v_set1(-87.3f), x, v_zero(), v_mul(p, v_power_of_two(shifted)));
}

INLINE v16 v_sigmoid(v16 x) {
    const v16 one = v_set1(1.0f);
    return v_div(one, v_add(one, v_exp(v_neg(x))));
}

INLINE v16 v_silu(v16 x) {
    return v_div(x, v_add(v_set1(1.0f), v_exp(v_neg(x))));
}

INLINE v16 v_softplus(v16 x) {
    const v16 u = v_exp(v_neg(v_abs(x)));
    const v16 s = v_div(u, v_add(v_set1(2.0f), u));
    const v16 t = v_mul(s, s);
    v16 p = v_set1(1.0f / 15.0f);
    p = v_fma(p, t, v_set1(1.0f / 13.0f));
    p = v_fma(p, t, v_set1(1.0f / 11.0f));
    p = v_fma(p, t, v_set1(1.0f / 9.0f));
    p = v_fma(p, t, v_set1(1.0f / 7.0f));
    p = v_fma(p, t, v_set1(1.0f / 5.0f));
    p = v_fma(p, t, v_set1(1.0f / 3.0f));
    p = v_fma(p, t, v_set1(1.0f));
    const v16 near = v_add(v_select_gt(x, v_zero(), x, v_zero()), v_mul(v_add(s, s), p));
    return v_select_gt(x, v_set1(20.0f), x, near);
}

/* A vector function's value for one argument: lane 0 of sixteen equal lanes. */
INLINE float v_first(v16 x) {
    float lanes[16];
    v_store(lanes, x);
    return lanes[0];
}

#endif
