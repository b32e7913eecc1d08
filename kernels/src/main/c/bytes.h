/* Sixty-four bytes: four columns of sixteen outputs, and their products with four bytes of a row. One name for each
 * operation of mat_mul_quantized.h, four ways to do it. v16.h comes first.
 *
 * bytes              sixty-four unsigned bytes; a shift may move bits into the neighbour, so a mask follows
 * b_table(t, i)      the byte of t[16] that each byte of i chooses, all below 16
 * sums               sixteen int32
 * operand            bytes made ready for products
 * dot(k, s, w, x)    s plus, for each output, the product of its four bytes with the four row bytes in x
 * row_sum(x, n)      the sum of 16 or 32 row bytes
 *
 * Bytes come in two kinds k. A SMALL one, at most 127, is its own value. A BIASED one stands for a level that is 128
 * smaller. What dot adds for it is DOT_BIAS times the row byte too much, where DOT_BIAS is 128 or 0, as an instruction
 * set has it.
 *
 * Register tiles are TILE_ROWS x TILE_GROUPS, and for WIDE_ROWS rows or fewer WIDE_GROUPS groups. */
#ifndef ATOLL_BYTES_H
#define ATOLL_BYTES_H

enum kind { SMALL, BIASED };

#if defined(ATOLL_AVX512)
#include "bytes_vnni.h"
#elif defined(ATOLL_AVX2)
#include "bytes_avx2.h"
#elif defined(ATOLL_NEON)
#include "bytes_neon.h"
#else
#include "bytes_generic.h"
#endif

#endif
