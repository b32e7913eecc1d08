/* Byte products in standard C. */
enum { DOT_BIAS = 0, TILE_ROWS = 1, TILE_GROUPS = 1, WIDE_ROWS = 1, WIDE_GROUPS = 1 };

typedef struct {
    uint8_t byte[64];
} bytes;
typedef struct {
    int32_t lane[16];
} sums;
typedef struct {
    int16_t level[64];
} operand;

#define B_EACH(expression)                      \
    bytes result;                               \
    for (int i = 0; i < 64; i++) {              \
        result.byte[i] = (uint8_t)(expression); \
    }                                           \
    return result

INLINE bytes b_load(const uint8_t *p) {
    bytes result;
    memcpy(result.byte, p, sizeof result.byte);
    return result;
}
INLINE bytes b_left(bytes a, const int bits) {
    B_EACH(a.byte[i] << bits);
}
INLINE bytes b_right(bytes a, const int bits) {
    B_EACH(a.byte[i] >> bits);
}
INLINE bytes b_mask(bytes a, const int mask) {
    B_EACH(a.byte[i] & mask);
}
INLINE bytes b_or(bytes a, bytes b) {
    B_EACH(a.byte[i] | b.byte[i]);
}
INLINE bytes b_table(const uint8_t *table, bytes index) {
    B_EACH(table[index.byte[i]]);
}
INLINE sums sums_from(int32_t start) {
    sums s;
    for (int o = 0; o < 16; o++) {
        s.lane[o] = start;
    }
    return s;
}
INLINE operand dot_operand(const int kind, bytes a) {
    operand w;
    for (int i = 0; i < 64; i++) {
        w.level[i] = (int16_t)(a.byte[i] - (kind == BIASED ? 128 : 0));
    }
    return w;
}
INLINE sums dot(const int kind, sums s, operand w, int32_t x) {
    (void)kind;
    int8_t row[4];
    memcpy(row, &x, sizeof row);
    for (int o = 0; o < 16; o++) {
        for (int i = 0; i < 4; i++) {
            s.lane[o] += w.level[4 * o + i] * row[i];
        }
    }
    return s;
}
INLINE v16 sums_float(sums s) {
    V_EACH((float)s.lane[i]);
}
INLINE int32_t row_sum(const int8_t *x, const int n) {
    int32_t sum = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i];
    }
    return sum;
}
