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

// Codes of the 8-bit formats are stored with 128 added; the sum of the activations takes it
// away again, together with the minimum.
#if CODE_BITS == 8
#define CODE_BIAS 128.0
#else
#define CODE_BIAS 0.0
#endif

// Four codes (or float weights) out of a unit, group g of UNIT_WEIGHTS / 4, where the codes
// lie: each is multiplied by a power of two that code_place() takes away again. That saves
// most of the shifts when the activations are multiplied by it once for many rows.
vec4 unpack4_in_place(uvec4 unit, uint g)
{
#if CODE_BITS == 4
    uint w = unit[g >> 1];
    return (g & 1) == 0
               ? vec4(ivec4(w & 0xFu, w & 0xF0u, w & 0xF00u, w & 0xF000u))
               : vec4(ivec4(w & 0xF0000u, w & 0xF00000u, w & 0xF000000u, w >> 28));
#elif CODE_BITS == 8
    uint w = unit[g];
    return vec4(ivec4(w & 0xFFu, w & 0xFF00u, w & 0xFF0000u, w >> 24));
#elif defined(F16)
    return vec4(unpackHalf2x16(unit[2 * g]), unpackHalf2x16(unit[2 * g + 1]));
#elif defined(BF16)
    uvec2 w = uvec2(unit[2 * g], unit[2 * g + 1]);
    return uintBitsToFloat(uvec4(w.x << 16, w.x & 0xFFFF0000u, w.y << 16, w.y & 0xFFFF0000u));
#else
    return uintBitsToFloat(unit);
#endif
}

vec4 code_place(uint g)
{
#if CODE_BITS == 4
    const vec4 low = vec4(1.0, 1.0 / 16.0, 1.0 / 256.0, 1.0 / 4096.0);
    return (g & 1) == 0 ? low : vec4(low.yzw, 4096.0) * (1.0 / 4096.0);
#elif CODE_BITS == 8
    return vec4(1.0, 1.0 / 256.0, 1.0 / 65536.0, 1.0);
#else
    return vec4(1.0);
#endif
}

// Four weights without scale and minimum.
vec4 unpack4(uvec4 unit, uint g)
{
    return unpack4_in_place(unit, g) * code_place(g) - CODE_BIAS;
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
