/* v16 on AVX2 and FMA: two registers. */
#include <immintrin.h>

typedef struct {
    __m256 a, b;
} v16;

INLINE v16 v_set1(float x) {
    return (v16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
INLINE v16 v_zero(void) {
    return v_set1(0.0f);
}
INLINE v16 v_load(const float *p) {
    return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
INLINE void v_store(float *p, v16 v) {
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
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
INLINE __m256 v_half_bf16(const uint16_t *p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
INLINE v16 v_load_bf16(const uint16_t *p) {
    return (v16){v_half_bf16(p), v_half_bf16(p + 8)};
}
INLINE v16 v_load_f16(const uint16_t *p) {
    return (v16){_mm256_cvtph_ps(_mm_loadu_si128((const void *)p)),
                 _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p + 8)))};
}
/* Sixteen E4M3 numbers, each divided by 256: their fields are those of a half then. All but NaN move as they are. */
INLINE v16 v_load_f8(const uint8_t *p) {
    const __m256i largest = _mm256_set1_epi16(0x3f80);
    const __m256i moved = _mm256_slli_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)p)), 7);
    const __m256i half = _mm256_and_si256(moved, _mm256_set1_epi16((short)0xbfff));
    const __m256i nan = _mm256_cmpeq_epi16(_mm256_and_si256(half, largest), largest);
    const __m256i all = _mm256_or_si256(half, nan);
    return (v16){_mm256_cvtph_ps(_mm256_castsi256_si128(all)), _mm256_cvtph_ps(_mm256_extracti128_si256(all, 1))};
}
/* Sixteen bytes as numbers; of unsigned ones the bits in the mask, or the high nibbles. */
INLINE v16 v_load_s8(const int8_t *p) {
    const __m128i all = _mm_loadu_si128((const void *)p);
    return (v16){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
                 _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(all, all)))};
}
INLINE v16 v_from_u8(__m128i all) {
    return (v16){_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(all)),
                 _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(all, all)))};
}
INLINE v16 v_load_u8(const uint8_t *p, const int mask) {
    return v_from_u8(_mm_and_si128(_mm_loadu_si128((const void *)p), _mm_set1_epi8((char)mask)));
}
INLINE v16 v_load_u8_high(const uint8_t *p) {
    const __m128i shifted = _mm_srli_epi16(_mm_loadu_si128((const void *)p), 4);
    return v_from_u8(_mm_and_si128(shifted, _mm_set1_epi8(15)));
}
INLINE v16 v_fma(v16 x, v16 y, v16 z) {
    return (v16){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
INLINE v16 v_add(v16 x, v16 y) {
    return (v16){_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
}
INLINE v16 v_sub(v16 x, v16 y) {
    return (v16){_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)};
}
INLINE v16 v_mul(v16 x, v16 y) {
    return (v16){_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)};
}
INLINE v16 v_div(v16 x, v16 y) {
    return (v16){_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)};
}
INLINE v16 v_abs(v16 x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (v16){_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
INLINE v16 v_neg(v16 x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (v16){_mm256_xor_ps(sign, x.a), _mm256_xor_ps(sign, x.b)};
}
INLINE v16 v_max(v16 x, v16 y) {
    return (v16){_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)};
}
INLINE v16 v_select_gt(v16 x, v16 y, v16 yes, v16 no) {
    return (v16){_mm256_blendv_ps(no.a, yes.a, _mm256_cmp_ps(x.a, y.a, _CMP_GT_OQ)),
                 _mm256_blendv_ps(no.b, yes.b, _mm256_cmp_ps(x.b, y.b, _CMP_GT_OQ))};
}
INLINE int v_any_gt(v16 x, v16 y) {
    const __m256 a = _mm256_cmp_ps(x.a, y.a, _CMP_GT_OQ), b = _mm256_cmp_ps(x.b, y.b, _CMP_GT_OQ);
    return _mm256_movemask_ps(_mm256_or_ps(a, b)) != 0;
}
INLINE __m256 v_half_power_of_two(__m256 shifted) {
    const __m256i biased = _mm256_add_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
/* 2^n from the float 1.5 * 2^23 + n. */
INLINE v16 v_power_of_two(v16 shifted) {
    return (v16){v_half_power_of_two(shifted.a), v_half_power_of_two(shifted.b)};
}
/* The contract's fold of the lanes. */
INLINE float v_fold(v16 v) {
    const __m256 l8 = _mm256_add_ps(v.a, v.b);
    const __m128 l4 = _mm_add_ps(_mm256_castps256_ps128(l8), _mm256_extractf128_ps(l8, 1));
    const __m128 l2 = _mm_add_ps(l4, _mm_movehl_ps(l4, l4));
    return _mm_cvtss_f32(_mm_add_ss(l2, _mm_movehdup_ps(l2)));
}
INLINE __m256 v_half_max_bits(__m256 x, __m256 y) {
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(x), _mm256_castps_si256(y)));
}
/* The larger bit pattern: for magnitudes the larger number, and NaN above all. */
INLINE v16 v_max_bits(v16 x, v16 y) {
    return (v16){v_half_max_bits(x.a, y.a), v_half_max_bits(x.b, y.b)};
}
INLINE int32_t v_fold_max_bits(v16 v) {
    const __m256i l8 = _mm256_castps_si256(v_half_max_bits(v.a, v.b));
    const __m128i l4 = _mm_max_epi32(_mm256_castsi256_si128(l8), _mm256_extracti128_si256(l8, 1));
    const __m128i l2 = _mm_max_epi32(l4, _mm_shuffle_epi32(l4, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtsi128_si32(_mm_max_epi32(l2, _mm_shuffle_epi32(l2, _MM_SHUFFLE(2, 3, 0, 1))));
}
/* Sixteen bytes, each rounded half to even from a lane within [-127, 127]. */
INLINE void v_store_i8(int8_t *p, v16 v) {
    const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(v.a), _mm256_cvtps_epi32(v.b));
    const __m256i ordered = _mm256_permute4x64_epi64(words, _MM_SHUFFLE(3, 1, 2, 0));
    _mm_storeu_si128((void *)p, _mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
}
/* acc += rint(v); each lane below 2^61 in magnitude. */
INLINE void v_accumulate_i64(int64_t *acc, v16 v) {
    float lanes[16];
    v_store(lanes, v);
    for (int i = 0; i < 16; i++) {
        acc[i] += _mm_cvtss_si64(_mm_load_ss(lanes + i));
    }
}
INLINE v16 v_load_i64(const int64_t *p) {
    float lanes[16];
    for (int i = 0; i < 16; i++) {
        lanes[i] = (float)p[i];
    }
    return v_load(lanes);
}
