#version 450
#extension GL_GOOGLE_include_directive : require
// x[t][i] = act(x[t][i]) for i < width, in place. x: [items][stride]. One invocation per value, items
// in y. Reference: reference_activate().
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ACTIVATION = 0;

#include "activation.glsl"

layout(push_constant) uniform Push {
    uint width;
    uint stride;
} push;

layout(set = 0, binding = 0, std430) buffer X { float x[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x;
    uint at = gl_WorkGroupID.y * push.stride + i;

    if (i < push.width)
        x[at] = activate(ACTIVATION, x[at]);
}
