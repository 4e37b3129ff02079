#version 450
// y[t][i] = act(gate[t][i]) * up[t][i]: SwiGLU (SILU) or GeGLU with the tanh form of GELU
// (arXiv:2002.05202). gate and up lie in one buffer: [items][x_stride], gate at 0, up at
// up_offset. One invocation per value, items in y. Reference: reference_glu().
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ACTIVATION = 0; // 0 SiLU, 1 GELU (tanh)

layout(push_constant) uniform Push {
    uint width;
    uint x_stride;
    uint up_offset;
    uint y_stride;
} push;

layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { float y[]; };

float activate(float v)
{
    if (ACTIVATION == 0)
        return v / (1.0 + exp(-v));
    // tanh(u) = 1 - 2 / (exp(2 u) + 1), which cannot become inf / inf.
    float u = 0.7978845608028654 * (v + 0.044715 * v * v * v);
    return 0.5 * v * (2.0 - 2.0 / (exp(2.0 * u) + 1.0));
}

void main()
{
    uint i = gl_GlobalInvocationID.x;
    uint x0 = gl_WorkGroupID.y * push.x_stride + i;

    if (i < push.width)
        y[gl_WorkGroupID.y * push.y_stride + i] = activate(x[x0]) * x[x0 + push.up_offset];
}
