#version 450
#extension GL_GOOGLE_include_directive : require
// y[t][first + n] = sum_k w[n][k] * x[t][k] (+ bias[n]) (+ y[t][first + n]) for many tokens.
// A workgroup of 128 computes a tile of 64 rows x 64 tokens, 32 columns at a time: both sides
// pass through shared memory (16 KiB, the floor) as floats, each lane sums 4 rows x 8 tokens in
// registers. Every weight is unpacked once per tile. Layouts as in matvec.comp; x has room for
// a multiple of 64 tokens. Reference: reference_matmul().
layout(local_size_x = 128) in;
layout(constant_id = 2) const bool BIAS = false;
layout(constant_id = 3) const bool ACCUMULATE = false;

#include "load.glsl"
#include "weights.glsl"

layout(push_constant) uniform Push {
    uint blocks;   // of 32 weights in a row
    uint rows;     // of this piece of w, up to the end of this dispatch
    uint first;    // where its rows begin in y
    uint y_stride; // floats per token
    uint tokens;
    uint first_group; // of eight rows: where this dispatch begins
} push;

INPUT(0, quants);
INPUT(1, scales);
INPUT(2, x);
layout(set = 0, binding = 3, std430) buffer Y { float y[]; };
layout(set = 0, binding = 4, std430) readonly buffer Bias { float bias[]; };

#if SCALE_BLOCKS > 0
const uint PER = SCALE_BLOCKS;
#else
const uint PER = 1;
#endif

shared float tile_w[32 * 64]; // [column][row]
shared float tile_x[32 * 64]; // [column][token]

void load_weights(uint group0, uint b)
{
    uint groups = (push.rows + 7) / 8;
    uint scale_units = (push.blocks + PER - 1) / PER;

    for (uint i = gl_LocalInvocationID.x; i < 64 * QUANT_UNITS; i += 128) {
        uint row = i % 64, u = i / 64;
        uint group = min(group0 + row / 8, groups - 1);
        uvec4 unit = LOAD(quants, ((group * push.blocks + b) * QUANT_UNITS + u) * 8 + row % 8);
#if SCALE_BLOCKS > 0
        uvec4 scale = LOAD(scales, (group * scale_units + b / PER) * 8 + row % 8);
#endif
        for (uint g = 0; g < UNIT_WEIGHTS / 4; g++) {
            uint column = u * UNIT_WEIGHTS + g * 4;
            vec4 w = unpack4(unit, g);

#if SCALE_BLOCKS > 0
            vec2 d = block_scale(scale, b % PER, column / 16);
            w = w * d.x + d.y;
#endif
            for (uint c = 0; c < 4; c++)
                tile_w[(column + c) * 64 + row] = w[c];
        }
    }
}

void load_activations(uint token0, uint b)
{
    for (uint i = gl_LocalInvocationID.x; i < 64 * 8; i += 128) {
        uint token = i % 64, quad = i / 64;
        vec4 a = LOADF(x, ((token0 + token) * push.blocks + b) * 8 + quad);

        for (uint c = 0; c < 4; c++)
            tile_x[(quad * 4 + c) * 64 + token] = a[c];
    }
}

void main()
{
    uint group0 = push.first_group + gl_WorkGroupID.x * 8;
    uint token0 = gl_WorkGroupID.y * 64;
    uint row0 = gl_LocalInvocationID.x % 16, lane_token = gl_LocalInvocationID.x / 16;
    float sums[4][8];

    for (uint r = 0; r < 4; r++)
        for (uint t = 0; t < 8; t++)
            sums[r][t] = 0.0;
    for (uint b = 0; b < push.blocks; b++) {
        load_weights(group0, b);
        load_activations(token0, b);
        barrier();
        for (uint k = 0; k < 32; k++) {
            float w[4];

            for (uint r = 0; r < 4; r++)
                w[r] = tile_w[k * 64 + row0 + r * 16];
            for (uint t = 0; t < 8; t++) {
                float a = tile_x[k * 64 + lane_token + t * 8];

                for (uint r = 0; r < 4; r++)
                    sums[r][t] += w[r] * a;
            }
        }
        barrier();
    }
    for (uint t = 0; t < 8; t++)
        for (uint r = 0; r < 4; r++) {
            uint token = token0 + lane_token + t * 8;
            uint row = group0 * 8 + row0 + r * 16;
            uint at = token * push.y_stride + push.first + row;

            if (token >= push.tokens || row >= push.rows)
                continue;
            float value = sums[r][t];

            if (BIAS)
                value += bias[push.first + row];
            if (ACCUMULATE)
                value += y[at];
            y[at] = value;
        }
}
