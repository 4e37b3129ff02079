// engine/model/pack.c
// SPDX-License-Identifier: MIT
//
// Each quantised type is taken apart into codes, scale and minimum of 32 weights (two
// scales and minima where the type has them per 16), the same for all types, and put
// together again in the device's layout. Block layouts: ggml-common.h of the ggml
// project.
#include "engine/model/pack.h"

#include <string.h>

// 32 weights: weight = scale[i / 16] * code + minimum[i / 16]. Codes of the 8-bit formats
// are signed, those of the 4-bit formats 0 to 15.
struct block {
    int8_t codes[PACK_BLOCK];
    float scale[2], minimum[2];
};

static const struct device_format_traits format_traits[FORMAT_COUNT] = {
    [FORMAT_Q4H] = { "q4h", 1, 4 },     [FORMAT_Q4S] = { "q4s", 1, 2 },
    [FORMAT_Q4S16] = { "q4s16", 1, 1 }, [FORMAT_Q8H] = { "q8h", 2, 4 },
    [FORMAT_Q8S] = { "q8s", 2, 2 },     [FORMAT_Q8S16] = { "q8s16", 2, 1 },
    [FORMAT_F16] = { "f16", 4, 0 },     [FORMAT_BF16] = { "bf16", 4, 0 },
    [FORMAT_F32] = { "f32", 8, 0 },
};

const struct device_format_traits *device_format_traits(enum device_format format)
{
    return &format_traits[format];
}

static float half_at(const uint8_t *bytes)
{
    return half_to_float((uint16_t)(bytes[0] | bytes[1] << 8));
}

static void set_scale(struct block *block, float scale, float minimum)
{
    block->scale[0] = block->scale[1] = scale;
    block->minimum[0] = block->minimum[1] = minimum;
}

// Sixteen bytes of two codes each: the low halves are the first sixteen.
static void split_nibbles(const uint8_t *bytes, int8_t *codes)
{
    for (int i = 0; i < 16; i++) {
        codes[i] = (int8_t)(bytes[i] & 15);
        codes[i + 16] = (int8_t)(bytes[i] >> 4);
    }
}

// ---------------------------------------------------------------------------
// Types with blocks of 32. `bytes` is the block.

static void take_q4_0(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    (void)sub;
    set_scale(block, half_at(bytes), -8.0f * half_at(bytes));
    split_nibbles(bytes + 2, block->codes);
}

static void take_q4_1(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    (void)sub;
    set_scale(block, half_at(bytes), half_at(bytes + 2));
    split_nibbles(bytes + 4, block->codes);
}

static void add_fifth_bits(const uint8_t *bytes, int8_t *codes)
{
    for (int i = 0; i < PACK_BLOCK; i++)
        codes[i] = (int8_t)(codes[i] | (bytes[i / 8] >> i % 8 & 1) << 4);
}

static void take_q5_0(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    (void)sub;
    set_scale(block, half_at(bytes), 0.0f);
    split_nibbles(bytes + 6, block->codes);
    add_fifth_bits(bytes + 2, block->codes);
    for (int i = 0; i < PACK_BLOCK; i++)
        block->codes[i] = (int8_t)(block->codes[i] - 16);
}

static void take_q5_1(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    (void)sub;
    set_scale(block, half_at(bytes), half_at(bytes + 2));
    split_nibbles(bytes + 8, block->codes);
    add_fifth_bits(bytes + 4, block->codes);
}

static void take_q8_0(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    (void)sub;
    set_scale(block, half_at(bytes), 0.0f);
    memcpy(block->codes, bytes + 2, PACK_BLOCK);
}

// The sixteen values of the 4-bit "non-linear" types.
static const int8_t iq4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                       1,    13,   25,  38,  53,  69,  89,  113 };

static void look_up(int8_t *codes, const int8_t values[16])
{
    for (int i = 0; i < PACK_BLOCK; i++)
        codes[i] = values[codes[i]];
}

static void take_iq4_nl(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    (void)sub;
    set_scale(block, half_at(bytes), 0.0f);
    split_nibbles(bytes + 2, block->codes);
    look_up(block->codes, iq4_values);
}

// Twice the values of FP4 E2M1, and half the power of two (OCP Microscaling Formats 1.0).
static void take_mxfp4(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    static const int8_t values[16] = { 0, 1,  2,  3,  4,  6,  8,  12,
                                       0, -1, -2, -3, -4, -6, -8, -12 };
    uint32_t bits =
        bytes[0] < 2 ? 0x00200000u << bytes[0] : (uint32_t)(bytes[0] - 1) << 23;
    float scale;

    (void)sub;
    memcpy(&scale, &bits, sizeof(scale));
    set_scale(block, scale, 0.0f);
    split_nibbles(bytes + 1, block->codes);
    look_up(block->codes, values);
}

// ---------------------------------------------------------------------------
// Types with blocks of 256. `sub` says which 32 of them are wanted.

