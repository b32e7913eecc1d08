/* Byte products with what every aarch64 has: a product of bytes fits 16 bits, and a pair is added in 32. */
enum { DOT_BIAS = 0, TILE_ROWS = 4, TILE_GROUPS = 1, WIDE_ROWS = 1, WIDE_GROUPS = 1 };

typedef struct {
    uint8x16_t r[4];
} bytes;
typedef struct {
    int32x4_t r[4];
} sums;
typedef struct {
    int8x16_t r[4];
} operand;

#define B_EACH(type, expression)    \
    type result;                    \
    for (int i = 0; i < 4; i++) {   \
        result.r[i] = (expression); \
    }                               \
    return result

INLINE bytes b_load(const uint8_t *p) {
    B_EACH(bytes, vld1q_u8(p + 16 * i));
}
INLINE bytes b_left(bytes a, const int bits) {
    B_EACH(bytes, vshlq_u8(a.r[i], vdupq_n_s8((int8_t)bits)));
}
INLINE bytes b_right(bytes a, const int bits) {
    B_EACH(bytes, vshlq_u8(a.r[i], vdupq_n_s8((int8_t)-bits)));
}
INLINE bytes b_mask(bytes a, const int mask) {
    B_EACH(bytes, vandq_u8(a.r[i], vdupq_n_u8((uint8_t)mask)));
}
INLINE bytes b_or(bytes a, bytes b) {
    B_EACH(bytes, vorrq_u8(a.r[i], b.r[i]));
}
INLINE bytes b_table(const uint8_t *table, bytes index) {
    B_EACH(bytes, vqtbl1q_u8(vld1q_u8(table), index.r[i]));
}
INLINE sums sums_from(int32_t start) {
    B_EACH(sums, vdupq_n_s32(start));
}
INLINE operand dot_operand(const int kind, bytes a) {
    B_EACH(operand, vreinterpretq_s8_u8(kind == SMALL ? a.r[i] : veorq_u8(a.r[i], vdupq_n_u8(0x80))));
}
INLINE sums dot(const int kind, sums s, operand w, int32_t x) {
    (void)kind;
    const int8x16_t row = vreinterpretq_s8_s32(vdupq_n_s32(x));
    for (int i = 0; i < 4; i++) {
        const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w.r[i]), vget_low_s8(row)));
        const int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(w.r[i]), vget_high_s8(row)));
        s.r[i] = vaddq_s32(s.r[i], vpaddq_s32(low, high));
    }
    return s;
}
INLINE v16 sums_float(sums s) {
    V_EACH(vcvtq_f32_s32(s.r[i]));
}
INLINE int32_t row_sum(const int8_t *x, const int n) {
    return vaddlvq_s8(vld1q_s8(x)) + (n > 16 ? vaddlvq_s8(vld1q_s8(x + 16)) : 0);
}
