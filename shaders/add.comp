#version 450
// y[t][i] += x[t][i] * scale[i] for i < width (without the scale if not SCALE). x: [items][x_stride],
// y: [items][y_stride]. One invocation per value, items in y. Reference: reference_add().
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const bool SCALE = false;

layout(push_constant) uniform Push {
    uint width;
    uint x_stride;
    uint y_stride;
} push;

layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Scale { float scale[]; };
layout(set = 0, binding = 2, std430) buffer Y { float y[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x;
    uint at = gl_WorkGroupID.y * push.y_stride + i;
    float value = x[gl_WorkGroupID.y * push.x_stride + min(i, push.width - 1)];

    if (i < push.width)
        y[at] += SCALE ? value * scale[i] : value;
}
