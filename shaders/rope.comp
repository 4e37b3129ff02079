#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : enable
// Queries, keys and values of new tokens: norm (QK norm of qwen3 and gemma3), rotate (RoPE,
// arXiv:2104.09864), and put keys and values into the cache as binary16.
//
// x: [tokens][stride]: queries [heads][HEAD_DIM], keys and values [kv_heads][HEAD_DIM].
// out: [tokens][heads][HEAD_DIM] rotated queries. key_cache, value_cache:
// [kv_heads][context][HEAD_DIM] halves, two per word, or with CACHE_F32 floats. angles: [position][ROTATED / 2] (cos,
// sin). PAIRS_SPLIT: dimension i turns with i + ROTATED / 2 (NEOX), else 2 i with 2 i + 1.
// One workgroup per head in x (queries, then keys, then values) and token in y; one lane per
// two neighbouring dimensions. Reference: reference_rope().
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 8;
layout(constant_id = 1) const uint HEAD_DIM = 64;
layout(constant_id = 2) const uint ROTATED = 64;
layout(constant_id = 3) const bool PAIRS_SPLIT = false;
layout(constant_id = 4) const bool NORM = false;
layout(constant_id = 5) const uint HEADS = 1;
layout(constant_id = 6) const uint KV_HEADS = 1;

#include "reduce.glsl"

// Two neighbouring dimensions of a cached vector.
#ifdef CACHE_F32
#define PAIR uvec2
#else
#define PAIR uint
#endif

layout(push_constant) uniform Push {
    uint stride;
    uint context; // positions in the cache
    float epsilon;
} push;

layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Angles { vec2 angles[]; };
layout(set = 0, binding = 2, std430) readonly buffer Step { uint position; } step_;
layout(set = 0, binding = 3, std430) writeonly buffer Out { float out_[]; };
layout(set = 0, binding = 4, std430) writeonly buffer KeyCache { PAIR key_cache[]; };
layout(set = 0, binding = 5, std430) writeonly buffer ValueCache { PAIR value_cache[]; };
layout(set = 0, binding = 6, std430) readonly buffer QueryNorm { float query_norm[]; };
layout(set = 0, binding = 7, std430) readonly buffer KeyNorm { float key_norm[]; };

const uint HALF = ROTATED / 2;

void main()
{
    uint lane = gl_LocalInvocationID.x;
    uint head = gl_WorkGroupID.x;
    uint token = gl_WorkGroupID.y;
    uint x0 = token * push.stride + head * HEAD_DIM;
    uint position = step_.position + token;
    bool is_query = head < HEADS;
    bool is_value = head >= HEADS + KV_HEADS;
    float factor = 1.0;

    if (NORM) {
        float squares = 0.0;

        for (uint d = lane; d < HEAD_DIM; d += WORKGROUP)
            squares += x[x0 + d] * x[x0 + d];
        factor = inversesqrt(reduce_add(squares) / float(HEAD_DIM) + push.epsilon);
        if (is_value)
            factor = 1.0;
    }
    for (uint pair = lane; pair < HEAD_DIM / 2; pair += WORKGROUP) {
        vec2 result;

        for (uint i = 0; i < 2; i++) {
            uint d = pair * 2 + i;
            uint turn = PAIRS_SPLIT ? d % max(HALF, 1) : d / 2;
            bool first = PAIRS_SPLIT ? d < HALF : i == 0;
            uint partner = PAIRS_SPLIT ? (first ? d + HALF : d - HALF) : (first ? d + 1 : d - 1);
            float value = x[x0 + d];

            if (NORM && !is_value)
                value *= factor * (is_query ? query_norm[d] : key_norm[d]);
            if (!is_value && d < ROTATED) {
                float other = x[x0 + partner];
                vec2 angle = angles[position * HALF + turn];

                if (NORM)
                    other *= factor * (is_query ? query_norm[partner] : key_norm[partner]);
                value = first ? value * angle.x - other * angle.y
                              : value * angle.x + other * angle.y;
            }
            result[i] = value;
        }
        if (is_query) {
            uint at = (token * HEADS + head) * HEAD_DIM + pair * 2;

            out_[at] = result.x;
            out_[at + 1] = result.y;
        } else {
            uint kv_head = (head - HEADS) % KV_HEADS;
            uint at = ((kv_head * push.context + position) * HEAD_DIM) / 2 + pair;

#ifdef CACHE_F32
            if (is_value)
                value_cache[at] = floatBitsToUint(result);
            else
                key_cache[at] = floatBitsToUint(result);
#else
            if (is_value)
                value_cache[at] = packHalf2x16(result);
            else
                key_cache[at] = packHalf2x16(result);
#endif
        }
    }
}
