/* What the library exports: the functions of one instruction set, if the processor has it. */
#include "atoll_kernels.h"

#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

/* The order is that of io.atoll.kernels.nativecode.NativeKernels. */
enum variant { GENERIC, NEON, AVX2, AVX512 };

extern const struct kernels atoll_generic;
#if defined(__x86_64__)
extern const struct kernels atoll_avx2, atoll_avx512;
void atoll_mat_mul_quantized_vnni(MAT_MUL_QUANTIZED_PARAMETERS);
void atoll_mat_mul_quantized_avx_vnni(MAT_MUL_QUANTIZED_PARAMETERS);

static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#elif defined(__aarch64__)
extern const struct kernels atoll_neon;
#endif

/* Whether the processor has instructions beyond those of a variant, for which some functions are compiled again. */
EXPORT int32_t atoll_has_extension(int32_t variant) {
#if defined(__x86_64__)
    return (variant == AVX512 && has_avx512() && __builtin_cpu_supports("avx512vnni")) ||
           (variant == AVX2 && has_avx2() && __builtin_cpu_supports("avxvnni"));
#else
    (void)variant;
    return 0;
#endif
}

/* The functions of a variant, in the order of `enum operation`, with or without its extension; all NULL if the processor
 * cannot run them. Returns how many there are, so that a library of another version is noticed. */
EXPORT int32_t atoll_functions(int32_t variant, int32_t extended, void (**functions)(void)) {
    const struct kernels *table = variant == GENERIC ? &atoll_generic : NULL;
#if defined(__x86_64__)
    if (variant == AVX2 && has_avx2()) {
        table = &atoll_avx2;
    } else if (variant == AVX512 && has_avx512()) {
        table = &atoll_avx512;
    }
#elif defined(__aarch64__)
    if (variant == NEON) {
        table = &atoll_neon;
    }
#endif
    for (int i = 0; i < OPERATIONS; i++) {
        functions[i] = table == NULL ? NULL : table->functions[i];
    }
    const int with_extension = extended && atoll_has_extension(variant);
    if (with_extension && table != NULL) {
#if defined(__x86_64__)
        functions[MAT_MUL_QUANTIZED] = table == &atoll_avx512 ? (void (*)(void))atoll_mat_mul_quantized_vnni
                                                              : (void (*)(void))atoll_mat_mul_quantized_avx_vnni;
    } else if (table == &atoll_avx512) {
        functions[MAT_MUL_QUANTIZED] = atoll_avx2.functions[MAT_MUL_QUANTIZED];
#endif
    }
    return OPERATIONS;
}
