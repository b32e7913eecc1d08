/* Byte products by VPDPBUSD of AVX-VNNI, as in bytes_vnni.h; or by VPMADDUBSW, which adds pairs of products of an unsigned
 * and a signed byte in 16 bits with saturation. There a small byte is the unsigned one. A level becomes its magnitude, and
 * the row's byte takes its sign: magnitudes up to 128 and row bytes up to 127 keep a pair below 2^15, so it is exact. */
#ifdef __AVXVNNI__
enum { DOT_BIAS = 128 };
#else
enum { DOT_BIAS = 0 };
#endif
enum { TILE_ROWS = 4, TILE_GROUPS = 1, WIDE_ROWS = 1, WIDE_GROUPS = 1 };

typedef struct {
    __m256i a, b;
} bytes;
typedef bytes sums;
#ifdef __AVXVNNI__
typedef bytes operand;
#else
typedef struct {
    __m256i a, b, magnitude_a, magnitude_b;
} operand;
#endif

INLINE bytes b_load(const uint8_t *p) {
    return (bytes){_mm256_loadu_si256((const void *)p), _mm256_loadu_si256((const void *)(p + 32))};
}
INLINE bytes b_left(bytes x, const int bits) {
    return (bytes){_mm256_slli_epi16(x.a, bits), _mm256_slli_epi16(x.b, bits)};
}
INLINE bytes b_right(bytes x, const int bits) {
    return (bytes){_mm256_srli_epi16(x.a, bits), _mm256_srli_epi16(x.b, bits)};
}
INLINE bytes b_mask(bytes x, const int mask) {
    const __m256i m = _mm256_set1_epi8((char)mask);
    return (bytes){_mm256_and_si256(x.a, m), _mm256_and_si256(x.b, m)};
}
INLINE bytes b_or(bytes x, bytes y) {
    return (bytes){_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)};
}
INLINE bytes b_table(const uint8_t *table, bytes index) {
    const __m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table));
    return (bytes){_mm256_shuffle_epi8(t, index.a), _mm256_shuffle_epi8(t, index.b)};
}
INLINE sums sums_from(int32_t start) {
    return (sums){_mm256_set1_epi32(start), _mm256_set1_epi32(start)};
}
#ifdef __AVXVNNI__
INLINE operand dot_operand(const int kind, bytes x) {
    (void)kind;
    return x;
}
INLINE sums dot(const int kind, sums s, operand w, int32_t x) {
    (void)kind;
    const __m256i row = _mm256_set1_epi32(x);
    return (sums){_mm256_dpbusd_avx_epi32(s.a, w.a, row), _mm256_dpbusd_avx_epi32(s.b, w.b, row)};
}
#else
INLINE operand dot_operand(const int kind, bytes x) {
    if (kind == SMALL) {
        return (operand){x.a, x.b, x.a, x.b};
    }
    const __m256i bias = _mm256_set1_epi8((char)0x80);
    const __m256i a = _mm256_xor_si256(x.a, bias), b = _mm256_xor_si256(x.b, bias);
    return (operand){a, b, _mm256_abs_epi8(a), _mm256_abs_epi8(b)};
}
INLINE __m256i dot_half(const int kind, __m256i s, __m256i w, __m256i magnitude, __m256i x) {
    const __m256i signed_x = kind == SMALL ? x : _mm256_sign_epi8(x, w);
    const __m256i pairs = _mm256_maddubs_epi16(magnitude, signed_x);
    return _mm256_add_epi32(s, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
INLINE sums dot(const int kind, sums s, operand w, int32_t x) {
    const __m256i row = _mm256_set1_epi32(x);
    return (sums){dot_half(kind, s.a, w.a, w.magnitude_a, row), dot_half(kind, s.b, w.b, w.magnitude_b, row)};
}
#endif
INLINE v16 sums_float(sums s) {
    return (v16){_mm256_cvtepi32_ps(s.a), _mm256_cvtepi32_ps(s.b)};
}
INLINE int32_t row_sum(const int8_t *x, const int n) {
    const __m128i bias = _mm_set1_epi8((char)0x80), zero = _mm_setzero_si128();
    __m128i two = _mm_sad_epu8(_mm_xor_si128(_mm_loadu_si128((const void *)x), bias), zero);
    if (n > 16) {
        two = _mm_add_epi32(two, _mm_sad_epu8(_mm_xor_si128(_mm_loadu_si128((const void *)(x + 16)), bias), zero));
    }
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_unpackhi_epi64(two, two))) - 128 * n;
}
