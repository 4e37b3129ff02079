#version 450
#extension GL_GOOGLE_include_directive : require
// y[t][first + n] = sum_k w[n][k] * x[t][k] (+ bias[n]) (+ y[t][first + n]), n < rows.
// w: planes of weights.glsl; x: [tokens][blocks * 32] f32, zero beyond the width.
// One token (item) per workgroup in y. A workgroup computes 8 * ROWS_PER_LANE rows: lane % 8 is the
// row within a group of eight, lane / 8 the slice of the blocks it sums; the slices are added
// through shared memory. EXPERTS: w holds several matrices of `rows` rows one after another;
// item i in y uses matrix chosen[i] and reads row i / items_per_x of x.
// Reference: reference_matmul().
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 8;
layout(constant_id = 1) const uint ROWS_PER_LANE = 4;
layout(constant_id = 2) const bool BIAS = false;
layout(constant_id = 3) const bool ACCUMULATE = false;

#include "load.glsl"
#include "weights.glsl"

layout(push_constant) uniform Push {
    uint blocks;   // of 32 weights in a row
    uint rows;     // of this piece of w
    uint first;    // where its rows begin in y
    uint y_stride; // floats per token
    uint items_per_x;
    uint first_x; // row of x that item 0 reads
    uint first_group; // of eight rows: where this dispatch begins
} push;

INPUT(0, quants);
INPUT(1, scales);
INPUT(2, x);
layout(set = 0, binding = 3, std430) buffer Y { float y[]; };
layout(set = 0, binding = 4, std430) readonly buffer Bias { float bias[]; };
#ifdef EXPERTS
layout(set = 0, binding = 5, std430) readonly buffer Chosen { uint chosen[]; };
#endif

const uint SLICES = WORKGROUP / 8;
const uint MAX_ROWS = 8;
shared float partial[WORKGROUP * ROWS_PER_LANE];

void main()
{
    uint lane = gl_LocalInvocationID.x;
    uint token = gl_WorkGroupID.y;
    uint slice = lane / 8;
    uint group0 = push.first_group + gl_WorkGroupID.x * ROWS_PER_LANE;
    uint groups = (push.rows + 7) / 8;
    uint x0 = (push.first_x + token / push.items_per_x) * push.blocks * 8;
#ifdef EXPERTS
    uint matrix0 = chosen[token] * groups;
#else
    const uint matrix0 = 0;
#endif
    float sums[MAX_ROWS];

    for (uint r = 0; r < ROWS_PER_LANE; r++)
        sums[r] = 0.0;
#if SCALE_BLOCKS > 0
    const uint PER = SCALE_BLOCKS;
#else
    const uint PER = 1;
#endif
    uint scale_units = (push.blocks + PER - 1) / PER;

    for (uint s = slice; s < scale_units; s += SLICES) {
        uvec4 scale[MAX_ROWS];

#if SCALE_BLOCKS > 0
        for (uint r = 0; r < ROWS_PER_LANE; r++)
            scale[r] = LOAD(scales, ((matrix0 + min(group0 + r, groups - 1)) * scale_units + s) * 8 + lane % 8);
#endif
        for (uint within = 0; within < PER; within++) {
            uint b = s * PER + within;

            if (b >= push.blocks)
                break;
            vec4 a[8];
            for (uint i = 0; i < 8; i++)
                a[i] = LOADF(x, x0 + b * 8 + i);
#if SCALE_BLOCKS > 0
            vec4 low = a[0] + a[1] + a[2] + a[3];
            vec4 high = a[4] + a[5] + a[6] + a[7];
            float sum_low = low.x + low.y + low.z + low.w;
            float sum_high = high.x + high.y + high.z + high.w;

            for (uint i = 0; i < 8; i++)
                a[i] *= code_place(i % (UNIT_WEIGHTS / 4));
#endif
            for (uint r = 0; r < ROWS_PER_LANE; r++) {
                uint at = (((matrix0 + min(group0 + r, groups - 1)) * push.blocks + b) * QUANT_UNITS) * 8 + lane % 8;
                float dot_low = 0.0, dot_high = 0.0;

                for (uint u = 0; u < QUANT_UNITS; u++) {
                    uvec4 unit = LOAD(quants, at + u * 8);

                    for (uint g = 0; g < UNIT_WEIGHTS / 4; g++) {
                        uint i = u * (UNIT_WEIGHTS / 4) + g;
                        float d = dot(unpack4_in_place(unit, g), a[i]);

                        if (i < 4)
                            dot_low += d;
                        else
                            dot_high += d;
                    }
                }
#if SCALE_BLOCKS == 1
                vec2 d0 = block_scale(scale[r], within, 0);
                vec2 d1 = block_scale(scale[r], within, 1);
                sums[r] += d0.x * dot_low + d1.x * dot_high;
                sums[r] += (d0.y - CODE_BIAS * d0.x) * sum_low +
                           (d1.y - CODE_BIAS * d1.x) * sum_high;
#elif SCALE_BLOCKS > 0
                vec2 d = block_scale(scale[r], within, 0);
                sums[r] += d.x * (dot_low + dot_high);
                sums[r] += (d.y - CODE_BIAS * d.x) * (sum_low + sum_high);
#else
                sums[r] += dot_low + dot_high;
#endif
            }
        }
    }

    if (SLICES > 1) {
        for (uint r = 0; r < ROWS_PER_LANE; r++)
            partial[r * WORKGROUP + lane] = sums[r];
        barrier();
        if (lane < 8)
            for (uint r = 0; r < ROWS_PER_LANE; r++)
                for (uint i = 1; i < SLICES; i++)
                    sums[r] += partial[r * WORKGROUP + i * 8 + lane];
    }
    if (lane >= 8)
        return;
    for (uint r = 0; r < ROWS_PER_LANE; r++) {
        uint row = (group0 + r) * 8 + lane;

        if (row < push.rows) {
            uint at = token * push.y_stride + push.first + row;
            float value = sums[r];

            if (BIAS)
                value += bias[push.first + row];
            if (ACCUMULATE)
                value += y[at];
            y[at] = value;
        }
    }
}
