// tests/engine/format/test_quant.c
// SPDX-License-Identifier: MIT
//
// Dequantisation against the vectors of tests/golden/quant, bit for bit, and the
// conversions between floats against every half there is.
#include "engine/format/quant.h"

#include <stdio.h>
#include <string.h>

#include "tests/tap.h"

#define LINE_MAX_BYTES 8192

static uint32_t bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static uint32_t hex(const char *text, int digits)
{
    char copy[9] = "";

    memcpy(copy, text, (size_t)digits);
    return (uint32_t)strtoul(copy, NULL, 16);
}

static uint32_t type_named(const char *name)
{
    for (uint32_t type = 0; type < 64; type++) {
        if (quant_traits(type) != NULL && strcmp(quant_traits(type)->name, name) == 0)
            return type;
    }
    return UINT32_MAX;
}

// Calls visit with the three words of each line of the golden file that begins with name.
static int visit_lines(const char *name, void (*visit)(const char *a, const char *b))
{
    char path[4096], line[LINE_MAX_BYTES], type[16], a[LINE_MAX_BYTES], b[LINE_MAX_BYTES];
    int visited = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/tests/golden/quant/vectors.txt",
             getenv("top_srcdir"));
    file = fopen(path, "r");
    if (file == NULL) {
        tap_note(__FILE__, __LINE__, path);
        return 0;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "%15s %8191s %8191s", type, a, b) == 3 &&
            strcmp(type, name) == 0) {
            visit(a, b);
            visited++;
        }
    }
    fclose(file);
    return visited;
}

static uint32_t type_under_test;

static void compare_block(const char *block_hex, const char *values_hex)
{
    uint8_t block[512];
    float values[256];
    size_t bytes = strlen(block_hex) / 2, count = strlen(values_hex) / 8;
    const struct quant_traits *traits = quant_traits(type_under_test);

    REQUIRE(bytes <= sizeof(block) && count <= 256);
    CHECK_INT(bytes * traits->block_values, count * traits->block_bytes);
    for (size_t i = 0; i < bytes; i++)
        block[i] = (uint8_t)hex(block_hex + 2 * i, 2);
    quant_dequantise((enum quant_type)type_under_test, block, count, values);
    for (size_t i = 0; i < count; i++) {
        if (bits_of(values[i]) != hex(values_hex + 8 * i, 8)) {
            printf("# %s weight %zu: got %08x, want %.8s\n", traits->name, i,
                   bits_of(values[i]), values_hex + 8 * i);
            tap_note(__FILE__, __LINE__, "weights are equal");
            return;
        }
    }
}

static void gives_the_published_weights(void)
{
    static const char *const names[] = {
        "F32",  "F16",  "BF16", "Q4_0", "Q4_1", "Q5_0",   "Q5_1",   "Q8_0",
        "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        type_under_test = type_named(names[i]);
        REQUIRE(type_under_test != UINT32_MAX);
        CHECK(visit_lines(names[i], compare_block) > 0);
    }
}

static void compare_half(const char *single, const char *half)
{
    uint32_t bits = hex(single, 8);
    float value;

    memcpy(&value, &bits, sizeof(value));
    CHECK_INT(float_to_half(value), hex(half, 4));
}

static void rounds_to_the_nearest_half(void)
{
    CHECK(visit_lines("half", compare_half) > 50);
}

static void every_half_survives_the_way_through_float(void)
{
    for (uint32_t half = 0; half < 65536; half++) {
        float value = half_to_float((uint16_t)half);

        if ((half & 0x7FFF) > 0x7C00)
            CHECK(isnan(value) && isnan(half_to_float(float_to_half(value))));
        else
            CHECK_INT(float_to_half(value), half);
    }
}

static void halves_have_their_value(void)
{
    for (uint32_t half = 0; half < 0x7C00; half++) {
        int exponent = (int)(half >> 10);
        double mantissa = exponent > 0 ? 1024 + (half & 0x3FF) : half & 0x3FF;
        double want = ldexp(mantissa, (exponent > 0 ? exponent : 1) - 25);

        CHECK((double)half_to_float((uint16_t)half) == want);
        CHECK((double)half_to_float((uint16_t)(half | 0x8000)) == -want);
    }
}

static void refuses_other_types_by_name(void)
{
    CHECK(quant_traits(16) == NULL);
    CHECK_STR(quant_type_name(16), "IQ2_XXS");
    CHECK_STR(quant_type_name(12), "Q4_K");
    CHECK_STR(quant_type_name(4), "Q4_2");
    CHECK(quant_type_name(23) != NULL && quant_traits(23) != NULL);
    CHECK(quant_type_name(42) == NULL && quant_type_name(UINT32_MAX) == NULL);
    CHECK(quant_traits(UINT32_MAX) == NULL);
}

static const struct test tests[] = {
    { "gives the published weights of every type, bit for bit",
      gives_the_published_weights },
    { "rounds to the nearest half, ties to even", rounds_to_the_nearest_half },
    { "every half survives the way through float",
      every_half_survives_the_way_through_float },
    { "halves have the value that their fields say", halves_have_their_value },
    { "knows other types by name and refuses them", refuses_other_types_by_name },
};

TAP_MAIN(tests)
