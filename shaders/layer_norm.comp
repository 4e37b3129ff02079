#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : enable
// y[r][c] = (x[r][c] - mean(x[r])) / sqrt(variance(x[r]) + epsilon) * weight[c] + bias[c]
// (arXiv:1607.06450). x, y: [rows][stride] f32, y may be x; weight, bias: [width]. One row per
// workgroup. Reference: reference_layer_norm().
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 8;

#include "reduce.glsl"

layout(push_constant) uniform Push {
    uint width;
    uint stride; // floats from row to row, of both
    float epsilon;
} push;

layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Weight { float weight[]; };
layout(set = 0, binding = 2, std430) readonly buffer Bias { float bias[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Y { float y[]; };

void main()
{
    uint lane = gl_LocalInvocationID.x;
    uint row0 = gl_WorkGroupID.x * push.stride;
    float sum = 0.0, squares = 0.0;

    for (uint c = lane; c < push.width; c += WORKGROUP)
        sum += x[row0 + c];
    float mean = reduce_add(sum) / float(push.width);

    // Around the mean: the difference of two large sums would lose the small variance.
    for (uint c = lane; c < push.width; c += WORKGROUP) {
        float value = x[row0 + c] - mean;

        squares += value * value;
    }
    float factor = inversesqrt(reduce_add(squares) / float(push.width) + push.epsilon);

    for (uint c = lane; c < push.width; c += WORKGROUP)
        y[row0 + c] = (x[row0 + c] - mean) * factor * weight[c] + bias[c];
}
