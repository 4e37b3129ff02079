// engine/format/quant.c
// SPDX-License-Identifier: MIT
//
// One function per block type, each a transcription of the format's definition: a loop
// over weights in their order, so that it can be read beside ggml-quants.c. Speed is not
// the aim.
//
// A byte that holds two 4-bit weights of a block of n holds weight j in its low half and
// weight j + n/2 in its high half. K-quants are super-blocks of 256 whose sub-blocks have
// integer scales. IEEE arithmetic needs -ffp-contract=off (Makefile.am): a fused
// multiply-add would round differently from one machine to the next.
#include "engine/format/quant.h"

#include <string.h>

#include "base/err.h"

#define SUPER_BLOCK 256

static const struct quant_traits traits_by_type[] = {
    [QUANT_F32] = { "F32", 1, 4 },
    [QUANT_F16] = { "F16", 1, 2 },
    [QUANT_Q4_0] = { "Q4_0", 32, 18 },
    [QUANT_Q4_1] = { "Q4_1", 32, 20 },
    [QUANT_Q5_0] = { "Q5_0", 32, 22 },
    [QUANT_Q5_1] = { "Q5_1", 32, 24 },
    [QUANT_Q8_0] = { "Q8_0", 32, 34 },
    [QUANT_Q2_K] = { "Q2_K", SUPER_BLOCK, 84 },
    [QUANT_Q3_K] = { "Q3_K", SUPER_BLOCK, 110 },
    [QUANT_Q4_K] = { "Q4_K", SUPER_BLOCK, 144 },
    [QUANT_Q5_K] = { "Q5_K", SUPER_BLOCK, 176 },
    [QUANT_Q6_K] = { "Q6_K", SUPER_BLOCK, 210 },
    [QUANT_IQ4_NL] = { "IQ4_NL", 32, 18 },
    [QUANT_IQ4_XS] = { "IQ4_XS", SUPER_BLOCK, 136 },
    [QUANT_BF16] = { "BF16", 1, 2 },
    [QUANT_MXFP4] = { "MXFP4", 32, 17 },
};

// Types that exist or once existed, and that we do not read.
static const char *const names_of_others[] = {
    [4] = "Q4_2",      [5] = "Q4_3",        [9] = "Q8_1",        [15] = "Q8_K",
    [16] = "IQ2_XXS",  [17] = "IQ2_XS",     [18] = "IQ3_XXS",    [19] = "IQ1_S",
    [21] = "IQ3_S",    [22] = "IQ2_S",      [24] = "I8",         [25] = "I16",
    [26] = "I32",      [27] = "I64",        [28] = "F64",        [29] = "IQ1_M",
    [31] = "Q4_0_4_4", [32] = "Q4_0_4_8",   [33] = "Q4_0_8_8",   [34] = "TQ1_0",
    [35] = "TQ2_0",    [36] = "IQ4_NL_4_4", [37] = "IQ4_NL_4_8", [38] = "IQ4_NL_8_8",
    [40] = "NVFP4",    [41] = "Q1_0",
};

// The 16 values of the non-linear 4-bit code (IQ4_NL, IQ4_XS).
static const int8_t iq4_values[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
};

