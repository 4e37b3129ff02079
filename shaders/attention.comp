#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : enable
#extension GL_KHR_shader_subgroup_ballot : enable
#extension GL_KHR_shader_subgroup_shuffle : enable
// y[t][h] = sum_p softmax_p(scale * q[t][h] . k[p]) v[p] over the positions p that token t may
// see: p <= position + t, and p > position + t - window if window is not 0. If together is
// not 0, it is the number of tokens, and each sees all of them besides. Scores are
// capped by cap * tanh(score / cap) if cap is not 0 (gemma2). Online softmax over chunks of
// WORKGROUP positions (arXiv:1805.02867), so no score is kept.
//
// q: [tokens][HEADS][HEAD_DIM] f32. Caches as in rope.comp. y: [tokens][stride], heads side
// by side. One workgroup per head in x and token in y: in the first half of a chunk a lane is
// a position, in the second it holds eight dimensions of each value (or several times eight).
// Reference: reference_attention().
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 8;
layout(constant_id = 1) const uint HEAD_DIM = 64; // a multiple of 8
layout(constant_id = 2) const uint HEADS = 1;
layout(constant_id = 3) const uint KV_HEADS = 1;
layout(constant_id = 4) const bool KEEP_QUERY = false; // registers (a stack) are cheaper than loads

#include "load.glsl"
#include "reduce.glsl"
#include "cache.glsl"

layout(push_constant) uniform Push {
    uint stride;
    uint context;
    uint window;
    uint together;
    float scale;
    float cap;
} push;

INPUT(0, queries);
INPUT(1, key_cache);
INPUT(2, value_cache);
layout(set = 0, binding = 3, std430) readonly buffer Step { uint position; } step_;
layout(set = 0, binding = 4, std430) writeonly buffer Y { float y[]; };

const uint UNITS = HEAD_DIM / 8; // eights of a cached vector
const uint UNITS_PER_LANE = (UNITS + WORKGROUP - 1) / WORKGROUP;
const float LOWEST = -3.0e38;

#ifndef SUBGROUP
shared float weights[WORKGROUP];
#endif

float weight_of(float own, uint lane)
{
#ifdef SUBGROUP
    return subgroupShuffle(own, lane);
#else
    return weights[lane];
#endif
}

vec4 sums[UNITS_PER_LANE * 2];

// sums += weight * the value at this index of the cache, in eights.
void add_value(float weight, uint at)
{
    for (uint i = 0; i < UNITS_PER_LANE; i++) {
        uint u = min(gl_LocalInvocationID.x + i * WORKGROUP, UNITS - 1);
        vec4 low, high;

        CACHE_LOAD(value_cache, at + u, low, high);
        sums[2 * i] += weight * low;
        sums[2 * i + 1] += weight * high;
    }
}

void main()
{
    uint lane = gl_LocalInvocationID.x;
    uint head = gl_WorkGroupID.x;
    uint token = gl_WorkGroupID.y;
    uint last = step_.position + token;
    uint first = push.window > 0 && last + 1 > push.window ? last + 1 - push.window : 0;

    if (push.together > 0) {
        first = min(first, step_.position);
        last = step_.position + push.together - 1;
    }
    uint q0 = (token * HEADS + head) * (HEAD_DIM / 4);
    uint cache0 = head / (HEADS / KV_HEADS) * push.context * UNITS;
    vec4 query[UNITS * 2];
    float highest = LOWEST;
    float total = 0.0;

    for (uint i = 0; i < UNITS_PER_LANE * 2; i++)
        sums[i] = vec4(0.0);
    if (KEEP_QUERY)
        for (uint i = 0; i < UNITS * 2; i++)
            query[i] = LOADF(queries, q0 + i);

    for (uint p0 = first; p0 <= last; p0 += WORKGROUP) {
        uint p = min(p0 + lane, last);
        float score = 0.0;

        for (uint u = 0; u < UNITS; u++) {
            vec4 key_low, key_high;
            CACHE_LOAD(key_cache, cache0 + p * UNITS + u, key_low, key_high);
            vec4 q_low = KEEP_QUERY ? query[u * 2] : LOADF(queries, q0 + u * 2);
            vec4 q_high = KEEP_QUERY ? query[u * 2 + 1] : LOADF(queries, q0 + u * 2 + 1);

            score += dot(q_low, key_low) + dot(q_high, key_high);
        }
        score *= push.scale;
        if (push.cap > 0.0)
            score = push.cap * (1.0 - 2.0 / (exp(2.0 * score / push.cap) + 1.0));
        if (p0 + lane > last)
            score = LOWEST;

        float old = highest;

        highest = max(highest, reduce_max(score));
        float own = p0 + lane > last ? 0.0 : exp(score - highest);
        float fade = exp(old - highest);

        total = total * fade + reduce_add(own);
        for (uint i = 0; i < UNITS_PER_LANE * 2; i++)
            sums[i] *= fade;
#ifndef SUBGROUP
        barrier();
        weights[lane] = own;
        barrier();
#endif
        uint count = min(WORKGROUP, last + 1 - p0);

        uint at = cache0 + p0 * UNITS;

#ifdef SUBGROUP
        // A broadcast from a lane that is known beforehand is cheaper than a shuffle.
        if (WORKGROUP == 8 && count == 8) {
            add_value(subgroupBroadcast(own, 0), at);
            add_value(subgroupBroadcast(own, 1), at + UNITS);
            add_value(subgroupBroadcast(own, 2), at + UNITS * 2);
            add_value(subgroupBroadcast(own, 3), at + UNITS * 3);
            add_value(subgroupBroadcast(own, 4), at + UNITS * 4);
            add_value(subgroupBroadcast(own, 5), at + UNITS * 5);
            add_value(subgroupBroadcast(own, 6), at + UNITS * 6);
            add_value(subgroupBroadcast(own, 7), at + UNITS * 7);
            continue;
        }
#endif
        for (uint j = 0; j < count; j++)
            add_value(weight_of(own, j), at + j * UNITS);
    }
    for (uint i = 0; i < UNITS_PER_LANE; i++) {
        uint u = lane + i * WORKGROUP;
        uint at = token * push.stride + head * HEAD_DIM + u * 8;

        if (u >= UNITS)
            break;
        for (uint j = 0; j < 8; j++)
            y[at + j] = sums[2 * i + j / 4][j % 4] / total;
    }
}
