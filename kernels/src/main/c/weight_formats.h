/* What the quantised formats of io.atoll.kernels.WeightFormat are made of. Where codes and scales lie is said in
 * BlockLayout.java; here a format is a constant that picks shifts and masks when a function is compiled.
 *
 * A format plugs in here: its sizes, how four columns become an operand, and the scale (and minimum) of a run. A new
 * scheme of products needs nothing else; see mat_mul_quantized.h for the list of functions to compile. */
#ifndef ATOLL_WEIGHT_FORMATS_H
#define ATOLL_WEIGHT_FORMATS_H

#include "bytes.h"

/* The format whose functions a format shares: integers in groups differ in the width and the scales of these only, which are
 * known when a function runs. */
INLINE int family(const int f) {
    return f == NVFP4_DIVIDED ? NVFP4 : f < INT4_32_F16 ? f : f < INT8_32_F16 || f == INT4_ROW ? INT4 : INT8;
}
INLINE int has_zero(const int f) {
    return f == INT4 || f == INT8;
}
INLINE int run_cols(const int f) {
    return f == Q2_K || f == Q3_K || f == Q6_K || f == NVFP4 ? 16 : 32;
}
INLINE int low_bits(const int f) {
    return f == Q8 || f == Q8_0 || f == INT8 ? 8 : f == Q2_K || f == Q3_K ? 2 : 4;
}
INLINE int high_bits(const int f) {
    return f == Q6_K ? 2 : f == Q5_0 || f == Q5_1 || f == Q5_K || f == Q3_K ? 1 : 0;
}
INLINE int block_bytes(const int f) {
    return 64 * (low_bits(f) + high_bits(f));
}
INLINE int has_minimum(const int f) {
    return f == Q4_1 || f == Q5_1 || f == Q2_K || f == Q4_K || f == Q5_K;
}
INLINE int code_kind(const int f) {
    return f == Q8 || f == Q8_0 || f == IQ4_NL || f == IQ4_XS || f == MXFP4 || f == NVFP4 || f == INT8 ? BIASED
                                                                                                    : SMALL;
}
/* What the bytes that meet the row are larger than their levels. */
INLINE int dot_offset(const int f) {
    return code_kind(f) == BIASED ? DOT_BIAS : f == Q4_0 || f == INT4 ? 8 : f == Q5_0 ? 16 : f == Q6_K ? 32 : f == Q3_K ? 4 : 0;
}

/* The type of a group's scale; those of whole outputs are factors of sums, and leave 1. */
enum group_scale { GROUP_F16, GROUP_BF16, GROUP_F32, GROUP_ONE };

/* Sizes in bytes, where they are not the family's: before the records of a group of outputs, before the codes of a record, of a
 * record, and of a group of outputs. */
struct layout {
    int32_t record_blocks;
    enum group_scale group_scale;
    int32_t group_header, header;
    size_t record, outputs;
};

INLINE int32_t header_bytes(const int format) {
    switch (format) {
        case Q8:
        case Q4_1:
        case Q5_1:
            return 64;
        case Q2_K:
        case Q3_K:
        case Q4_K:
        case Q5_K:
        case Q6_K:
            return 320;
        case IQ4_XS:
            return 192;
        case INT4_ROW:
        case INT8_ROW:
            return 0;
        default:
            return format < INT4_32_F16 ? 32 : (format - INT4_32_F16) % 3 == GROUP_F32 ? 80 : 48;
    }
}
INLINE struct layout layout_of(const int f, const int format, int32_t cols) {
    const int whole = format == INT4_ROW || format == INT8_ROW;
    struct layout l;
    l.record_blocks = format >= Q2_K && format <= IQ4_XS          ? 256 / BLOCK
                      : format >= INT4_32_F16 && !whole           ? 1 << (format - INT4_32_F16) % 9 / 3
                                                                  : 1;
    l.group_scale = whole ? GROUP_ONE : format < INT4_32_F16 ? GROUP_F16 : (enum group_scale)((format - INT4_32_F16) % 3);
    l.group_header = whole ? 80 : f == NVFP4 ? 64 : 0;
    l.header = header_bytes(format);
    l.record = (size_t)l.header + (size_t)(l.record_blocks * block_bytes(f));
    l.outputs = (size_t)l.group_header + (size_t)(cols / BLOCK / l.record_blocks) * l.record;
    return l;
}

