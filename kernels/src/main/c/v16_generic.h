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
/* Subnormal halves are integers times 2^-24; the others move into the float's fields, infinities and NaNs further. */
INLINE float v_half(uint16_t bits) {
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, fraction = bits & 0x3ff;
    if (exponent == 0) {
        const float magnitude = (float)fraction * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return v_from_bits(sign | (exponent + (exponent == 31 ? 224 : 112)) << 23 | fraction << 13);
}
INLINE v16 v_load_f16(const uint16_t *p) {
    V_EACH(v_half(p[i]));
}
/* Sixteen E4M3 numbers, each divided by 256: their fields are those of a half then. All but NaN move as they are. */
INLINE float v_f8(uint8_t code) {
    const uint16_t magnitude = (uint16_t)((code & 0x7f) == 0x7f ? 0x7fff : (code & 0x7f) << 7);
    return v_half((uint16_t)(magnitude | (code & 0x80) << 8));
}
INLINE v16 v_load_f8(const uint8_t *p) {
    V_EACH(v_f8(p[i]));
}
/* Sixteen bytes as numbers; of unsigned ones the bits in the mask, or the high nibbles. */
INLINE v16 v_load_s8(const int8_t *p) {
    V_EACH((float)p[i]);
}
INLINE v16 v_load_u8(const uint8_t *p, const int mask) {
    V_EACH((float)(p[i] & mask));
}
INLINE v16 v_load_u8_high(const uint8_t *p) {
    V_EACH((float)(p[i] >> 4));
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
