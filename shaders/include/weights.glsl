// Device layout of weights: planes of 128-bit units, eight rows interleaved, so that eight
// neighbouring lanes that hold eight neighbouring rows load 128 neighbouring bytes.
//
//   quants[row / 8][block][unit][row % 8]   a block is 32 weights of one row
//   scales[row / 8][scale unit][row % 8]    a scale unit covers SCALE_BLOCKS blocks
//
// weight = scale * code + minimum, except in the float formats, which have no scales.
// Packed by pack_rows() in engine/model/pack.c, which says which file type becomes what.
//
//   format   units  codes                     scales
//   Q4H      1      4 bits                    half scale, half minimum, per 32 weights
//   Q4S      1      4 bits                    float scale, float minimum, per 32
//   Q4S16    1      4 bits                    float scale, float minimum, per 16
//   Q8H      2      8 bits, biased by 128     half scale, half minimum, per 32
//   Q8S      2      8 bits, biased by 128     float scale, float minimum, per 32
//   Q8S16    2      8 bits, biased by 128     float scale, float minimum, per 16
//   F16      4      binary16
//   BF16     4      upper half of a float
//   F32      8      float
#if defined(Q4H) || defined(Q4S) || defined(Q4S16)
#define QUANT_UNITS 1
#define CODE_BITS   4
#elif defined(Q8H) || defined(Q8S) || defined(Q8S16)
#define QUANT_UNITS 2
#define CODE_BITS   8
#elif defined(F16) || defined(BF16)
#define QUANT_UNITS 4
#define CODE_BITS   0
#elif defined(F32)
#define QUANT_UNITS 8
#define CODE_BITS   0
#endif

#if defined(Q4H) || defined(Q8H)
#define SCALE_BLOCKS 4
#elif defined(Q4S) || defined(Q8S)
#define SCALE_BLOCKS 2
#elif defined(Q4S16) || defined(Q8S16)
#define SCALE_BLOCKS 1
#else
#define SCALE_BLOCKS 0
#endif

// How many weights one 128-bit unit of quants holds.
#define UNIT_WEIGHTS (32 / QUANT_UNITS)

// Four codes (or float weights) out of a unit, group g of UNIT_WEIGHTS / 4.
vec4 unpack4(uvec4 unit, uint g)
{
#if CODE_BITS == 4
    uint w = unit[g >> 1] >> ((g & 1) * 16);
    return vec4(ivec4(w & 15, (w >> 4) & 15, (w >> 8) & 15, (w >> 12) & 15));
#elif CODE_BITS == 8
    uint w = unit[g];
    return vec4(ivec4(w & 255, (w >> 8) & 255, (w >> 16) & 255, w >> 24) - 128);
#elif defined(F16)
    return vec4(unpackHalf2x16(unit[2 * g]), unpackHalf2x16(unit[2 * g + 1]));
#elif defined(BF16)
    uvec2 w = uvec2(unit[2 * g], unit[2 * g + 1]);
    return uintBitsToFloat(uvec4(w.x << 16, w.x & 0xFFFF0000u, w.y << 16, w.y & 0xFFFF0000u));
#else
    return uintBitsToFloat(unit);
#endif
}

// Scale and minimum of block `within` of a scale unit, for its first (half 0) or last 16
// weights.
vec2 block_scale(uvec4 unit, uint within, uint half_block)
{
#if SCALE_BLOCKS == 4
    return unpackHalf2x16(unit[within]);
#elif SCALE_BLOCKS == 2
    return uintBitsToFloat(uvec2(unit[2 * within], unit[2 * within + 1]));
#elif SCALE_BLOCKS == 1
    return uintBitsToFloat(uvec2(unit[2 * half_block], unit[2 * half_block + 1]));
#else
    return vec2(1.0, 0.0);
#endif
}
