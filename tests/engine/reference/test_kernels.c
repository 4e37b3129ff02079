// tests/engine/reference/test_kernels.c
// SPDX-License-Identifier: MIT
//
// The reference kernels on cases that can be worked out by hand.
#include "tests/tap.h"

#include "engine/reference/kernels.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_values(const float *got, const double *want, size_t count,
                         double tolerance)
{
    for (size_t i = 0; i < count; i++)
        CHECK_NEAR(got[i], want[i], tolerance);
}

static void rms_norm_divides_by_the_root_mean_square(void)
{
    // Root mean squares: sqrt((9 + 16) / 2) and sqrt(2).
    float x[] = { 3, 4, 2, 0 }, weight[] = { 1, 2 }, y[4];
    double plain[] = { 3 / sqrt(12.5), 4 / sqrt(12.5), sqrt(2), 0 };
    double weighted[] = { 3 / sqrt(12.5), 8 / sqrt(12.5), sqrt(2), 0 };

    reference_rms_norm(x, NULL, y, 2, 2, 0);
    check_values(y, plain, 4, 1e-7);
    reference_rms_norm(x, weight, y, 2, 2, 0);
    check_values(y, weighted, 4, 2e-7);
    reference_rms_norm(x, NULL, y, 1, 2, 12.5);
    CHECK_NEAR(y[0], 3.0 / 5, 1e-7);
}

static void layer_norm_subtracts_the_mean(void)
{
    // Mean 2, variance 2/3; epsilon makes it 1.
    float x[] = { 1, 2, 3 }, weight[] = { 2, 2, 3 }, bias[] = { 10, 20, 30 }, y[3];

    reference_layer_norm(x, NULL, NULL, y, 1, 3, 1.0 / 3);
    check_values(y, (double[]){ -1, 0, 1 }, 3, 1e-7);
    reference_layer_norm(x, weight, bias, x, 1, 3, 1.0 / 3);
    check_values(x, (double[]){ 8, 20, 33 }, 3, 1e-5);
}

static void matmul_takes_rows_of_weights(void)
{
    float x[] = { 1, 2, 3, 4, 5, 6 }, y[4];
    float weight[] = { 1, 0, 1, 0, 1, -1 };

    reference_matmul(x, QUANT_F32, (const uint8_t *)weight, y, 2, 2, 3);
    check_values(y, (double[]){ 4, -1, 10, -1 }, 4, 0);
}

static void matmul_reads_quantised_blocks(void)
{
    // Two Q8_0 rows: 0.5 * (1, 2, ... 32) and -1 * (1, 1, ... 1).
    uint8_t weight[2][34];
    float x[32], y[2];

    for (int i = 0; i < 32; i++) {
        x[i] = 1;
        weight[0][2 + i] = (uint8_t)(i + 1);
        weight[1][2 + i] = 1;
    }
    weight[0][0] = 0, weight[0][1] = 0x38; // 0.5
    weight[1][0] = 0, weight[1][1] = 0xbc; // -1
    reference_matmul(x, QUANT_Q8_0, weight[0], y, 1, 2, 32);
    check_values(y, (double[]){ 0.5 * 32 * 33 / 2, -32 }, 2, 0);
}

static void embed_scales_the_chosen_rows(void)
{
    float table[] = { 1, 2, 3, 4, 5, 6 }, y[4];

    reference_embed(QUANT_F32, (const uint8_t *)table, (uint32_t[]){ 2, 0 }, y, 2, 2, 10);
    check_values(y, (double[]){ 50, 60, 10, 20 }, 4, 0);
}

static void adds_and_multiplies_elementwise(void)
{
    float a[] = { 1, 2, 3, 4 }, b[] = { 10, 20, 30, 40 }, y[4];

    reference_add(a, b, y, 4);
    check_values(y, (double[]){ 11, 22, 33, 44 }, 4, 0);
    reference_multiply(a, b, y, 4);
    check_values(y, (double[]){ 10, 40, 90, 160 }, 4, 0);
    reference_add_bias(a, b, y, 2, 2);
    check_values(y, (double[]){ 11, 22, 13, 24 }, 4, 0);
}

