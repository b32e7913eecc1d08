/* What the quantised formats of io.atoll.kernels.WeightFormat are made of. Where codes and scales lie is said in
 * BlockLayout.java; here a format is a constant that picks shifts and masks when a function is compiled.
 *
 * A format plugs in here: its sizes, how four columns become an operand, and the scale (and minimum) of a run. A new
 * scheme of products needs nothing else; see mat_mul_quantized.h for the list of functions to compile. */
#ifndef ATOLL_WEIGHT_FORMATS_H
#define ATOLL_WEIGHT_FORMATS_H

#include "bytes.h"

/* Integers in groups of columns: bits, width of a group and type of its scale follow from the place in the list. */
INLINE int is_grouped(const int f) {
    return f >= INT4_32_F16 && f <= INT8_128_F32;
}
INLINE int is_int4(const int f) {
    return (f >= INT4_32_F16 && f < INT8_32_F16) || f == INT4_ROW;
}
INLINE int is_int8(const int f) {
    return (f >= INT8_32_F16 && f <= INT8_128_F32) || f == INT8_ROW;
}
INLINE int is_nvfp4(const int f) {
    return f == NVFP4 || f == NVFP4_DIVIDED;
}
INLINE int record_cols(const int f) {
    return f >= Q2_K && f <= IQ4_XS ? 256 : is_grouped(f) ? 32 << ((f - INT4_32_F16) % 9 / 3) : 32;
}
INLINE int run_cols(const int f) {
    return f == Q2_K || f == Q3_K || f == Q6_K || is_nvfp4(f) ? 16 : 32;
}
INLINE int low_bits(const int f) {
    return f == Q8 || f == Q8_0 || is_int8(f) ? 8 : f == Q2_K || f == Q3_K ? 2 : 4;
}
INLINE int high_bits(const int f) {
    return f == Q6_K ? 2 : f == Q5_0 || f == Q5_1 || f == Q5_K || f == Q3_K ? 1 : 0;
}
enum { GROUP_F16, GROUP_BF16, GROUP_F32 };
INLINE int group_scale(const int f) {
    return (f - INT4_32_F16) % 3;
}
INLINE int header_bytes(const int f) {
    if (is_grouped(f)) {
        return group_scale(f) == GROUP_F32 ? 80 : 48;
    }
    switch (f) {
        case INT4_ROW:
        case INT8_ROW:
            return 0;
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
        default:
            return 32;
    }
}
INLINE int block_bytes(const int f) {
    return 64 * (low_bits(f) + high_bits(f));
}
INLINE size_t record_bytes(const int f) {
    return (size_t)header_bytes(f) + (size_t)(record_cols(f) / BLOCK) * (size_t)block_bytes(f);
}
/* Bytes before the records of a group of outputs. */
INLINE int group_header_bytes(const int f) {
    return f == INT4_ROW || f == INT8_ROW ? 80 : is_nvfp4(f) ? 64 : 0;
}
INLINE size_t outputs_bytes(const int f, int32_t cols) {
    return (size_t)group_header_bytes(f) + (size_t)(cols / record_cols(f)) * record_bytes(f);
}
INLINE int has_zero(const int f) {
    return is_int4(f) || is_int8(f);
}
INLINE int has_minimum(const int f) {
    return f == Q4_1 || f == Q5_1 || f == Q2_K || f == Q4_K || f == Q5_K;
}
INLINE int code_kind(const int f) {
    return f == Q8 || f == Q8_0 || f == IQ4_NL || f == IQ4_XS || f == MXFP4 || is_nvfp4(f) || is_int8(f) ? BIASED
                                                                                                          : SMALL;
}
/* What the bytes that meet the row are larger than their levels. */
INLINE int dot_offset(const int f) {
    return code_kind(f) == BIASED ? DOT_BIAS : f == Q4_0 || is_int4(f) ? 8 : f == Q5_0 ? 16 : f == Q6_K ? 32 : f == Q3_K ? 4 : 0;
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
    } else if (f == MXFP4 || is_nvfp4(f)) {
        codes = b_table(e2m1_levels, codes);
    }
    return dot_operand(code_kind(f), codes);
}

INLINE v16 run_scale(const int f, const uint8_t *record, int32_t run) {
    const uint8_t *bytes_of_run = record + 64 + (size_t)run * LANES;
    if (is_grouped(f) && group_scale(f) != GROUP_F16) {
        return group_scale(f) == GROUP_F32 ? v_load((const float *)record) : v_load_bf16((const uint16_t *)record);
    }
    switch (f) {
        case INT4_ROW:
        case INT8_ROW:
            return v_set1(1.0f);
        case NVFP4:
        case NVFP4_DIVIDED: /* half of the E4M3: levels are doubled */
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

/* What a run's sum has too much for each unit of the row bytes' sum: all are integers, so the difference is exact. */
INLINE v16 run_zero(const int f, const uint8_t *group, const uint8_t *record) {
    const uint8_t *zeros = f == INT4_ROW || f == INT8_ROW ? group + 64 : record + header_bytes(f) - LANES;
    return v_sub(v_set1((float)-dot_offset(f)), v_load_s8((const int8_t *)zeros));
}

/* An output's sum with its factor, where the format has one. */
INLINE v16 with_factor(const int f, const uint8_t *group, v16 sum) {
    if (group_header_bytes(f) == 0) {
        return sum;
    }
    const v16 factor = v_load((const float *)group);
    return f == NVFP4_DIVIDED ? v_div(sum, factor) : v_mul(sum, factor);
}

#endif
