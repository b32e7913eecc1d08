/* The quantised products of the AVX-512 table, for processors with VNNI. */
#include "atoll_kernels.h"
#include "v16.h"

#include "mat_mul_quantized.h"

void atoll_mat_mul_quantized_vnni(MAT_MUL_QUANTIZED_PARAMETERS) {
    mat_mul_quantized(format, w, outputs, cols, q, scales, rows, y, y_stride, group_begin, group_end);
}