static void take_q2_k(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    const uint8_t *quants = bytes + 16 + sub / 4 * 32;
    float d = half_at(bytes + 80), dmin = half_at(bytes + 82);

    for (int h = 0; h < 2; h++) {
        block->scale[h] = d * (float)(bytes[sub * 2 + (uint32_t)h] & 15);
        block->minimum[h] = -dmin * (float)(bytes[sub * 2 + (uint32_t)h] >> 4);
    }
    for (int i = 0; i < PACK_BLOCK; i++)
        block->codes[i] = (int8_t)(quants[i] >> sub % 4 * 2 & 3);
}

// Six bits per scale: low four in bytes 0 to 7, high two in bytes 8 to 11.
static int q3_k_scale(const uint8_t *scales, uint32_t index)
{
    int low = index < 8 ? scales[index] & 15 : scales[index - 8] >> 4;
    int high = scales[8 + index % 4] >> index / 4 * 2 & 3;

    return (low | high << 4) - 32;
}

static void take_q3_k(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    const uint8_t *quants = bytes + 32 + sub / 4 * 32;
    float d = half_at(bytes + 108);

    for (uint32_t h = 0; h < 2; h++) {
        block->scale[h] = d * (float)q3_k_scale(bytes + 96, sub * 2 + h);
        block->minimum[h] = -4.0f * block->scale[h];
    }
    for (int i = 0; i < PACK_BLOCK; i++)
        block->codes[i] =
            (int8_t)((quants[i] >> sub % 4 * 2 & 3) | (bytes[i] >> sub & 1) << 2);
}

// Scale and minimum of Q4_K and Q5_K: six bits each, eight of both in twelve bytes.
static void k_scale(const uint8_t *scales, uint32_t sub, float *scale, float *minimum)
{
    if (sub < 4) {
        *scale = (float)(scales[sub] & 63);
        *minimum = (float)(scales[sub + 4] & 63);
    } else {
        *scale = (float)((scales[sub + 4] & 15) | scales[sub - 4] >> 6 << 4);
        *minimum = (float)(scales[sub + 4] >> 4 | scales[sub] >> 6 << 4);
    }
}

static void take_q4_k(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    const uint8_t *quants = bytes + 16 + sub / 2 * 32;
    float scale, minimum;

    k_scale(bytes + 4, sub, &scale, &minimum);
    set_scale(block, half_at(bytes) * scale, -half_at(bytes + 2) * minimum);
    for (int i = 0; i < PACK_BLOCK; i++)
        block->codes[i] = (int8_t)(quants[i] >> sub % 2 * 4 & 15);
}

static void take_q5_k(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    const uint8_t *quants = bytes + 48 + sub / 2 * 32;
    float scale, minimum;

    k_scale(bytes + 4, sub, &scale, &minimum);
    set_scale(block, half_at(bytes) * scale, -half_at(bytes + 2) * minimum);
    for (int i = 0; i < PACK_BLOCK; i++)
        block->codes[i] =
            (int8_t)((quants[i] >> sub % 2 * 4 & 15) | (bytes[16 + i] >> sub & 1) << 4);
}

static void take_q6_k(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    uint32_t half = sub / 4, quarter = sub % 4;
    const uint8_t *low = bytes + half * 64 + quarter % 2 * 32;
    const uint8_t *high = bytes + 128 + half * 32;
    const int8_t *scales = (const int8_t *)bytes + 192;
    float d = half_at(bytes + 208);

    for (uint32_t h = 0; h < 2; h++) {
        block->scale[h] = d * (float)scales[sub * 2 + h];
        block->minimum[h] = 0.0f;
    }
    for (int i = 0; i < PACK_BLOCK; i++)
        block->codes[i] = (int8_t)(((low[i] >> quarter / 2 * 4 & 15) |
                                    (high[i] >> quarter * 2 & 3) << 4) -
                                   32);
}

static void take_iq4_xs(const uint8_t *bytes, uint32_t sub, struct block *block)
{
    int low = bytes[4 + sub / 2] >> sub % 2 * 4 & 15;
    int high = (bytes[2 + sub / 4] >> sub % 4 * 2) & 3;

    set_scale(block, half_at(bytes) * (float)((low | high << 4) - 32), 0.0f);
    split_nibbles(bytes + 8 + sub * 16, block->codes);
    look_up(block->codes, iq4_values);
}

// ---------------------------------------------------------------------------

