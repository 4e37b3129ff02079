#version 450
// Several rows become one: side by side, y[t][j * width + i] = x[t * parts + j][i] (INTERLEAVED:
// y[t][i * parts + j]), or with POOL their mean, y[t][i] = sum_j x[t * parts + j][i] / parts. x:
// [rows][x_stride], y: [items][y_stride]. One invocation per value of y in x, items in y.
// Reference: reference_merge().
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const bool POOL = false;
layout(constant_id = 2) const bool INTERLEAVED = false;

layout(push_constant) uniform Push {
    uint width; // of x
    uint parts;
    uint x_stride;
    uint y_stride;
    uint first; // row of y
} push;

layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { float y[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x;
    uint row0 = gl_WorkGroupID.y * push.parts;
    uint end = POOL ? push.width : push.width * push.parts;
    float value = 0.0;

    if (i >= end)
        return;
    if (POOL) {
        for (uint j = 0; j < push.parts; j++)
            value += x[(row0 + j) * push.x_stride + i];
        value /= float(push.parts);
    } else if (INTERLEAVED) {
        value = x[(row0 + i % push.parts) * push.x_stride + i / push.parts];
    } else {
        value = x[(row0 + i / push.width) * push.x_stride + i % push.width];
    }
    y[(push.first + gl_WorkGroupID.y) * push.y_stride + i] = value;
}
