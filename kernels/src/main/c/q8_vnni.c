/* The Q8 product by VPDPBUSD, which sums four products of an unsigned and a signed byte exactly. */
#include "atoll_kernels.h"
#include "v16.h"

#define Q8_ROWS 4
#define Q8_GROUPS 4

typedef __m512i q8_sums;
typedef __m512i q8_weights;

/* The stored bytes are the weights plus 128, so every sum has 128 times the sum of the row's bytes too much. */
INLINE q8_sums q8_start(const int8_t *x) {
    const __m256i biased = _mm256_xor_si256(_mm256_loadu_si256((const void *)x), _mm256_set1_epi8((char)0x80));
    const __m256i four = _mm256_sad_epu8(biased, _mm256_setzero_si256());
    const __m128i two = _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    const __m128i one = _mm_add_epi32(two, _mm_unpackhi_epi64(two, two)); /* sum + 32 * 128 */
    return _mm512_slli_epi32(_mm512_sub_epi32(_mm512_set1_epi32(BLOCK * 128), _mm512_broadcastd_epi32(one)), 7);
}
INLINE q8_weights q8_load(const uint8_t *p) {
    return _mm512_loadu_si512(p);
}
INLINE q8_sums q8_dot(q8_sums sums, q8_weights w, int32_t x) {
    return _mm512_dpbusd_epi32(sums, w, _mm512_set1_epi32(x));
}
INLINE v16 q8_float(q8_sums sums) {
    return _mm512_cvtepi32_ps(sums);
}

#include "mat_mul_q8.h"

void atoll_mat_mul_q8_vnni(MAT_MUL_Q8_PARAMETERS) {
    mat_mul_q8(w, outputs, cols, q, scales, rows, y, y_stride, group_begin, group_end);
}