static const struct packing {
    enum quant_type type;
    enum device_format format;
    void (*take)(const uint8_t *bytes, uint32_t sub, struct block *block);
} packings[] = {
    { QUANT_F32, FORMAT_F32, NULL },           { QUANT_F16, FORMAT_F16, NULL },
    { QUANT_BF16, FORMAT_BF16, NULL },         { QUANT_Q4_0, FORMAT_Q4H, take_q4_0 },
    { QUANT_Q4_1, FORMAT_Q4H, take_q4_1 },     { QUANT_Q5_0, FORMAT_Q8H, take_q5_0 },
    { QUANT_Q5_1, FORMAT_Q8H, take_q5_1 },     { QUANT_Q8_0, FORMAT_Q8H, take_q8_0 },
    { QUANT_Q2_K, FORMAT_Q4S16, take_q2_k },   { QUANT_Q3_K, FORMAT_Q4S16, take_q3_k },
    { QUANT_Q4_K, FORMAT_Q4S, take_q4_k },     { QUANT_Q5_K, FORMAT_Q8S, take_q5_k },
    { QUANT_Q6_K, FORMAT_Q8S16, take_q6_k },   { QUANT_IQ4_NL, FORMAT_Q8H, take_iq4_nl },
    { QUANT_IQ4_XS, FORMAT_Q8S, take_iq4_xs }, { QUANT_MXFP4, FORMAT_Q8S, take_mxfp4 },
};

static const struct packing *find_packing(enum quant_type type)
{
    for (size_t i = 0; i < sizeof(packings) / sizeof(packings[0]); i++)
        if (packings[i].type == type)
            return &packings[i];
    __builtin_unreachable(); // gguf_open accepts no other type
}

enum device_format pack_format(enum quant_type type)
{
    return find_packing(type)->format;
}

uint32_t pack_blocks(uint64_t columns)
{
    return (uint32_t)((columns + PACK_BLOCK - 1) / PACK_BLOCK);
}

size_t pack_quant_bytes(enum device_format format, uint32_t blocks)
{
    return (size_t)blocks * format_traits[format].quant_units * PACK_UNIT * PACK_ROWS;
}

size_t pack_scale_bytes(enum device_format format, uint32_t blocks)
{
    uint32_t per = format_traits[format].scale_blocks;

    return per == 0 ? 0 : (size_t)((blocks + per - 1) / per) * PACK_UNIT * PACK_ROWS;
}

static void put_codes(const struct block *block, uint32_t units, uint32_t *first_unit)
{
    for (uint32_t unit = 0; unit < units; unit++) {
        uint8_t *out = (uint8_t *)(first_unit + unit * PACK_ROWS * 4);

        if (units == 1)
            for (int i = 0; i < 16; i++)
                out[i] = (uint8_t)(block->codes[2 * i] | block->codes[2 * i + 1] << 4);
        else
            for (int i = 0; i < 16; i++)
                out[i] = (uint8_t)(block->codes[unit * 16 + (uint32_t)i] + 128);
    }
}

static void put_scale(const struct block *block, uint32_t per, uint32_t within,
                      uint32_t *unit)
{
    if (per == 4) {
        unit[within] = float_to_half(block->scale[0]) |
                       (uint32_t)float_to_half(block->minimum[0]) << 16;
    } else if (per == 2) {
        memcpy(&unit[within * 2], &block->scale[0], 4);
        memcpy(&unit[within * 2 + 1], &block->minimum[0], 4);
    } else {
        for (int h = 0; h < 2; h++) {
            memcpy(&unit[h * 2], &block->scale[h], 4);
            memcpy(&unit[h * 2 + 1], &block->minimum[h], 4);
        }
    }
}

static void pack_floats(const uint8_t *row, size_t row_bytes, uint32_t lane,
                        uint32_t *quants)
{
    for (size_t at = 0; at < row_bytes; at += PACK_UNIT) {
        size_t left = row_bytes - at;

        memcpy(quants + (at / PACK_UNIT * PACK_ROWS + lane) * 4, row + at,
               left < PACK_UNIT ? left : PACK_UNIT);
    }
}

void pack_rows(enum quant_type type, const uint8_t *const rows[PACK_ROWS],
               uint64_t columns, uint32_t *quants, uint32_t *scales)
{
    const struct packing *packing = find_packing(type);
    const struct device_format_traits *format = &format_traits[packing->format];
    const struct quant_traits *traits = quant_traits(type);
    uint32_t blocks = pack_blocks(columns);
    uint32_t subs = traits->block_values / PACK_BLOCK;

    for (uint32_t lane = 0; lane < PACK_ROWS; lane++) {
        if (rows[lane] == NULL)
            continue;
        if (packing->take == NULL) {
            pack_floats(rows[lane], columns * traits->block_bytes, lane, quants);
            continue;
        }
        for (uint32_t b = 0; b < blocks; b++) {
            struct block block;
            uint32_t per = format->scale_blocks;

            packing->take(rows[lane] + (size_t)(b / subs) * traits->block_bytes, b % subs,
                          &block);
            put_codes(&block, format->quant_units,
                      quants + ((size_t)b * format->quant_units * PACK_ROWS + lane) * 4);
            put_scale(&block, per, b % per,
                      scales + ((size_t)(b / per) * PACK_ROWS + lane) * 4);
        }
    }
}
