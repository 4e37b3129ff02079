#version 450
#extension GL_GOOGLE_include_directive : require
// y[t][c] = scale * w[token[t]][c] for the tokens whose rows this piece of w holds.
// w: planes of weights.glsl, rows [first, first + rows); y: [tokens][stride]. One token per
// workgroup in x, one lane per four weights. Reference: reference_embed().
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 8;

#include "weights.glsl"

layout(push_constant) uniform Push {
    uint blocks; // of 32 weights in a row
    uint first;
    uint rows;
    uint stride;
    float scale;
} push;

layout(set = 0, binding = 0, std430) readonly buffer Quants { uvec4 quants[]; };
layout(set = 0, binding = 1, std430) readonly buffer Scales { uvec4 scales[]; };
layout(set = 0, binding = 2, std430) readonly buffer Tokens { uint tokens[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Y { float y[]; };

#if SCALE_BLOCKS > 0
const uint PER = SCALE_BLOCKS;
#else
const uint PER = 1;
#endif

void main()
{
    uint token = tokens[gl_WorkGroupID.x];

    if (token < push.first || token - push.first >= push.rows)
        return;
    uint row = token - push.first;
    uint scale_units = (push.blocks + PER - 1) / PER;

    for (uint i = gl_LocalInvocationID.x; i < push.blocks * 8; i += WORKGROUP) {
        uint b = i / 8;
        uint u = i % 8 / (UNIT_WEIGHTS / 4);
        uint g = i % (UNIT_WEIGHTS / 4);
        vec4 w = unpack4(
            quants[((row / 8 * push.blocks + b) * QUANT_UNITS + u) * 8 + row % 8], g);

#if SCALE_BLOCKS > 0
        vec2 d = block_scale(scales[(row / 8 * scale_units + b / PER) * 8 + row % 8],
                             b % PER, i % 8 / 4);
        w = w * d.x + d.y;
#endif
        uint at = gl_WorkGroupID.x * push.stride + i * 4;

        for (uint j = 0; j < 4; j++)
            y[at + j] = w[j] * push.scale;
    }
}