static void activations_have_their_known_values(void)
{
    // From Abramowitz and Stegun, table 26.1: P(1) = 0.8413447461; gelu(x) = x P(x).
    static const struct {
        enum reference_activation activation;
        double x, y, tolerance;
    } cases[] = {
        { REFERENCE_SILU, 0, 0, 0 },
        { REFERENCE_SILU, 1, 0.7310585786300049, 1e-7 },
        { REFERENCE_SILU, -100, 0, 1e-12 },
        { REFERENCE_GELU_ERF, 1, 0.8413447460685429, 1e-7 },
        { REFERENCE_GELU_ERF, -1, -0.1586552539314571, 1e-7 },
        { REFERENCE_GELU_TANH, 1, 0.8413447460685429, 5e-4 },
        { REFERENCE_GELU_TANH, 1, 0.8411919906082768, 1e-7 },
        { REFERENCE_GELU_TANH, 100, 100, 0 },
        { REFERENCE_GELU_QUICK, 1, 0.8457957659328212, 1e-7 },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        float x = (float)cases[i].x, two = 2, y;

        reference_activate(cases[i].activation, &x, &y, 1);
        CHECK_NEAR(y, cases[i].y, cases[i].tolerance);
        reference_gate(cases[i].activation, &x, &two, &y, 1);
        CHECK_NEAR(y, 2 * cases[i].y, 2 * cases[i].tolerance);
    }
}

static void soft_cap_bends_towards_the_cap(void)
{
    float x[] = { 0, 1, -1000 }, y[3];

    reference_soft_cap(x, y, 3, 30);
    check_values(y, (double[]){ 0, 30 * tanh(1.0 / 30), -30 }, 3, 1e-6);
}

static void softmax_sums_to_one_even_for_large_values(void)
{
    float x[] = { 1000, 1000, 1000 + (float)M_LN2, 0, 0, -INFINITY }, y[6];

    reference_softmax(x, y, 2, 3);
    check_values(y, (double[]){ 0.25, 0.25, 0.5, 0.5, 0.5, 0 }, 6, 1e-5);
}

static void rope_turns_pairs_of_either_form(void)
{
    // Base 1: every pair turns by `position` quarter turns when positions are scaled.
    float x[] = { 1, 2, 3, 4, 9 }, y[5];
    struct reference_rope rope = {
        .tokens = 1,
        .heads = 1,
        .head_size = 5,
        .rotary_size = 4,
        .base = 1,
        .position_scale = M_PI_2,
    };
    uint32_t position = 1;

    rope.form = REFERENCE_ROPE_NORM;
    reference_rotate(&rope, x, &position, y);
    check_values(y, (double[]){ -2, 1, -4, 3, 9 }, 5, 1e-6);
    rope.form = REFERENCE_ROPE_NEOX;
    reference_rotate(&rope, x, &position, y);
    check_values(y, (double[]){ -3, -4, 1, 2, 9 }, 5, 1e-6);
    rope.magnitude = 2;
    reference_rotate(&rope, x, &position, x);
    check_values(x, (double[]){ -6, -8, 2, 4, 9 }, 5, 2e-6);
}

// The angle by which a pair turned, from a vector (1, 0) per pair.
static double turned(const struct reference_rope *rope, size_t pair, uint32_t position)
{
    float x[64] = { 0 }, y[64];

    for (size_t i = 0; i < rope->rotary_size; i += 2)
        x[i] = 1;
    reference_rotate(rope, x, &position, y);
    return atan2((double)y[2 * pair + 1], (double)y[2 * pair]);
}

static void rope_slows_down_along_the_head(void)
{
    struct reference_rope rope = {
        .tokens = 1,
        .heads = 1,
        .head_size = 64,
        .rotary_size = 64,
        .base = 10000,
    };
    float factors[32];

    CHECK_NEAR(turned(&rope, 0, 3), 3, 1e-6);
    CHECK_NEAR(turned(&rope, 16, 3), 3.0 / 100, 1e-8); // base^(-1/2)
    rope.position_scale = 0.25;
    CHECK_NEAR(turned(&rope, 16, 3), 3.0 / 400, 1e-8);
    for (size_t i = 0; i < COUNT(factors); i++)
        factors[i] = 5;
    rope.pair_factors = factors;
    CHECK_NEAR(turned(&rope, 16, 3), 3.0 / 2000, 1e-8);
}

