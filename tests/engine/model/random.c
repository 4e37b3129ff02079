// tests/engine/model/random.c
// SPDX-License-Identifier: MIT
#include "tests/engine/model/random.h"

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"

void random_init(struct random *random, uint64_t seed, const char *name)
{
    random->state = hash_bytes(name, strlen(name)) ^ seed * 0x9e3779b97f4a7c15U;
}

// SplitMix64.
uint64_t random_bits(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

uint32_t random_below(struct random *random, uint32_t limit)
{
    return (uint32_t)((random_bits(random) >> 32) * limit >> 32);
}

double random_uniform(struct random *random)
{
    return (double)(random_bits(random) >> 11) * 0x1p-53;
}

double random_normal(struct random *random)
{
    double sum = -6;

    for (int i = 0; i < 12; i++)
        sum += random_uniform(random);
    return sum;
}

// How a block of a type is filled: random bytes, then half-float scales at fixed places.
struct filling {
    enum quant_type type;
    int scale_at;   // offset of the scale in the block
    int minimum_at; // offset of the minimum, or -1: there is none
    double spread;  // deviation of the weights when the scale is 1
    double minimum; // the minimum that brings their mean to 0 when the scale is 1; the
                    // K-quants subtract it, Q4_1 and Q5_1 add it
};

// Spreads: measured once by dequantising blocks of scale 1 (tests/engine/model checks
// them).
static const struct filling fillings[] = {
    { QUANT_Q4_0, 0, -1, 4.63, 0 },   { QUANT_Q4_1, 0, 2, 4.61, -7.5 },
    { QUANT_Q5_0, 0, -1, 9.25, 0 },   { QUANT_Q5_1, 0, 2, 9.23, -15.5 },
    { QUANT_Q8_0, 0, -1, 73.9, 0 },   { QUANT_Q2_K, 80, 82, 14.4, 1.5 },
    { QUANT_Q3_K, 108, -1, 43.3, 0 }, { QUANT_Q4_K, 0, 2, 269, 7.5 },
    { QUANT_Q5_K, 0, 2, 527, 15.5 },  { QUANT_Q6_K, 208, -1, 1366, 0 },
    { QUANT_IQ4_NL, 0, -1, 71.1, 0 }, { QUANT_IQ4_XS, 0, -1, 1313, 0 },
};

static void put_half(uint8_t *bytes, double value)
{
    uint16_t half = float_to_half((float)value);

    bytes[0] = (uint8_t)half;
    bytes[1] = (uint8_t)(half >> 8);
}

static void fill_block(struct random *random, const struct filling *filling, size_t size,
                       double deviation, uint8_t *block)
{
    // Scales differ between blocks, and have either sign, as quantisers leave them.
    double scale = deviation / filling->spread * (0.5 + random_uniform(random));

    if (random_below(random, 2) != 0)
        scale = -scale;
    for (size_t i = 0; i < size; i++)
        block[i] = (uint8_t)random_bits(random);
    put_half(block + filling->scale_at, scale);
    if (filling->minimum_at >= 0)
        put_half(block + filling->minimum_at, scale * filling->minimum);
}

static void fill_mxfp4(struct random *random, double deviation, uint8_t *block)
{
    // Weights are 0 to 6 in the steps of a 3-bit float, deviation 2.94, times a power of
    // two whose exponent has a bias of 127. One of two neighbours is taken, in the
    // proportion that gives the wanted deviation.
    int exponent = (int)floor(log2(deviation / 2.94));
    double excess = deviation / 2.94 / exp2(exponent);

    if (random_uniform(random) < (excess * excess - 1) / 3)
        exponent++;
    block[0] = (uint8_t)(exponent + 127);
    for (size_t i = 1; i < 17; i++)
        block[i] = (uint8_t)random_bits(random);
}

static void fill_float(struct random *random, enum quant_type type, double deviation,
                       uint8_t *bytes)
{
    float value = (float)(random_normal(random) * deviation);
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    if (type == QUANT_F16) {
        put_half(bytes, (double)value);
        return;
    }
    if (type == QUANT_BF16)
        bits >>= 16;
    for (int i = 0; i < (type == QUANT_F32 ? 4 : 2); i++)
        bytes[i] = (uint8_t)(bits >> 8 * i);
}

static const struct filling *find_filling(enum quant_type type)
{
    for (size_t i = 0; i < sizeof(fillings) / sizeof(fillings[0]); i++) {
        if (fillings[i].type == type)
            return &fillings[i];
    }
    bug("no way to fill blocks of type %d", (int)type);
}

void random_weights(struct random *random, enum quant_type type, double deviation,
                    size_t count, uint8_t *bytes)
{
    const struct quant_traits *traits = quant_traits(type);
    bool is_float = type == QUANT_F32 || type == QUANT_F16 || type == QUANT_BF16;
    const struct filling *filling =
        is_float || type == QUANT_MXFP4 ? NULL : find_filling(type);

    for (size_t i = 0; i < count / traits->block_values;
         i++, bytes += traits->block_bytes) {
        if (is_float)
            fill_float(random, type, deviation, bytes);
        else if (type == QUANT_MXFP4)
            fill_mxfp4(random, deviation, bytes);
        else
            fill_block(random, filling, traits->block_bytes, deviation, bytes);
    }
}
