#version 450
// y[h][first + t][d] = x[t][column + h * HEAD_DIM + d], turned (RoPE, arXiv:2104.09864) if ROTATE:
// heads of queries, keys or values taken apart for vision_attention.comp.
//
// x: [tokens][stride]. y: [heads][room][HEAD_DIM]. angles: [token][HEAD_DIM / 2] (cos, sin) of
// every token, so that positions may have two dimensions. SPLIT: dimension d turns with
// d + HEAD_DIM / 2, else 2 i with 2 i + 1. One invocation per pair of neighbouring dimensions in x,
// tokens in y. Reference: reference_rotate() with one token at a time.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD_DIM = 64; // even
layout(constant_id = 2) const bool ROTATE = false;
layout(constant_id = 3) const bool SPLIT = false;

layout(push_constant) uniform Push {
    uint heads;
    uint stride;
    uint column;
    uint room;
    uint first;
} push;

layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Angles { vec2 angles[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Y { float y[]; };

const uint HALF = HEAD_DIM / 2;

void main()
{
    uint head = gl_GlobalInvocationID.x / HALF;
    uint pair = gl_GlobalInvocationID.x % HALF;
    uint token = push.first + gl_WorkGroupID.y;
    uint x0 = gl_WorkGroupID.y * push.stride + push.column + head * HEAD_DIM;
    uint y0 = (head * push.room + token) * HEAD_DIM;
    uint a = SPLIT ? pair : 2 * pair;
    uint b = SPLIT ? pair + HALF : 2 * pair + 1;

    if (head >= push.heads)
        return;
    vec2 value = vec2(x[x0 + a], x[x0 + b]);

    if (ROTATE) {
        vec2 angle = angles[token * HALF + pair];

        value = vec2(value.x * angle.x - value.y * angle.y,
                     value.x * angle.y + value.y * angle.x);
    }
    y[y0 + a] = value.x;
    y[y0 + b] = value.y;
}
