#version 450
#extension GL_GOOGLE_include_directive : require
// y[t][h] = sum_p softmax_p(scale * q[h][t] . k[h][p]) v[h][p], every query of a block over
// the same range of positions: attention without a mask, as vision encoders have it. Online
// softmax over KEYS positions at a time (arXiv:1805.02867), so no score is kept.
//
// q: [heads][query_room][HEAD_DIM], k, v: [heads][key_room][HEAD_DIM] f32, as vision_heads.comp
// leaves them. y: [tokens][stride], heads side by side. blocks: (first query, how many, first
// position, end of positions); a block has at most WORKGROUP * TOKENS queries. One workgroup
// per head in x and block in y. Lanes are queries, each with its own maximum and sum: nothing is
// exchanged between them, and all lanes load the same keys and values, KEYS at a time; a load serves
// all queries of a lane. Reference: reference_attend().
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WORKGROUP = 8;
layout(constant_id = 1) const uint HEAD_DIM = 64; // a multiple of 4
layout(constant_id = 2) const uint TOKENS = 1;    // queries of a lane

#include "load.glsl"

layout(push_constant) uniform Push {
    uint query_room;
    uint key_room;
    uint stride;
    uint first_block;
    uint first_query;  // goes to row 0 of y
    uint first_head;   // that this dispatch computes
    uint first_column; // of y, for head 0
    float scale;
} push;

INPUT(0, queries);
INPUT(1, keys);
INPUT(2, values);
layout(set = 0, binding = 3, std430) readonly buffer Blocks { uvec4 blocks[]; };
layout(set = 0, binding = 4, std430) writeonly buffer Y { float y[]; };

const uint UNITS = HEAD_DIM / 4;
const float LOWEST = -3.0e38;

void main()
{
    uvec4 block = blocks[push.first_block + gl_WorkGroupID.y];
    uint head = push.first_head + gl_WorkGroupID.x;
    uint query0 = head * push.query_room + block.x;
    uint key0 = head * push.key_room;
    vec4 query[TOKENS][UNITS], sums[TOKENS][UNITS];
    float highest[TOKENS], total[TOKENS];

    for (uint t = 0; t < TOKENS; t++) {
        uint at = query0 + min(gl_LocalInvocationID.x + t * WORKGROUP, block.y - 1);

        highest[t] = LOWEST;
        total[t] = 0.0;
        for (uint u = 0; u < UNITS; u++) {
            query[t][u] = LOADF(queries, at * UNITS + u) * push.scale;
            sums[t][u] = vec4(0.0);
        }
    }
    for (uint p = block.z; p < block.w; p += KEYS) {
        uint at[KEYS];
        float scores[KEYS][TOKENS], fade[TOKENS];

        for (uint j = 0; j < KEYS; j++) {
            at[j] = (key0 + min(p + j, block.w - 1)) * UNITS;
            for (uint t = 0; t < TOKENS; t++)
                scores[j][t] = 0.0;
        }
        for (uint u = 0; u < UNITS; u++) {
            for (uint j = 0; j < KEYS; j++) {
                vec4 key = LOADF(keys, at[j] + u);

                for (uint t = 0; t < TOKENS; t++)
                    scores[j][t] += dot(query[t][u], key);
            }
        }
        for (uint t = 0; t < TOKENS; t++) {
            float old = highest[t];

            for (uint j = 0; j < KEYS; j++) {
                scores[j][t] = p + j < block.w ? scores[j][t] : LOWEST;
                highest[t] = max(highest[t], scores[j][t]);
            }
            fade[t] = exp(old - highest[t]);
            total[t] *= fade[t];
            for (uint j = 0; j < KEYS; j++) {
                scores[j][t] = exp(scores[j][t] - highest[t]);
                total[t] += scores[j][t];
            }
        }
        for (uint u = 0; u < UNITS; u++) {
            for (uint t = 0; t < TOKENS; t++)
                sums[t][u] *= fade[t];
            for (uint j = 0; j < KEYS; j++) {
                vec4 value = LOADF(values, at[j] + u);

                for (uint t = 0; t < TOKENS; t++)
                    sums[t][u] += scores[j][t] * value;
            }
        }
    }
    for (uint t = 0; t < TOKENS; t++) {
        uint within = gl_LocalInvocationID.x + t * WORKGROUP;
        uint at = (block.x + within - push.first_query) * push.stride + push.first_column +
                  head * HEAD_DIM;

        if (within >= block.y)
            continue;
        for (uint u = 0; u < UNITS; u++)
            for (uint c = 0; c < 4; c++)
                y[at + u * 4 + c] = sums[t][u][c] / total[t];
    }
}
