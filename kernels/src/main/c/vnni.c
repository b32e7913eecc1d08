/* The quantised products once more, with byte dot products: AVX-512 VNNI beside the AVX-512 table, AVX-VNNI beside that of
 * AVX2. */
#include "atoll_kernels.h"
#include "v16.h"

#include "mat_mul_quantized.h"

void ATOLL_NAME(MAT_MUL_QUANTIZED_PARAMETERS) {
    mat_mul_quantized(format, w, outputs, cols, q, scales, rows, y, y_stride, group_begin, group_end);
}
