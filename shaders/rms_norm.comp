#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : enable
// y[r][c] = x[r][c] * weight[c] / sqrt(mean(x[r]^2) + epsilon) (+ y[r][c]) (RMSNorm,
// arXiv:1910.07467). x, y: [rows][stride] f32; weight: [width]. One row per workgroup.
// ACCUMULATE adds to y: a norm after a sublayer, on its way into the residual stream.
// Reference: reference_rms_norm().
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 8;
layout(constant_id = 1) const bool ACCUMULATE = false;

#include "reduce.glsl"

layout(push_constant) uniform Push {
    uint width;
    uint stride; // floats from row to row, of both
    float epsilon;
    uint first; // row
    uint column; // where the values begin in a row
} push;

layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Weight { float weight[]; };
layout(set = 0, binding = 2, std430) buffer Y { float y[]; };

void main()
{
    uint lane = gl_LocalInvocationID.x;
    uint row0 = (push.first + gl_WorkGroupID.x) * push.stride + push.column;
    float squares = 0.0;

    for (uint c = lane; c < push.width; c += WORKGROUP)
        squares += x[row0 + c] * x[row0 + c];
    float factor = inversesqrt(reduce_add(squares) / float(push.width) + push.epsilon);

    for (uint c = lane; c < push.width; c += WORKGROUP) {
        float value = x[row0 + c] * factor * weight[c];

        y[row0 + c] = ACCUMULATE ? y[row0 + c] + value : value;
    }
}