// Twice the 16 values of E2M1, the 4-bit float of the OCP microscaling formats.
static const int8_t e2m1_doubled[16] = {
    0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12,
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

const struct quant_traits *quant_traits(uint32_t type)
{
    if (type >= COUNT_OF(traits_by_type) || traits_by_type[type].name == NULL)
        return NULL;
    return &traits_by_type[type];
}

const char *quant_type_name(uint32_t type)
{
    const struct quant_traits *traits = quant_traits(type);

    if (traits != NULL)
        return traits->name;
    return type < COUNT_OF(names_of_others) ? names_of_others[type] : NULL;
}

static float float_from_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint32_t bits_of_float(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 0x1F;
    uint32_t mantissa = half & 0x3FF;
    float magnitude;

    if (exponent == 0x1F)
        return float_from_bits(sign | 0x7F800000 | mantissa << 13);
    if (exponent != 0)
        return float_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    magnitude = (float)mantissa * 0x1p-24f; // subnormal or zero: exact
    return sign != 0 ? -magnitude : magnitude;
}

// mantissa has `drop` bits more than the result keeps: round to nearest, ties to even.
static uint32_t round_shift(uint32_t mantissa, uint32_t drop)
{
    uint32_t half = 1u << (drop - 1);
    uint32_t rest = mantissa & ((1u << drop) - 1);
    uint32_t kept = mantissa >> drop;

    return kept + (rest > half || (rest == half && (kept & 1) != 0));
}

uint16_t float_to_half(float value)
{
    uint32_t bits = bits_of_float(value);
    uint32_t sign = bits >> 16 & 0x8000;
    uint32_t magnitude = bits & 0x7FFFFFFF;
    uint32_t exponent = magnitude >> 23;

    if (magnitude > 0x7F800000) // NaN stays NaN, quietly
        return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x1FF));
    if (magnitude >= 0x477FF000) // rounds to 2^16 or is infinite
        return (uint16_t)(sign | 0x7C00);
    if (exponent >=
        113) // normal; a carry out of the mantissa rightly raises the exponent
        return (uint16_t)(sign | round_shift(magnitude - (112u << 23), 13));
    if (exponent < 102) // below half of the smallest subnormal
        return (uint16_t)sign;
    return (uint16_t)(sign |
                      round_shift((magnitude & 0x7FFFFF) | 0x800000, 126 - exponent));
}

float bfloat16_to_float(uint16_t bits)
{
    return float_from_bits((uint32_t)bits << 16);
}

static uint16_t load_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t load_u32(const uint8_t *bytes)
{
    return load_u16(bytes) | (uint32_t)load_u16(bytes + 2) << 16;
}

static float load_half(const uint8_t *bytes)
{
    return half_to_float(load_u16(bytes));
}

// 2^(exponent - 128), which is half of the scale that the byte (E8M0) stands for.
static float load_e8m0_half(uint8_t exponent)
{
    if (exponent < 2)
        return float_from_bits(0x00200000u << exponent);
    return float_from_bits((uint32_t)(exponent - 1) << 23);
}

// The j-th of the 4-bit weights of a block of n.
static int nibble(const uint8_t *quants, uint32_t j, uint32_t n)
{
    return j < n / 2 ? quants[j] & 0xF : quants[j - n / 2] >> 4;
}

static void dequantise_f32(const uint8_t *block, float *values)
{
    values[0] = float_from_bits(load_u32(block));
}

static void dequantise_f16(const uint8_t *block, float *values)
{
    values[0] = load_half(block);
}

static void dequantise_bf16(const uint8_t *block, float *values)
{
    values[0] = bfloat16_to_float(load_u16(block));
}

// half scale; u4 quants[32]
static void dequantise_q4_0(const uint8_t *block, float *values)
{
    float scale = load_half(block);

    for (uint32_t j = 0; j < 32; j++)
        values[j] = (float)(nibble(block + 2, j, 32) - 8) * scale;
}

// half scale, minimum; u4 quants[32]
static void dequantise_q4_1(const uint8_t *block, float *values)
{
    float scale = load_half(block), minimum = load_half(block + 2);

    for (uint32_t j = 0; j < 32; j++)
        values[j] = (float)nibble(block + 4, j, 32) * scale + minimum;
}

// half scale; u32 high, whose bit j is the fifth bit of weight j; u4 quants[32]
static void dequantise_q5_0(const uint8_t *block, float *values)
{
    float scale = load_half(block);
    uint32_t high = load_u32(block + 2);

    for (uint32_t j = 0; j < 32; j++) {
        int quant = nibble(block + 6, j, 32) | (int)(high >> j & 1) << 4;

        values[j] = (float)(quant - 16) * scale;
    }
}

