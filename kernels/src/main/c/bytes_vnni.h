/* Byte products by VPDPBUSD, which sums four products of an unsigned and a signed byte exactly. */
enum { DOT_BIAS = 128, TILE_ROWS = 6, TILE_GROUPS = 2, WIDE_ROWS = 4, WIDE_GROUPS = 4 };

typedef __m512i bytes;
typedef __m512i sums;
typedef __m512i operand;

INLINE bytes b_load(const uint8_t *p) {
    return _mm512_loadu_si512(p);
}
INLINE bytes b_left(bytes a, const int bits) {
    return _mm512_slli_epi16(a, bits);
}
INLINE bytes b_right(bytes a, const int bits) {
    return _mm512_srli_epi16(a, bits);
}
INLINE bytes b_mask(bytes a, const int mask) {
    return _mm512_and_si512(a, _mm512_set1_epi8((char)mask));
}
INLINE bytes b_or(bytes a, bytes b) {
    return _mm512_or_si512(a, b);
}
INLINE bytes b_table(const uint8_t *table, bytes index) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const void *)table)), index);
}
INLINE sums sums_from(int32_t start) {
    return _mm512_set1_epi32(start);
}
INLINE operand dot_operand(const int kind, bytes a) {
    (void)kind;
    return a;
}
INLINE sums dot(const int kind, sums s, operand w, int32_t x) {
    (void)kind;
    return _mm512_dpbusd_epi32(s, w, _mm512_set1_epi32(x));
}
INLINE v16 sums_float(sums s) {
    return _mm512_cvtepi32_ps(s);
}
INLINE int32_t row_sum(const int8_t *x, const int n) {
    const __m128i bias = _mm_set1_epi8((char)0x80), zero = _mm_setzero_si128();
    __m128i two = _mm_sad_epu8(_mm_xor_si128(_mm_loadu_si128((const void *)x), bias), zero);
    if (n > 16) {
        two = _mm_add_epi32(two, _mm_sad_epu8(_mm_xor_si128(_mm_loadu_si128((const void *)(x + 16)), bias), zero));
    }
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_unpackhi_epi64(two, two))) - 128 * n;
}
