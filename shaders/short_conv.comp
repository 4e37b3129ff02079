#version 450
// y[t][i] = c[t][i] * sum_k weights[i][k] * (b * x)[t - (TAPS - 1) + k][i]: the gated short
// convolution of LFM2 over the last TAPS tokens. b, c and x lie in one row of `x`: [tokens][x_stride],
// b at 0, c at width, x at 2 width. cache: [position][width] products of b and x; those of
// earlier passes are read, those of this pass are written. What lies before the first position
// is 0. One invocation per value, tokens in y. Reference: reference_short_conv().
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint TAPS = 3;

layout(push_constant) uniform Push {
    uint width;
    uint x_stride;
    uint y_stride;
} push;

layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Weights { float weights[]; };
layout(set = 0, binding = 2, std430) readonly buffer Step { uint position; } step_;
layout(set = 0, binding = 3, std430) buffer Cache { float cache[]; };
layout(set = 0, binding = 4, std430) writeonly buffer Y { float y[]; };

float gated(uint token, uint i)
{
    uint row = token * push.x_stride + i;

    return x[row] * x[row + 2 * push.width];
}

void main()
{
    uint i = gl_GlobalInvocationID.x;
    uint token = gl_WorkGroupID.y;
    float sum = 0.0;

    if (i >= push.width)
        return;
    for (uint back = 0; back < TAPS && back <= step_.position + token; back++) {
        float value = back <= token ? gated(token - back, i)
                                    : cache[(step_.position + token - back) * push.width + i];

        sum += weights[i * TAPS + TAPS - 1 - back] * value;
    }
    cache[(step_.position + token) * push.width + i] = gated(token, i);
    y[token * push.y_stride + i] = x[token * push.x_stride + push.width + i] * sum;
}
