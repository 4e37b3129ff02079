// engine/kernel_check_matrix.c
// SPDX-License-Identifier: MIT
//
// Products and rows of matrices of every type, by way of matrix.c.
#include "engine/kernel_check_private.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/model/matrix.h"
#include "engine/reference/kernels.h"

// Where a block has its half-precision scales; the rest of a block may be any bits.
static const struct scale_fields {
    enum quant_type type;
    int offsets[2]; // -1: none
} scale_fields[] = {
    { QUANT_Q4_0, { 0, -1 } },   { QUANT_Q4_1, { 0, 2 } },    { QUANT_Q5_0, { 0, -1 } },
    { QUANT_Q5_1, { 0, 2 } },    { QUANT_Q8_0, { 0, -1 } },   { QUANT_Q2_K, { 80, 82 } },
    { QUANT_Q3_K, { 108, -1 } }, { QUANT_Q4_K, { 0, 2 } },    { QUANT_Q5_K, { 0, 2 } },
    { QUANT_Q6_K, { 208, -1 } }, { QUANT_IQ4_NL, { 0, -1 } }, { QUANT_IQ4_XS, { 0, -1 } },
    { QUANT_MXFP4, { -1, -1 } }, { QUANT_F32, { -1, -1 } },   { QUANT_F16, { -1, -1 } },
    { QUANT_BF16, { -1, -1 } },
};
#define TYPE_COUNT (sizeof(scale_fields) / sizeof(scale_fields[0]))

static void random_block(struct check *check, const struct scale_fields *fields,
                         const struct quant_traits *traits, uint8_t *block)
{
    float value = check_random_float(check);
    uint16_t half = float_to_half(value);

    if (fields->type == QUANT_F32) {
        memcpy(block, &value, 4);
    } else if (fields->type == QUANT_F16) {
        memcpy(block, &half, 2);
    } else if (fields->type == QUANT_BF16) {
        memcpy(block, (uint8_t *)&value + 2, 2);
    } else {
        for (uint32_t i = 0; i < traits->block_bytes; i++)
            block[i] = (uint8_t)check_random_word(check);
        if (fields->type == QUANT_MXFP4)
            block[0] = (uint8_t)(120 + check_random_word(check) % 8);
        for (int i = 0; i < 2; i++) {
            half = float_to_half(check_random_float(check) * 0.05f);
            if (fields->offsets[i] >= 0)
                memcpy(block + fields->offsets[i], &half, 2);
        }
    }
}

static uint8_t *random_weights(struct check *check, const struct scale_fields *fields,
                               size_t rows, size_t columns)
{
    const struct quant_traits *traits = quant_traits(fields->type);
    size_t blocks = rows * columns / traits->block_values;
    uint8_t *bytes = check_keep(check, alloc_array(blocks, traits->block_bytes));

    for (size_t i = 0; i < blocks; i++)
        random_block(check, fields, traits, bytes + i * traits->block_bytes);
    return bytes;
}

