/* v16 on AVX-512 F, BW, DQ and VL: one register. */
#include <immintrin.h>

typedef __m512 v16;

INLINE __mmask16 v_mask(int n) {
    return (__mmask16)((1u << n) - 1);
}
INLINE v16 v_zero(void) {
    return _mm512_setzero_ps();
}
INLINE v16 v_set1(float x) {
    return _mm512_set1_ps(x);
}
INLINE v16 v_load(const float *p) {
    return _mm512_loadu_ps(p);
}
INLINE void v_store(float *p, v16 v) {
    _mm512_storeu_ps(p, v);
}
/* The first n lanes, zeros behind. */
INLINE v16 v_load_n(const float *p, int n) {
    return _mm512_maskz_loadu_ps(v_mask(n), p);
}
INLINE void v_store_n(float *p, v16 v, int n) {
    _mm512_mask_storeu_ps(p, v_mask(n), v);
}
INLINE v16 v_load_bf16(const uint16_t *p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
INLINE v16 v_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
}
/* Sixteen E4M3 numbers, each divided by 256: their fields are those of a half then. All but NaN move as they are. */
INLINE v16 v_load_f8(const uint8_t *p) {
    const __m128i codes = _mm_loadu_si128((const void *)p);
    const __mmask16 numbers = _mm_cmpneq_epi8_mask(_mm_or_si128(codes, _mm_set1_epi8((char)0x80)), _mm_set1_epi8(-1));
    const __m256i moved = _mm256_slli_epi16(_mm256_cvtepi8_epi16(codes), 7);
    const __m256i half = _mm256_and_si256(moved, _mm256_set1_epi16((short)0xbfff));
    return _mm512_mask_cvtph_ps(_mm512_set1_ps(__builtin_nanf("")), numbers, half);
}
/* Sixteen bytes as numbers; of unsigned ones the bits in the mask, or the high nibbles. */
INLINE v16 v_load_s8(const int8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}
INLINE v16 v_load_u8(const uint8_t *p, const int mask) {
    const __m128i kept = _mm_and_si128(_mm_loadu_si128((const void *)p), _mm_set1_epi8((char)mask));
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(kept));
}
INLINE v16 v_load_u8_high(const uint8_t *p) {
    const __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
    return _mm512_cvtepi32_ps(_mm512_srli_epi32(wide, 4));
}
INLINE v16 v_fma(v16 a, v16 b, v16 c) {
    return _mm512_fmadd_ps(a, b, c);
}
INLINE v16 v_add(v16 a, v16 b) {
    return _mm512_add_ps(a, b);
}
INLINE v16 v_sub(v16 a, v16 b) {
    return _mm512_sub_ps(a, b);
}
INLINE v16 v_mul(v16 a, v16 b) {
    return _mm512_mul_ps(a, b);
}
INLINE v16 v_div(v16 a, v16 b) {
    return _mm512_div_ps(a, b);
}
INLINE v16 v_abs(v16 a) {
    return _mm512_abs_ps(a);
}
INLINE v16 v_neg(v16 a) {
    return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f));
}
INLINE v16 v_max(v16 a, v16 b) {
    return _mm512_max_ps(a, b);
}
INLINE v16 v_select_gt(v16 a, v16 b, v16 yes, v16 no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), no, yes);
}
INLINE int v_any_gt(v16 a, v16 b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0;
}
/* 2^n from the float 1.5 * 2^23 + n. */
INLINE v16 v_power_of_two(v16 shifted) {
    const __m512i biased = _mm512_add_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
}
/* The contract's fold of the lanes. */
INLINE float v_fold(v16 v) {
    const __m256 l8 = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 l4 = _mm_add_ps(_mm256_castps256_ps128(l8), _mm256_extractf128_ps(l8, 1));
    const __m128 l2 = _mm_add_ps(l4, _mm_movehl_ps(l4, l4));
    return _mm_cvtss_f32(_mm_add_ss(l2, _mm_movehdup_ps(l2)));
}
/* The larger bit pattern: for magnitudes the larger number, and NaN above all. */
INLINE v16 v_max_bits(v16 a, v16 b) {
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}
INLINE int32_t v_fold_max_bits(v16 v) {
    return _mm512_reduce_max_epi32(_mm512_castps_si512(v));
}
/* Sixteen bytes, each rounded half to even from a lane within [-127, 127]. */
INLINE void v_store_i8(int8_t *p, v16 v) {
    _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
}
/* acc += rint(v); each lane below 2^61 in magnitude. */
INLINE void v_accumulate_i64(int64_t *acc, v16 v) {
    const __m512i low = _mm512_cvtps_epi64(_mm512_castps512_ps256(v));
    const __m512i high = _mm512_cvtps_epi64(_mm512_extractf32x8_ps(v, 1));
    _mm512_storeu_si512(acc, _mm512_add_epi64(_mm512_loadu_si512(acc), low));
    _mm512_storeu_si512(acc + 8, _mm512_add_epi64(_mm512_loadu_si512(acc + 8), high));
}
INLINE v16 v_load_i64(const int64_t *p) {
    const __m256 low = _mm512_cvtepi64_ps(_mm512_loadu_si512(p));
    const __m256 high = _mm512_cvtepi64_ps(_mm512_loadu_si512(p + 8));
    return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}
