/* The table of one instruction set. Every variant is the same source, kernels.c, compiled with other flags.
 *
 * The operations, their shapes and the order of their sums are those of io.atoll.kernels.Kernels; sizes are checked by
 * the Java side. Slots of `functions` are in the order of `enum operation`, which NativeKernels.java repeats. */
#ifndef ATOLL_KERNELS_H
#define ATOLL_KERNELS_H

#include <stdint.h>

enum operation {
    MAT_MUL_F32,
    MAT_MUL_BF16,
    MAT_MUL_F16,
    MAT_MUL_F8,
    MAT_MUL_QUANTIZED,
    QUANTIZE_ROWS,
    RMS_NORM,
    GATED_RMS_NORM,
    L2_NORM,
    ROTARY,
    CAUSAL_CONV,
    DELTA_GATES,
    GATED_DELTA_RULE,
    ATTENTION,
    ATTENTION_SPAN,
    MERGE_SPANS,
    TO_BF16,
    SIGMOID_GATE,
    SWI_GLU,
    ROUTER_TOP_K,
    COMBINE_ADD,
    COMBINE_TO_FLOAT,
    ADD,
    ADD_GATED,
    LANE_MAXIMA,
    SUM_EXP,
    READ_SUM,
    OPERATIONS
};

struct kernels {
    void (*functions[OPERATIONS])(void);
};

/* The quantised formats, in the order of WeightFormat.java: NativeKernels.java counts on it. */
enum format {
    Q8, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, MXFP4,
    Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS, /* records of 256 columns */
    NVFP4, NVFP4_DIVIDED,
    INT4_32_F16, INT4_32_BF16, INT4_32_F32, INT4_64_F16, INT4_64_BF16, INT4_64_F32,
    INT4_128_F16, INT4_128_BF16, INT4_128_F32,
    INT8_32_F16, INT8_32_BF16, INT8_32_F32, INT8_64_F16, INT8_64_BF16, INT8_64_F32,
    INT8_128_F16, INT8_128_BF16, INT8_128_F32,
    INT4_ROW, INT8_ROW,
    INT4, INT8 /* for all that begin with these: weight_formats.h */
};

/* Parameters of a quantised product; vnni.c replaces this slot where the processor allows. */
#define MAT_MUL_QUANTIZED_PARAMETERS                                                                                \
    int32_t format, const uint8_t *restrict w, int32_t outputs, int32_t cols, const int8_t *restrict q,             \
        const float *restrict scales, int32_t rows, float *restrict y, int32_t y_stride, int32_t group_begin,       \
        int32_t group_end

enum { LANES = 16, BLOCK = 32 };

#endif
