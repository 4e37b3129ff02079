#version 450
// y[t][c] += sum_i weights[t][i] * x[t * USED + i][c]: the experts' outputs, mixed. x and y:
// rows of `stride` floats. One invocation per value, tokens in y. Reference: reference_mix().
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint USED = 1;

layout(push_constant) uniform Push {
    uint width;
    uint stride;
} push;

layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Weights { float weights[]; };
layout(set = 0, binding = 2, std430) buffer Y { float y[]; };

void main()
{
    uint c = gl_GlobalInvocationID.x;
    uint token = gl_WorkGroupID.y;
    float sum = 0.0;

    if (c >= push.width)
        return;
    for (uint i = 0; i < USED; i++)
        sum += weights[token * USED + i] * x[(token * USED + i) * push.stride + c];
    y[token * push.stride + c] += sum;
}
