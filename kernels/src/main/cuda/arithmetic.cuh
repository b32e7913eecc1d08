/* The elementary operations of io.atoll.kernels.Kernels, in its order and with its rounding, so that a GPU gives the bits of a CPU.
 * Compiled without contraction: a fused multiply-add is where fmaf is written, and nowhere else. */
#pragma once
#include <cstdint>

#define LANES 16  /* outputs that are interleaved */
#define BLOCK 32  /* columns of a quantised row that share a scale */
#define INLINE __device__ __forceinline__

INLINE float bits_to_float(uint32_t bits) {
#ifdef __CUDA_ARCH__
    return __uint_as_float(bits);
#else
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

INLINE uint32_t float_to_bits(float value) {
#ifdef __CUDA_ARCH__
    return __float_as_uint(value);
#else
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
#endif
}

/* The sum of the products of four signed bytes each, and c. */
INLINE int dot4(int a, int b, int c) {
#ifdef __CUDA_ARCH__
    return __dp4a(a, b, c);
#else
    for (int i = 0; i < 4; i++) {
        c += (int8_t)(a >> (8 * i)) * (int8_t)(b >> (8 * i));
    }
    return c;
#endif
}

/* Byte i of the result is byte (selector >> 4 i) & 7 of the eight of high:low. */
INLINE uint32_t pick_bytes(uint32_t low, uint32_t high, uint32_t selector) {
#ifdef __CUDA_ARCH__
    return __byte_perm(low, high, selector);
#else
    const uint64_t all = ((uint64_t)high << 32) | low;
    uint32_t picked = 0;
    for (int i = 0; i < 4; i++) {
        picked |= (uint32_t)((all >> (8 * ((selector >> (4 * i)) & 7))) & 255) << (8 * i);
    }
    return picked;
#endif
}

/* IEEE's f16, subnormals, infinities and NaN included. */
INLINE float half_to_float(uint32_t half) {
#ifdef __CUDA_ARCH__
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"((unsigned short)half));
    return value;
#else
    const uint32_t sign = (half & 0x8000u) << 16, exponent = (half >> 10) & 31, mantissa = half & 1023;
    if (exponent == 0) {
        const float magnitude = (float)mantissa * bits_to_float(0x33800000u); /* 2^-24 */
        return sign ? -magnitude : magnitude;
    }
    return bits_to_float(sign | (exponent == 31 ? 0x7F800000u : (exponent + 112) << 23) | (mantissa << 13));
#endif
}

INLINE float bf16_to_float(uint32_t bits) {
    return bits_to_float(bits << 16);
}

/* E4M3 without infinities; 0x7F and 0xFF are NaN. */
INLINE float e4m3_to_float(uint32_t code) {
    const uint32_t magnitude = code & 0x7F;
    const float value = magnitude == 0x7F ? bits_to_float(0x7FC00000u) : half_to_float(magnitude << 7) * 256.0f;
    return code & 0x80 ? -value : value;
}

/* Within 2e-7 of e^x; see Kernels. */
INLINE float exp_of(float x) {
    const float top = x > 88.3f ? 88.3f : x;
    const float shifted = top * 1.442695f + 12582912.0f;
    const float n = shifted - 12582912.0f;
    float r = fmaf(n, -0.693359375f, top);
    r = fmaf(n, 2.1219444e-4f, r);
    float p = 1.9875691e-4f;
    p = fmaf(p, r, 1.3981999e-3f);
    p = fmaf(p, r, 8.333452e-3f);
    p = fmaf(p, r, 4.1665796e-2f);
    p = fmaf(p, r, 1.6666666e-1f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    const float power = bits_to_float((float_to_bits(shifted) + 127u) << 23);
    return x < -87.3f ? 0.0f : p * power;
}

INLINE float silu(float x) {
    return x / (1.0f + exp_of(-x));
}
