// tests/engine/reference/test_goldens.c
// SPDX-License-Identifier: MIT
//
// The reference kernels on cases that NumPy computed by other formulas
// (tests/golden/reference/).
#include "tests/tap.h"

#include "base/alloc.h"
#include "base/file.h"
#include "engine/reference/kernels.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define WAVE_MAX   192
#define OUTPUT_MAX 320

// The inputs of make_kernels.py.
static const float *wave(float values[WAVE_MAX], double phase)
{
    for (int i = 0; i < WAVE_MAX; i++)
        values[i] = (float)(sin(0.7 * i + phase) + 0.25 * cos(2.3 * i));
    return values;
}

static size_t golden_rms_norm(float *y)
{
    float x[WAVE_MAX], weight[WAVE_MAX];

    reference_rms_norm(wave(x, 1), wave(weight, 2), y, 3, 17, 0);
    return 3 * 17;
}

static size_t golden_layer_norm(float *y)
{
    float x[WAVE_MAX], weight[WAVE_MAX], bias[WAVE_MAX];

    reference_layer_norm(wave(x, 1), wave(weight, 2), wave(bias, 3), y, 3, 17, 1e-3);
    return 3 * 17;
}

static size_t golden_matmul(float *y)
{
    float x[WAVE_MAX], weight[WAVE_MAX];

    wave(weight, 2);
    reference_matmul(wave(x, 1), QUANT_F32, (const uint8_t *)weight, y, 3, 5, 37);
    return 3 * 5;
}

static size_t rotate_golden(struct reference_rope rope, float *y)
{
    float x[WAVE_MAX];

    rope.tokens = rope.heads = 2;
    rope.head_size = 10;
    rope.base = 500;
    reference_rotate(&rope, wave(x, 1), (uint32_t[]){ 3, 70 }, y);
    return 2 * 2 * 10;
}

static size_t golden_rope_norm(float *y)
{
    return rotate_golden(
        (struct reference_rope){ .form = REFERENCE_ROPE_NORM, .rotary_size = 8 }, y);
}

static size_t golden_rope_neox(float *y)
{
    return rotate_golden(
        (struct reference_rope){ .form = REFERENCE_ROPE_NEOX, .rotary_size = 8 }, y);
}

static size_t golden_rope_whole(float *y)
{
    return rotate_golden(
        (struct reference_rope){ .form = REFERENCE_ROPE_NEOX, .rotary_size = 10 }, y);
}

static size_t golden_rope_factors(float *y)
{
    return rotate_golden((struct reference_rope){ .form = REFERENCE_ROPE_NORM,
                                                  .rotary_size = 8,
                                                  .pair_factors = (float[]){ 1, 2, 3, 4 },
                                                  .position_scale = 0.25 },
                         y);
}

static size_t golden_rope_yarn(float *y)
{
    return rotate_golden((struct reference_rope){ .form = REFERENCE_ROPE_NEOX,
                                                  .rotary_size = 8,
                                                  .position_scale = 0.25,
                                                  .magnitude = 1.25,
                                                  .yarn_mix = 1,
                                                  .yarn_beta_fast = 8,
                                                  .yarn_beta_slow = 0.5,
                                                  .yarn_context = 64 },
                         y);
}

static size_t attend_golden(size_t window, double soft_cap, const float *sinks, float *y)
{
    float q[WAVE_MAX], k[WAVE_MAX], v[WAVE_MAX];
    struct reference_attention attention = {
        .queries = 4,
        .keys = 7,
        .first_position = 3,
        .heads = 4,
        .kv_heads = 2,
        .key_size = 5,
        .value_size = 3,
        .scale = 1.5,
        .soft_cap = soft_cap,
        .causal = true,
        .window = window,
        .sinks = sinks,
    };

    reference_attend(&attention, wave(q, 1), wave(k, 2), wave(v, 3), y);
    return 4 * 4 * 3;
}

static size_t golden_attention(float *y)
{
    return attend_golden(0, 0, NULL, y);
}

static size_t golden_attention_window(float *y)
{
    return attend_golden(3, 0, NULL, y);
}

static size_t golden_attention_cap(float *y)
{
    return attend_golden(0, 0.8, NULL, y);
}

static size_t golden_attention_sinks(float *y)
{
    float sinks[WAVE_MAX];

    return attend_golden(3, 0.8, wave(sinks, 4), y);
}

// The outputs are the bytes of the blocks.
static size_t quantise_golden(enum quant_type type, size_t size, float *y)
{
    float x[WAVE_MAX];
    uint8_t bytes[2 * 160];

    reference_quantise(type, wave(x, 1), 160, bytes);
    for (size_t i = 0; i < size; i++)
        y[i] = bytes[i];
    return size;
}

static size_t golden_quantise_q8_0(float *y)
{
    return quantise_golden(QUANT_Q8_0, 160 / 32 * 34, y);
}

static size_t golden_quantise_q4_0(float *y)
{
    return quantise_golden(QUANT_Q4_0, 160 / 32 * 18, y);
}

static size_t golden_quantise_f16(float *y)
{
    return quantise_golden(QUANT_F16, 160 * 2, y);
}

static const struct {
    const char *name;
    size_t (*compute)(float *y); // returns the number of outputs
} goldens[] = {
    { "rms_norm", golden_rms_norm },
    { "layer_norm", golden_layer_norm },
    { "matmul", golden_matmul },
    { "rope_norm", golden_rope_norm },
    { "rope_neox", golden_rope_neox },
    { "rope_whole", golden_rope_whole },
    { "rope_factors", golden_rope_factors },
    { "rope_yarn", golden_rope_yarn },
    { "attention", golden_attention },
    { "attention_window", golden_attention_window },
    { "attention_cap", golden_attention_cap },
    { "attention_sinks", golden_attention_sinks },
    { "quantise_q8_0", golden_quantise_q8_0 },
    { "quantise_q4_0", golden_quantise_q4_0 },
    { "quantise_f16", golden_quantise_f16 },
};

// The line of kernels.txt behind the name, or NULL.
static char *find_golden(const char *text, const char *name)
{
    char *start = alloc_printf("\n%s ", name);
    char *found = strstr(text, start);
    size_t len = strlen(start);

    free(start);
    return found != NULL ? found + len : NULL;
}

static void check_golden(size_t index, const char *text)
{
    char *at = find_golden(text, goldens[index].name);
    float got[OUTPUT_MAX];
    size_t count = goldens[index].compute(got);

    REQUIRE(at != NULL);
    for (size_t i = 0; i < count; i++) {
        REQUIRE(*at != '\n' && tap_failures == 0);
        CHECK_NEAR(got[i], strtod(at, &at), 1e-5);
    }
    CHECK(*at == '\n');
}

static void agrees_with_numpy(void)
{
    const char *top = getenv("top_srcdir");
    char *path = alloc_printf("%s/tests/golden/reference/kernels.txt", top ? top : ".");
    struct err err = { .code = ERR_NONE };
    struct str text;

    str_init(&text, 0);
    CHECK(file_read(path, 1 << 20, &text, &err));
    for (size_t i = 0; i < COUNT(goldens); i++) {
        check_golden(i, text.data);
        if (tap_failures > 0) {
            printf("# in %s\n", goldens[i].name);
            break;
        }
    }
    str_release(&text);
    free(path);
}

static const struct test tests[] = {
    { "agrees with NumPy", agrees_with_numpy },
};

TAP_MAIN(tests)
