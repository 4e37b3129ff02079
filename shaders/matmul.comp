#version 450
#extension GL_GOOGLE_include_directive : require
// y[t][first + n] = sum_k w[n][k] * x[t][k] (+ bias[n]) (+ y[t][first + n]) for many tokens.
// Lanes are tokens: a workgroup computes 8 rows for WORKGROUP * TOKENS_PER_LANE tokens, so
// that each weight is unpacked once for TOKENS_PER_LANE multiply-adds, and the weights are
// loaded by all lanes together: by texel fetch where that is the fast way, for a storage buffer
// is read lane by lane there inside of a loop, even at one address. Layouts as in matvec.comp; x
// and y have room for a multiple of the workgroup's tokens. Reference: reference_matmul().
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 8;
layout(constant_id = 2) const bool BIAS = false;
layout(constant_id = 3) const bool ACCUMULATE = false;

#include "load.glsl"
#include "weights.glsl"

#define TOKENS_PER_LANE 4
#define ROWS 8

layout(push_constant) uniform Push {
    uint blocks;   // of 32 weights in a row
    uint rows;     // of this piece of w
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

void main()
{
    uint scale_units = (push.blocks + PER - 1) / PER;
    uint group = push.first_group + gl_WorkGroupID.x;
    uint token0 = gl_WorkGroupID.y * WORKGROUP * TOKENS_PER_LANE + gl_LocalInvocationID.x;
    float sums[ROWS][TOKENS_PER_LANE];

    for (uint r = 0; r < ROWS; r++)
        for (uint t = 0; t < TOKENS_PER_LANE; t++)
            sums[r][t] = 0.0;

    for (uint b = 0; b < push.blocks; b++) {
        vec2 scale[ROWS];

#if SCALE_BLOCKS > 1
        for (uint r = 0; r < ROWS; r++)
            scale[r] =
                block_scale(LOAD(scales, (group * scale_units + b / PER) * 8 + r), b % PER, 0);
#endif
        for (uint u = 0; u < QUANT_UNITS; u++) {
#if SCALE_BLOCKS == 1
            if (u * UNIT_WEIGHTS % 16 == 0 && UNIT_WEIGHTS == 16)
                for (uint r = 0; r < ROWS; r++)
                    scale[r] =
                        block_scale(LOAD(scales, (group * scale_units + b) * 8 + r), 0, u);
#endif
            uvec4 unit[ROWS];

            for (uint r = 0; r < ROWS; r++)
                unit[r] = LOAD(quants, ((group * push.blocks + b) * QUANT_UNITS + u) * 8 + r);
            for (uint g = 0; g < UNIT_WEIGHTS / 4; g++) {
                vec4 a[TOKENS_PER_LANE];

#if SCALE_BLOCKS == 1 && UNIT_WEIGHTS == 32
                if (g % 4 == 0)
                    for (uint r = 0; r < ROWS; r++)
                        scale[r] = block_scale(
                            LOAD(scales, (group * scale_units + b) * 8 + r), 0, g / 4);
#endif
                for (uint t = 0; t < TOKENS_PER_LANE; t++)
                    a[t] = LOADF(x, ((token0 + t * WORKGROUP) * push.blocks + b) * 8 +
                                        u * (UNIT_WEIGHTS / 4) + g);
                for (uint r = 0; r < ROWS; r++) {
                    vec4 w = unpack4(unit[r], g);

#if SCALE_BLOCKS > 0
                    w = w * scale[r].x + scale[r].y;
#endif
                    for (uint t = 0; t < TOKENS_PER_LANE; t++)
                        sums[r][t] += dot(w, a[t]);
                }
            }
        }
    }

    for (uint t = 0; t < TOKENS_PER_LANE; t++) {
        uint token = token0 + t * WORKGROUP;

        for (uint r = 0; r < ROWS; r++) {
            uint row = group * 8 + r;
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
}