static void yarn_keeps_fast_pairs_and_scales_slow_ones(void)
{
    struct reference_rope rope = {
        .tokens = 1,
        .heads = 1,
        .head_size = 64,
        .rotary_size = 64,
        .base = 10000,
        .position_scale = 0.25,
        .yarn_mix = 1,
        .yarn_context = 2048,
    };

    // Pair 0 turns 326 times in the context, pair 31 not once. The ramp goes from
    // floor(64 ln(2048 / (32 * 2 pi)) / (2 ln 10000)) = 8 to ceil(20.1) = 21.
    CHECK_NEAR(turned(&rope, 0, 1), 1, 1e-7);
    CHECK_NEAR(turned(&rope, 8, 1), pow(10000, -0.25), 1e-8);
    CHECK_NEAR(turned(&rope, 21, 1), 0.25 * pow(10000, -42.0 / 64), 1e-9);
    CHECK_NEAR(turned(&rope, 31, 1), 0.25 * pow(10000, -62.0 / 64), 1e-10);
    double kept = 1 - 4.0 / 13; // pair 12
    CHECK_NEAR(turned(&rope, 12, 1), pow(10000, -24.0 / 64) * (0.25 + 0.75 * kept), 1e-8);
}

static void attention_averages_when_scores_are_equal(void)
{
    float q[2] = { 0, 0 }, k[6] = { 1, 2, 3, 4, 5, 6 }, v[3] = { 3, 6, 12 }, y[1];
    struct reference_attention attention = {
        .queries = 1,
        .keys = 3,
        .first_position = 1,
        .heads = 1,
        .kv_heads = 1,
        .key_size = 2,
        .value_size = 1,
        .scale = 1,
    };
    float sink = (float)log(3);

    reference_attend(&attention, q, k, v, y);
    CHECK_NEAR(y[0], 7, 1e-6);
    attention.causal = true; // the query stands at position 1
    reference_attend(&attention, q, k, v, y);
    CHECK_NEAR(y[0], 4.5, 1e-6);
    attention.window = 1;
    reference_attend(&attention, q, k, v, y);
    CHECK_NEAR(y[0], 6, 1e-6);
    attention.sinks = &sink; // takes 3/4 of the weight
    reference_attend(&attention, q, k, v, y);
    CHECK_NEAR(y[0], 1.5, 1e-6);
    attention.first_position = 9; // the window lies behind all keys
    attention.sinks = NULL;
    reference_attend(&attention, q, k, v, y);
    CHECK_NEAR(y[0], 0, 0);
}

static void attention_weighs_by_the_capped_scores(void)
{
    float q[1] = { 2 }, k[2] = { 0, 10 }, v[2] = { 0, 1 }, y[1];
    struct reference_attention attention = {
        .queries = 1,
        .keys = 2,
        .first_position = 1,
        .heads = 1,
        .kv_heads = 1,
        .key_size = 1,
        .value_size = 1,
        .scale = 0.5,
        .soft_cap = 3,
        .causal = true,
    };
    double score = 3 * tanh(0.5 * 20 / 3);

    reference_attend(&attention, q, k, v, y);
    CHECK_NEAR(y[0], 1 / (1 + exp(-score)), 1e-7);
    attention.soft_cap = 0;
    reference_attend(&attention, q, k, v, y);
    CHECK_NEAR(y[0], 1 / (1 + exp(-10)), 1e-7);
}

static void heads_share_keys_in_groups(void)
{
    // Four heads over two key heads of one key each: the values tell which was read.
    float q[8] = { 0 }, k[4] = { 1, 1, 1, 1 }, v[2] = { 5, 7 }, y[4];
    struct reference_attention attention = {
        .queries = 1,
        .keys = 1,
        .heads = 4,
        .kv_heads = 2,
        .key_size = 2,
        .value_size = 1,
        .scale = 1,
        .causal = true,
    };

    reference_attend(&attention, q, k, v, y);
    check_values(y, (double[]){ 5, 5, 7, 7 }, 4, 0);
}

static void routes_to_the_likeliest_experts(void)
{
    // Probabilities 1/10, 4/10, 2/10, 3/10.
    float logits[] = { 0, (float)log(4), (float)log(2), (float)log(3) }, weights[2];
    uint32_t chosen[2];

    reference_route(logits, 4, 2, false, chosen, weights);
    CHECK_INT(chosen[0], 1);
    CHECK_INT(chosen[1], 3);
    check_values(weights, (double[]){ 0.4, 0.3 }, 2, 1e-7);
    reference_route(logits, 4, 2, true, chosen, weights);
    check_values(weights, (double[]){ 4.0 / 7, 3.0 / 7 }, 2, 1e-7);
}

static void picks_the_largest_and_breaks_ties_by_index(void)
{
    float values[] = { 1, 5, -2, 5, 3, 4 }, largest[6];
    uint32_t indices[6];

    CHECK_INT(reference_argmax(values, COUNT(values)), 1);
    reference_top_k(values, COUNT(values), 4, indices, largest);
    for (size_t i = 0; i < 4; i++)
        CHECK_INT(indices[i], ((uint32_t[]){ 1, 3, 5, 4 })[i]);
    check_values(largest, (double[]){ 5, 5, 4, 3 }, 4, 0);
    reference_top_k(values, COUNT(values), COUNT(values), indices, largest);
    CHECK_INT(indices[5], 2);
    CHECK_NEAR(reference_log_sum_exp((float[]){ 500, 500 }, 2), 500 + M_LN2, 1e-9);
}