/* Levels of the codes, plus 128. */
static const uint8_t iq4_levels[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
static const uint8_t e2m1_levels[16] = {
    128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116,
};

/* The field of `bits` bits of columns 4 a to 4 a + 3 in the vector `stored`, moved to bit `to`. */
INLINE bytes field(bytes stored, const int bits, const int a, const int to) {
    const int at = bits * (a % (8 / bits));
    const bytes moved = at > to ? b_right(stored, at - to) : at < to ? b_left(stored, to - at) : stored;
    return bits == 8 ? moved : b_mask(moved, ((1 << bits) - 1) << to);
}

/* Columns 4 a to 4 a + 3 of a block, ready for products. */
INLINE operand block_operand(const int f, const uint8_t *block, const int a) {
    const int low = low_bits(f), high = high_bits(f), parts = high > 1 ? high : 1;
    const uint8_t *part = block + 64 * (low / parts + 1) * (a * parts / 8);
    bytes codes;
    if (high > 0) {
        const int vector = a * low / 8 % (low / parts);
        codes = b_or(field(b_load(part + 64 + 64 * vector), low, a, 0), field(b_load(part), high, a, low));
    } else {
        codes = field(b_load(block + 64 * (a * low / 8)), low, a, 0);
    }
    if (f == IQ4_NL || f == IQ4_XS) {
        codes = b_table(iq4_levels, codes);
    } else if (f == MXFP4 || f == NVFP4) {
        codes = b_table(e2m1_levels, codes);
    }
    return dot_operand(code_kind(f), codes);
}

INLINE v16 group_scale(enum group_scale type, const uint8_t *record) {
    switch (type) {
        case GROUP_F16:
            return v_load_f16((const uint16_t *)record);
        case GROUP_BF16:
            return v_load_bf16((const uint16_t *)record);
        case GROUP_F32:
            return v_load((const float *)record);
        default:
            return v_set1(1.0f);
    }
}

INLINE v16 run_scale(const int f, enum group_scale type, const uint8_t *record, int32_t run) {
    const uint8_t *bytes_of_run = record + 64 + (size_t)run * LANES;
    switch (f) {
        case INT4:
        case INT8:
            return group_scale(type, record);
        case NVFP4: /* half of the E4M3, as levels are doubled */
            return v_mul(v_load_f8(record + (size_t)run * LANES), v_set1(128.0f));
        case Q8:
            return v_load((const float *)record);
        case MXFP4:
            return v_load_bf16((const uint16_t *)record);
        case Q4_K:
        case Q5_K:
            return v_mul(v_load_f16((const uint16_t *)record), v_load_u8(bytes_of_run + (size_t)run * LANES, 255));
        case Q2_K:
            return v_mul(v_load_f16((const uint16_t *)record), v_load_u8(bytes_of_run, 15));
        case Q3_K:
        case Q6_K:
        case IQ4_XS:
            return v_mul(v_load((const float *)record), v_load_s8((const int8_t *)bytes_of_run));
        default:
            return v_load_f16((const uint16_t *)record);
    }
}

/* The minimum, or its negative where minima are subtracted: see minimum_sign. */
INLINE v16 run_minimum(const int f, const uint8_t *record, int32_t run) {
    const v16 minimum = v_load_f16((const uint16_t *)(record + 32));
    const uint8_t *bytes_of_run = record + 64 + (size_t)run * LANES;
    switch (f) {
        case Q4_K:
        case Q5_K:
            return v_mul(minimum, v_load_u8(bytes_of_run + (size_t)(run + 1) * LANES, 255));
        case Q2_K:
            return v_mul(minimum, v_load_u8_high(bytes_of_run));
        default:
            return minimum;
    }
}
INLINE float minimum_sign(const int f) {
    return f == Q4_1 || f == Q5_1 ? 1.0f : -1.0f;
}

/* What a run's sum has too much for each unit of the sum of row bytes. All of this is integers below 2^24, so taking it away in
 * floats is exact. */
INLINE v16 run_zero(const int f, const struct layout *l, const uint8_t *group, const uint8_t *record) {
    const uint8_t *zeros = l->header == 0 ? group + LANES * sizeof(float) : record + l->header - LANES;
    return v_sub(v_set1((float)-dot_offset(f)), v_load_s8((const int8_t *)zeros));
}

#endif
