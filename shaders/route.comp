#version 450
// Mixture of experts: for each token the USED experts with the highest scores, and their
// weights: softmax over all experts, of the chosen ones, divided by their sum if NORMALISE.
// scores: [tokens][stride]. chosen, weights: [tokens][USED]. One token per invocation.
// Reference: reference_route().
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint EXPERTS = 1;
layout(constant_id = 2) const uint USED = 1;
layout(constant_id = 3) const bool NORMALISE = true;

layout(push_constant) uniform Push {
    uint tokens;
    uint stride;
    float scale; // of the weights
} push;

layout(set = 0, binding = 0, std430) readonly buffer Scores { float scores[]; };
layout(set = 0, binding = 1, std430) buffer Chosen { uint chosen[]; };
layout(set = 0, binding = 2, std430) buffer Weights { float weights[]; };

bool taken(uint token, uint count, uint expert)
{
    for (uint i = 0; i < count; i++)
        if (chosen[token * USED + i] == expert)
            return true;
    return false;
}

void main()
{
    uint token = gl_GlobalInvocationID.x;

    if (token >= push.tokens)
        return;
    uint s0 = token * push.stride;
    float highest = scores[s0];
    float total = 0.0, kept = 0.0;

    for (uint e = 1; e < EXPERTS; e++)
        highest = max(highest, scores[s0 + e]);
    for (uint e = 0; e < EXPERTS; e++)
        total += exp(scores[s0 + e] - highest);
    for (uint i = 0; i < USED; i++) {
        uint best = 0;
        float best_score = -3.0e38;

        for (uint e = 0; e < EXPERTS; e++) {
            if (scores[s0 + e] > best_score && !taken(token, i, e)) {
                best = e;
                best_score = scores[s0 + e];
            }
        }
        chosen[token * USED + i] = best;
        weights[token * USED + i] = exp(best_score - highest) / total;
        kept += weights[token * USED + i];
    }
    for (uint i = 0; i < USED; i++)
        weights[token * USED + i] *= push.scale / (NORMALISE ? kept : 1.0);
}