static void round_trip(enum quant_type type, const float *values, float *back)
{
    uint8_t bytes[4 * 32];

    reference_quantise(type, values, 32, bytes);
    quant_dequantise(type, bytes, 32, back);
}

static void quantised_keys_come_back_within_half_a_step(void)
{
    float values[32], back[32];

    for (int i = 0; i < 32; i++)
        values[i] = (float)(0.7 * sin(i * 1.7) + 0.1);
    round_trip(QUANT_F32, values, back);
    for (int i = 0; i < 32; i++)
        CHECK_NEAR(back[i], values[i], 0);
    round_trip(QUANT_F16, values, back);
    for (int i = 0; i < 32; i++)
        CHECK_NEAR(back[i], values[i], 0x1p-12);
    // Steps: the largest magnitude over 127 and over 8; the scale itself is a half float.
    round_trip(QUANT_Q8_0, values, back);
    for (int i = 0; i < 32; i++)
        CHECK_NEAR(back[i], values[i], 0.8 / 127 / 2 + 0.8 * 0x1p-11);
    round_trip(QUANT_Q4_0, values, back);
    for (int i = 0; i < 32; i++)
        CHECK_NEAR(back[i], values[i], 0.8 / 8 + 0.8 * 0x1p-11);
}

static void quantising_keeps_the_extremes_exact(void)
{
    float values[32] = { 0 }, back[32];

    values[3] = -8, values[20] = 7;
    round_trip(QUANT_Q4_0, values, back);
    CHECK_NEAR(back[3], -8, 0);
    CHECK_NEAR(back[20], 7, 0);
    values[3] = -127, values[20] = 100;
    round_trip(QUANT_Q8_0, values, back);
    CHECK_NEAR(back[3], -127, 0);
    CHECK_NEAR(back[20], 100, 0);
    values[3] = values[20] = 0;
    round_trip(QUANT_Q4_0, values, back);
    CHECK_NEAR(back[3], 0, 0);
}

static void short_conv_looks_back(void)
{
    // One channel, b and c always 2, x: 1, 10, 100, 1000.
    float x[] = { 2, 2, 1, 2, 2, 10, 2, 2, 100, 2, 2, 1000 };
    float weights[] = { 3, 0, 1 }, y[4];

    reference_short_conv(x, weights, y, 4, 1, 3);
    check_values(y, (double[]){ 4, 40, 412, 4120 }, 4, 0);
}

static const struct test tests[] = {
    { "rms_norm divides by the root mean square",
      rms_norm_divides_by_the_root_mean_square },
    { "layer_norm subtracts the mean", layer_norm_subtracts_the_mean },
    { "matmul takes rows of weights", matmul_takes_rows_of_weights },
    { "matmul reads quantised blocks", matmul_reads_quantised_blocks },
    { "embed scales the chosen rows", embed_scales_the_chosen_rows },
    { "adds and multiplies elementwise", adds_and_multiplies_elementwise },
    { "activations have their known values", activations_have_their_known_values },
    { "soft_cap bends towards the cap", soft_cap_bends_towards_the_cap },
    { "softmax sums to one even for large values",
      softmax_sums_to_one_even_for_large_values },
    { "rope turns pairs of either form", rope_turns_pairs_of_either_form },
    { "rope slows down along the head", rope_slows_down_along_the_head },
    { "YaRN keeps fast pairs and scales slow ones",
      yarn_keeps_fast_pairs_and_scales_slow_ones },
    { "attention averages when scores are equal",
      attention_averages_when_scores_are_equal },
    { "attention weighs by the capped scores", attention_weighs_by_the_capped_scores },
    { "heads share keys in groups", heads_share_keys_in_groups },
    { "routes to the likeliest experts", routes_to_the_likeliest_experts },
    { "short_conv looks back", short_conv_looks_back },
    { "picks the largest and breaks ties by index",
      picks_the_largest_and_breaks_ties_by_index },
    { "quantised keys come back within half a step",
      quantised_keys_come_back_within_half_a_step },
    { "quantising keeps the extremes exact", quantising_keeps_the_extremes_exact },
};

TAP_MAIN(tests)
