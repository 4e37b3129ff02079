#version 450
// y[i] = cap * tanh(y[i] / cap) for i < count (gemma2's logits). One value per invocation.
layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
    uint count;
    float cap;
} push;

layout(set = 0, binding = 0, std430) buffer Y { float y[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x + gl_GlobalInvocationID.y * gl_NumWorkGroups.x * gl_WorkGroupSize.x;

    // tanh(u) = 1 - 2 / (exp(2 u) + 1), which cannot become inf / inf.
    if (i < push.count)
        y[i] = push.cap * (1.0 - 2.0 / (exp(2.0 * y[i] / push.cap) + 1.0));
}
