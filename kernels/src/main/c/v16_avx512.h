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
/* One permutation puts each half where the upper half of its lane is; the lower halves are masked to zero. */
INLINE v16 v_load_bf16(const uint16_t *p) {
    const __m512i to_upper = _mm512_set_epi16(15, 0, 14, 0, 13, 0, 12, 0, 11, 0, 10, 0, 9, 0, 8, 0, 7, 0, 6, 0, 5, 0, 4,
                                              0, 3, 0, 2, 0, 1, 0, 0, 0);
    const __m512i halves = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)p));
    return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xaaaaaaaa, to_upper, halves));
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
/* to[i][j] = v_fold(v[i][j]) * scale: the same additions, each for several sums at once. */
#define V_FOLD_4X4
INLINE v16 v_fold_4_quarters(v16 a, v16 b, v16 c, v16 d) {
    const v16 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    const v16 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    return _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
}
INLINE void v_fold_4x4(v16 (*v)[4], float scale, float *const *to) {
    v16 quarters[4]; /* of each position j, the last four sums of all i */
    for (int j = 0; j < 4; j++) {
        quarters[j] = v_fold_4_quarters(v[0][j], v[1][j], v[2][j], v[3][j]);
    }
    const v16 low = _mm512_add_ps(_mm512_shuffle_ps(quarters[0], quarters[1], 0x44),
                                  _mm512_shuffle_ps(quarters[0], quarters[1], 0xee));
    const v16 high = _mm512_add_ps(_mm512_shuffle_ps(quarters[2], quarters[3], 0x44),
                                   _mm512_shuffle_ps(quarters[2], quarters[3], 0xee));
    const v16 sums = _mm512_add_ps(_mm512_shuffle_ps(low, high, 0x88), _mm512_shuffle_ps(low, high, 0xdd));
    const v16 scaled = _mm512_mul_ps(sums, _mm512_set1_ps(scale));
    _mm_storeu_ps(to[0], _mm512_castps512_ps128(scaled));
    _mm_storeu_ps(to[1], _mm512_extractf32x4_ps(scaled, 1));
    _mm_storeu_ps(to[2], _mm512_extractf32x4_ps(scaled, 2));
    _mm_storeu_ps(to[3], _mm512_extractf32x4_ps(scaled, 3));
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
