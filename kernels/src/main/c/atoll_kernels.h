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
    MAT_MUL_Q8,
    QUANTIZE_ROWS,
    RMS_NORM,
    GATED_RMS_NORM,
    L2_NORM,
    ROTARY,
    CAUSAL_CONV,
    DELTA_GATES,
    GATED_DELTA_RULE,
    ATTENTION,
    SIGMOID_GATE,
    SWI_GLU,
    ROUTER_TOP_K,
    COMBINE_ADD,
    COMBINE_TO_FLOAT,
    ADD,
    ADD_GATED,
    OPERATIONS
};

struct kernels {
    void (*functions[OPERATIONS])(void);
};

/* Parameters of a Q8 product; the VNNI code is a replacement for one slot of the AVX-512 table. */
#define MAT_MUL_Q8_PARAMETERS                                                                                 \
    const uint8_t *restrict w, int32_t outputs, int32_t cols, const int8_t *restrict q,                       \
        const float *restrict scales, int32_t rows, float *restrict y, int32_t y_stride, int32_t group_begin, \
        int32_t group_end

enum { LANES = 16, BLOCK = 32, Q8_BLOCK_BYTES = 4 * LANES + BLOCK * LANES };

#endif