// half scale, minimum; u32 high; u4 quants[32]
static void dequantise_q5_1(const uint8_t *block, float *values)
{
    float scale = load_half(block), minimum = load_half(block + 2);
    uint32_t high = load_u32(block + 4);

    for (uint32_t j = 0; j < 32; j++) {
        int quant = nibble(block + 8, j, 32) | (int)(high >> j & 1) << 4;

        values[j] = (float)quant * scale + minimum;
    }
}

// half scale; i8 quants[32]
static void dequantise_q8_0(const uint8_t *block, float *values)
{
    float scale = load_half(block);

    for (uint32_t j = 0; j < 32; j++)
        values[j] = (float)(int8_t)block[2 + j] * scale;
}

// Weight j of a super-block whose weights have 2 bits: four planes of 32 weights share 32
// bytes, twice.
static int two_bits(const uint8_t *quants, uint32_t j)
{
    return quants[j / 128 * 32 + j % 32] >> (j % 128 / 32 * 2) & 3;
}

// u8 scales[16], scale in the low half and minimum in the high half; u2 quants[256];
// half scale, minimum scale
static void dequantise_q2_k(const uint8_t *block, float *values)
{
    float scale = load_half(block + 80), minimum = load_half(block + 82);

    for (uint32_t j = 0; j < SUPER_BLOCK; j++) {
        uint8_t packed = block[j / 16];
        float sub_scale = scale * (float)(packed & 0xF);
        float sub_minimum = minimum * (float)(packed >> 4);

        values[j] = sub_scale * (float)two_bits(block + 16, j) - sub_minimum;
    }
}

// The 6-bit scale of sub-block i of Q3_K: low 4 bits in bytes 0 to 7, high 2 bits in
// bytes 8 to 11.
static int q3_k_scale(const uint8_t *scales, uint32_t i)
{
    int low = i < 8 ? scales[i] & 0xF : scales[i - 8] >> 4;
    int high = scales[8 + i % 4] >> (i / 4 * 2) & 3;

    return (low | high << 4) - 32;
}

// u8 high[32], whose bit k of byte i is the third bit of weight 32 k + i, inverted;
// u2 quants[256]; u6 scales[16] in 12 bytes; half scale
static void dequantise_q3_k(const uint8_t *block, float *values)
{
    float scale = load_half(block + 108);

    for (uint32_t j = 0; j < SUPER_BLOCK; j++) {
        float sub_scale = scale * (float)q3_k_scale(block + 96, j / 16);
        int high = block[j % 32] >> (j / 32) & 1;
        int quant = two_bits(block + 32, j) - (high != 0 ? 0 : 4);

        values[j] = sub_scale * (float)quant;
    }
}

// The 6-bit scales and minima of the eight sub-blocks of Q4_K and Q5_K, in 12 bytes.
static void k_scale_and_minimum(const uint8_t *packed, uint32_t i, int *scale,
                                int *minimum)
{
    if (i < 4) {
        *scale = packed[i] & 63;
        *minimum = packed[i + 4] & 63;
    } else {
        *scale = (packed[i + 4] & 0xF) | packed[i - 4] >> 6 << 4;
        *minimum = packed[i + 4] >> 4 | packed[i] >> 6 << 4;
    }
}

// half scale, minimum scale; u6 scales and minima[8]; u4 quants[256] in four groups of
// 64; Q5_K has u8 high[32] before quants, whose bit k of byte i is the fifth bit of
// weight 32 k + i.
static void dequantise_q4_or_q5_k(const uint8_t *block, const uint8_t *high,
                                  const uint8_t *quants, float *values)
{
    float scale = load_half(block), minimum = load_half(block + 2);

    for (uint32_t i = 0; i < 8; i++) {
        int integer_scale, integer_minimum;
        float sub_scale, sub_minimum;

        k_scale_and_minimum(block + 4, i, &integer_scale, &integer_minimum);
        sub_scale = scale * (float)integer_scale;
        sub_minimum = minimum * (float)integer_minimum;
        for (uint32_t j = 0; j < 32; j++) {
            int quant = nibble(quants + i / 2 * 32, i % 2 * 32 + j, 64);

            if (high != NULL)
                quant |= (high[j] >> i & 1) << 4;
            values[i * 32 + j] = sub_scale * (float)quant - sub_minimum;
        }
    }
}