// Products of every type with one, a few and many tokens, by way of matrix.c. Row counts
// are no multiples of eight, columns no multiples of a scale unit where the type allows
// it.
static bool check_product(struct check *check, const struct scale_fields *fields,
                          uint32_t tokens)
{
    uint32_t columns = quant_traits(fields->type)->block_values == 256 ? 768 : 32 * 13;
    uint32_t rows = 77, stride = rows + 3;
    uint32_t tile = matrix_token_tile(check->gpu);
    uint32_t room = (tokens + tile - 1) / tile * tile;
    uint8_t *weights = random_weights(check, fields, rows, columns);
    float *x = check_random_floats(check, (size_t)tokens * columns);
    float *bias = check_random_floats(check, rows);
    float *old = check_random_floats(check, (size_t)tokens * rows);
    float *want = check_no_floats(check, (size_t)tokens * rows);
    struct gguf_tensor tensor = { .name = "check",
                                  .type = fields->type,
                                  .rank = 2,
                                  .shape = { columns, rows, 1, 1 },
                                  .bytes = weights };
    const struct gguf_tensor *tensors[] = { &tensor };
    struct matrix matrix;
    char name[64];
    double milliseconds = 0;
    bool ok;

    reference_matmul(x, fields->type, weights, want, tokens, rows, columns);
    reference_add_bias(want, bias, want, tokens, rows);
    reference_add(want, old, want, (size_t)tokens * rows);
    if (!matrix_create(check->gpu, NULL, tensors, 1, false, &matrix, NULL, NULL,
                       check->err))
        return false;
    float *wide = check_no_floats(check, (size_t)room * columns);
    memcpy(wide, x, (size_t)tokens * columns * sizeof(*x));
    struct matrix_product product = {
        .x = check_upload_floats(check, wide, (size_t)room * columns),
        .y_stride = stride,
        .tokens = tokens,
        .accumulate = true,
    };
    product.bias = check_upload_floats(check, bias, rows);
    product.y = check_upload_rows(check, old, tokens, rows, stride);
    snprintf(name, sizeof(name), "%s, %u x %u, %u tokens", quant_type_name(fields->type),
             rows, columns, tokens);
    ok = product.x != NULL && product.bias != NULL && product.y != NULL &&
         gpu_record_begin(check->recording, check->err) &&
         matrix_multiply(check->gpu, check->recording, &matrix, &product, check->err) &&
         gpu_record_end(check->recording, check->err);
    if (ok) {
        int64_t start = clock_ns();

        ok = gpu_run(check->recording, check->err); // once: it adds to y
        milliseconds = (double)(clock_ns() - start) / 1e6;
    }
    ok = ok &&
         check_report(check, tokens > 1 ? "matmul" : "matvec",
                      device_format_traits(matrix.pieces[0].format)->name, name,
                      product.y, want, tokens, rows, stride, SUM_TOLERANCE, milliseconds);
    matrix_destroy(check->gpu, &matrix);
    return ok;
}

static bool check_embed(struct check *check, const struct scale_fields *fields)
{
    static const uint32_t tokens[] = { 0, 76, 5, 31, 8 };
    const uint32_t count = sizeof(tokens) / sizeof(tokens[0]);
    uint32_t columns = quant_traits(fields->type)->block_values == 256 ? 512 : 96;
    uint8_t *weights = random_weights(check, fields, 77, columns);
    float *want = check_no_floats(check, (size_t)count * columns);
    struct gguf_tensor tensor = { .name = "check",
                                  .type = fields->type,
                                  .rank = 2,
                                  .shape = { columns, 77, 1, 1 },
                                  .bytes = weights };
    const struct gguf_tensor *tensors[] = { &tensor };
    struct matrix matrix;
    double milliseconds;
    bool ok;

    reference_embed(fields->type, weights, tokens, want, count, columns, 1.5);
    if (!matrix_create(check->gpu, NULL, tensors, 1, false, &matrix, NULL, NULL,
                       check->err))
        return false;
    const struct gpu_buffer *ids = check_upload(check, tokens, sizeof(tokens));
    const struct gpu_buffer *y =
        check_upload_floats(check, NULL, (size_t)count * columns);
    ok = ids != NULL && y != NULL &&
         check_run(check,
                   gpu_record_begin(check->recording, check->err) &&
                       matrix_embed(check->gpu, check->recording, &matrix, ids, count,
                                    1.5f, y, columns, check->err),
                   &milliseconds) &&
         check_report(check, "embed", device_format_traits(matrix.pieces[0].format)->name,
                      quant_type_name(fields->type), y, want, count, columns, columns,
                      1e-6, milliseconds);
    matrix_destroy(check->gpu, &matrix);
    return ok;
}

static bool run_case(struct check *check, size_t index)
{
    static const uint32_t tokens[] = { 1, 3, 37 };

    if (index < TYPE_COUNT * 3)
        return check_product(check, &scale_fields[index / 3], tokens[index % 3]);
    return check_embed(check, &scale_fields[index - TYPE_COUNT * 3]);
}

const struct check_group check_matrix = { TYPE_COUNT * 4, run_case };
