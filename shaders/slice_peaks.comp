#version 450
#extension GL_GOOGLE_include_directive : require
// For each slice of 64 logits: its maximum, and sum(exp(logit - maximum)). What the host
// needs to find the highest logits and the partition function without reading all of them:
// the k highest lie in the k slices with the highest maxima.
// logits: [count] f32, and room for a whole number of slices; peaks: [slices] (maximum, sum).
// One slice per invocation. Reference: reference_slice_peaks() in the tests.
layout(local_size_x_id = 0) in;

#include "load.glsl"

layout(push_constant) uniform Push { uint count; } push;

INPUT(0, logits);
layout(set = 0, binding = 1, std430) writeonly buffer Peaks { vec2 peaks[]; };

const float LOWEST = -3.0e38;

void main()
{
    uint slice = gl_GlobalInvocationID.x;

    if (slice * 64 >= push.count)
        return;
    float highest = LOWEST;
    float sum = 0.0;

    for (uint i = 0; i < 16; i++) {
        uint at = slice * 64 + i * 4;
        vec4 value = LOADF(logits, slice * 16 + i);

        for (uint j = 0; j < 4; j++)
            if (at + j < push.count)
                highest = max(highest, value[j]);
    }
    for (uint i = 0; i < 16; i++) {
        uint at = slice * 64 + i * 4;
        vec4 value = LOADF(logits, slice * 16 + i);

        for (uint j = 0; j < 4; j++)
            if (at + j < push.count)
                sum += exp(value[j] - highest);
    }
    peaks[slice] = vec2(highest, sum);
}
