#version 450
#extension GL_GOOGLE_include_directive : require
// What the device can do at most, for `oriel bench`. ARITHMETIC: each invocation does
// push.count rounds of 16 independent vec4 multiply-adds. Otherwise it reads push.count
// units of 128 bits, neighbouring invocations neighbouring units. y keeps the compiler honest.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 8;

#include "load.glsl"

layout(push_constant) uniform Push { uint count; } push;

INPUT(0, x);
layout(set = 0, binding = 1, std430) writeonly buffer Y { float y[]; };

void main()
{
    vec4 sums[16];

    for (uint i = 0; i < 16; i++)
        sums[i] = vec4(i);
#ifdef ARITHMETIC
    vec4 factor = LOADF(x, 0);

    for (uint n = 0; n < push.count; n++)
        for (uint i = 0; i < 16; i++)
            sums[i] = sums[i] * factor + factor;
#else
    uint first = gl_WorkGroupID.x * WORKGROUP * push.count + gl_LocalInvocationID.x;

    for (uint n = 0; n < push.count; n += 4)
        for (uint i = 0; i < 4; i++)
            sums[i] += LOADF(x, first + (n + i) * WORKGROUP);
#endif
    vec4 total = vec4(0.0);

    for (uint i = 0; i < 16; i++)
        total += sums[i];
    y[gl_GlobalInvocationID.x] = total.x + total.y + total.z + total.w;
}