static void dequantise_q4_k(const uint8_t *block, float *values)
{
    dequantise_q4_or_q5_k(block, NULL, block + 16, values);
}

static void dequantise_q5_k(const uint8_t *block, float *values)
{
    dequantise_q4_or_q5_k(block, block + 16, block + 48, values);
}

// u4 low[256] in two groups of 128; u2 high[256]; i8 scales[16]; half scale
static void dequantise_q6_k(const uint8_t *block, float *values)
{
    float scale = load_half(block + 208);

    for (uint32_t j = 0; j < SUPER_BLOCK; j++) {
        int low = nibble(block + j / 128 * 64, j % 128, 128);
        int quant = low | two_bits(block + 128, j) << 4;
        float sub_scale = scale * (float)(int8_t)block[192 + j / 16];

        values[j] = sub_scale * (float)(quant - 32);
    }
}

// half scale; u4 quants[32]
static void dequantise_iq4_nl(const uint8_t *block, float *values)
{
    float scale = load_half(block);

    for (uint32_t j = 0; j < 32; j++)
        values[j] = scale * (float)iq4_values[nibble(block + 2, j, 32)];
}

// half scale; u16 high, two bits of each sub-block's scale; u4 low[8]; u4 quants[8][32]
static void dequantise_iq4_xs(const uint8_t *block, float *values)
{
    float scale = load_half(block);
    uint32_t high = load_u16(block + 2);

    for (uint32_t i = 0; i < 8; i++) {
        int low = block[4 + i / 2] >> (i % 2 * 4) & 0xF;
        float sub_scale = scale * (float)((low | (int)(high >> (2 * i) & 3) << 4) - 32);

        for (uint32_t j = 0; j < 32; j++)
            values[i * 32 + j] =
                sub_scale * (float)iq4_values[nibble(block + 8 + i * 16, j, 32)];
    }
}

// e8m0 scale; e2m1 quants[32]
static void dequantise_mxfp4(const uint8_t *block, float *values)
{
    float scale = load_e8m0_half(block[0]);

    for (uint32_t j = 0; j < 32; j++)
        values[j] = scale * (float)e2m1_doubled[nibble(block + 1, j, 32)];
}

typedef void (*dequantise_block)(const uint8_t *block, float *values);

static const dequantise_block dequantisers[] = {
    [QUANT_F32] = dequantise_f32,       [QUANT_F16] = dequantise_f16,
    [QUANT_Q4_0] = dequantise_q4_0,     [QUANT_Q4_1] = dequantise_q4_1,
    [QUANT_Q5_0] = dequantise_q5_0,     [QUANT_Q5_1] = dequantise_q5_1,
    [QUANT_Q8_0] = dequantise_q8_0,     [QUANT_Q2_K] = dequantise_q2_k,
    [QUANT_Q3_K] = dequantise_q3_k,     [QUANT_Q4_K] = dequantise_q4_k,
    [QUANT_Q5_K] = dequantise_q5_k,     [QUANT_Q6_K] = dequantise_q6_k,
    [QUANT_IQ4_NL] = dequantise_iq4_nl, [QUANT_IQ4_XS] = dequantise_iq4_xs,
    [QUANT_BF16] = dequantise_bf16,     [QUANT_MXFP4] = dequantise_mxfp4,
};

void quant_dequantise(enum quant_type type, const uint8_t *bytes, size_t count,
                      float *values)
{
    const struct quant_traits *traits = quant_traits(type);

    if (traits == NULL || count % traits->block_values != 0)
        bug("%zu weights of type %u", count, (unsigned)type);
    for (size_t i = 0; i < count; i += traits->block_values) {
        dequantisers[type](bytes, values + i);
        bytes += traits->block_bytes;
    }
}
