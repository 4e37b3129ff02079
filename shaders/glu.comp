#version 450
#extension GL_GOOGLE_include_directive : require
// y[t][i] = act(gate[t][i]) * up[t][i]: SwiGLU, GeGLU (arXiv:2002.05202). gate and up lie in one buffer: [items][x_stride], gate at 0, up at
// up_offset. One invocation per value, items in y. Reference: reference_glu().
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ACTIVATION = 0;

#include "activation.glsl"

layout(push_constant) uniform Push {
    uint width;
    uint x_stride;
    uint up_offset;
    uint y_stride;
} push;

layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { float y[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x;
    uint x0 = gl_WorkGroupID.y * push.x_stride + i;

    if (i < push.width)
        y[gl_WorkGroupID.y * push.y_stride + i] = activate(ACTIVATION, x[x0]) * x[x0 + push.up_offset];
}
