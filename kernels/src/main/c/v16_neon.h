/* v16 on NEON (aarch64): four registers. */
#include <arm_neon.h>

typedef struct {
    float32x4_t r[4];
} v16;

#define V_EACH(expression)            \
    v16 result;                       \
    for (int i = 0; i < 4; i++) {     \
        result.r[i] = (expression);   \
    }                                 \
    return result

INLINE v16 v_set1(float x) {
    V_EACH(vdupq_n_f32(x));
}
INLINE v16 v_zero(void) {
    return v_set1(0.0f);
}
INLINE v16 v_load(const float *p) {
    V_EACH(vld1q_f32(p + 4 * i));
}
INLINE void v_store(float *p, v16 v) {
    for (int i = 0; i < 4; i++) {
        vst1q_f32(p + 4 * i, v.r[i]);
    }
}
/* The first n lanes, zeros behind. */
INLINE v16 v_load_n(const float *p, int n) {
    float lanes[16] = {0};
    memcpy(lanes, p, (size_t)n * sizeof(float));
    return v_load(lanes);
}
INLINE void v_store_n(float *p, v16 v, int n) {
    float lanes[16];
    v_store(lanes, v);
    memcpy(p, lanes, (size_t)n * sizeof(float));
}
INLINE v16 v_load_bf16(const uint16_t *p) {
    V_EACH(vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)));
}
INLINE v16 v_load_f16(const uint16_t *p) {
    V_EACH(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))));
}
/* Sixteen E4M3 numbers, each divided by 256: their fields are those of a half then. All but NaN move as they are. */
INLINE v16 v_load_f8(const uint8_t *p) {
    const int8x16_t codes = vreinterpretq_s8_u8(vld1q_u8(p));
    const int16x8_t moved[2] = {vshlq_n_s16(vmovl_s8(vget_low_s8(codes)), 7),
                                vshlq_n_s16(vmovl_s8(vget_high_s8(codes)), 7)};
    uint16x4_t quarters[4];
    for (int i = 0; i < 2; i++) {
        const uint16x8_t half = vandq_u16(vreinterpretq_u16_s16(moved[i]), vdupq_n_u16(0xbfff));
        const uint16x8_t largest = vdupq_n_u16(0x3f80);
        const uint16x8_t all = vorrq_u16(half, vceqq_u16(vandq_u16(half, largest), largest));
        quarters[2 * i] = vget_low_u16(all);
        quarters[2 * i + 1] = vget_high_u16(all);
    }
    V_EACH(vcvt_f32_f16(vreinterpret_f16_u16(quarters[i])));
}
/* Sixteen bytes as numbers; of unsigned ones the bits in the mask, or the high nibbles. */
INLINE v16 v_load_s8(const int8_t *p) {
    const int8x16_t all = vld1q_s8(p);
    const int16x8_t low = vmovl_s8(vget_low_s8(all)), high = vmovl_s8(vget_high_s8(all));
    const int16x4_t quarters[4] = {vget_low_s16(low), vget_high_s16(low), vget_low_s16(high), vget_high_s16(high)};
    V_EACH(vcvtq_f32_s32(vmovl_s16(quarters[i])));
}
INLINE v16 v_from_u8(uint8x16_t all) {
    const uint16x8_t low = vmovl_u8(vget_low_u8(all)), high = vmovl_u8(vget_high_u8(all));
    const uint16x4_t quarters[4] = {vget_low_u16(low), vget_high_u16(low), vget_low_u16(high), vget_high_u16(high)};
    V_EACH(vcvtq_f32_u32(vmovl_u16(quarters[i])));
}
INLINE v16 v_load_u8(const uint8_t *p, const int mask) {
    return v_from_u8(vandq_u8(vld1q_u8(p), vdupq_n_u8((uint8_t)mask)));
}
INLINE v16 v_load_u8_high(const uint8_t *p) {
    return v_from_u8(vshrq_n_u8(vld1q_u8(p), 4));
}
INLINE v16 v_fma(v16 a, v16 b, v16 c) {
    V_EACH(vfmaq_f32(c.r[i], a.r[i], b.r[i]));
}
INLINE v16 v_add(v16 a, v16 b) {
    V_EACH(vaddq_f32(a.r[i], b.r[i]));
}
INLINE v16 v_sub(v16 a, v16 b) {
    V_EACH(vsubq_f32(a.r[i], b.r[i]));
}
INLINE v16 v_mul(v16 a, v16 b) {
    V_EACH(vmulq_f32(a.r[i], b.r[i]));
}
INLINE v16 v_div(v16 a, v16 b) {
    V_EACH(vdivq_f32(a.r[i], b.r[i]));
}
INLINE v16 v_abs(v16 a) {
    V_EACH(vabsq_f32(a.r[i]));
}
INLINE v16 v_neg(v16 a) {
    V_EACH(vnegq_f32(a.r[i]));
}
INLINE v16 v_select_gt(v16 a, v16 b, v16 yes, v16 no) {
    V_EACH(vbslq_f32(vcgtq_f32(a.r[i], b.r[i]), yes.r[i], no.r[i]));
}
INLINE v16 v_max(v16 a, v16 b) {
    return v_select_gt(a, b, a, b);
}
INLINE int v_any_gt(v16 a, v16 b) {
    uint32x4_t any = vcgtq_f32(a.r[0], b.r[0]);
    for (int i = 1; i < 4; i++) {
        any = vorrq_u32(any, vcgtq_f32(a.r[i], b.r[i]));
    }
    return vmaxvq_u32(any) != 0;
}
/* 2^n from the float 1.5 * 2^23 + n. */
INLINE v16 v_power_of_two(v16 shifted) {
    V_EACH(vreinterpretq_f32_s32(
        vshlq_n_s32(vaddq_s32(vreinterpretq_s32_f32(shifted.r[i]), vdupq_n_s32(127)), 23)));
}
/* The contract's fold of the lanes. */
INLINE float v_fold(v16 v) {
    const float32x4_t l4 = vaddq_f32(vaddq_f32(v.r[0], v.r[2]), vaddq_f32(v.r[1], v.r[3]));
    const float32x2_t l2 = vadd_f32(vget_low_f32(l4), vget_high_f32(l4));
    return vget_lane_f32(l2, 0) + vget_lane_f32(l2, 1);
}
/* The larger bit pattern: for magnitudes the larger number, and NaN above all. */
INLINE v16 v_max_bits(v16 a, v16 b) {
    V_EACH(vreinterpretq_f32_s32(vmaxq_s32(vreinterpretq_s32_f32(a.r[i]), vreinterpretq_s32_f32(b.r[i]))));
}
INLINE int32_t v_fold_max_bits(v16 v) {
    int32_t largest = vmaxvq_s32(vreinterpretq_s32_f32(v.r[0]));
    for (int i = 1; i < 4; i++) {
        const int32_t next = vmaxvq_s32(vreinterpretq_s32_f32(v.r[i]));
        largest = next > largest ? next : largest;
    }
    return largest;
}
/* Sixteen bytes, each rounded half to even from a lane within [-127, 127]. */
INLINE void v_store_i8(int8_t *p, v16 v) {
    const int16x8_t low =
        vcombine_s16(vmovn_s32(vcvtnq_s32_f32(v.r[0])), vmovn_s32(vcvtnq_s32_f32(v.r[1])));
    const int16x8_t high =
        vcombine_s16(vmovn_s32(vcvtnq_s32_f32(v.r[2])), vmovn_s32(vcvtnq_s32_f32(v.r[3])));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}
/* acc += rint(v); each lane below 2^61 in magnitude. */
INLINE void v_accumulate_i64(int64_t *acc, v16 v) {
    for (int i = 0; i < 4; i++) {
        const int64x2_t low = vcvtnq_s64_f64(vcvt_f64_f32(vget_low_f32(v.r[i])));
        const int64x2_t high = vcvtnq_s64_f64(vcvt_f64_f32(vget_high_f32(v.r[i])));
        vst1q_s64(acc + 4 * i, vaddq_s64(vld1q_s64(acc + 4 * i), low));
        vst1q_s64(acc + 4 * i + 2, vaddq_s64(vld1q_s64(acc + 4 * i + 2), high));
    }
}
/* Lane by lane: a conversion by way of double would round twice. */
INLINE v16 v_load_i64(const int64_t *p) {
    float lanes[16];
    for (int i = 0; i < 16; i++) {
        lanes[i] = (float)p[i];
    }
    return v_load(lanes);
}
