// engine/vision/encoder_pass.c
// SPDX-License-Identifier: MIT
#include "engine/vision/encoder_private.h"

#include <math.h>

#include "base/log.h"

#define TARGET_NS 50e6

// What a value costs that is read, changed and written, in multiply-adds.
#define VALUE_COST 32

static double budget_of(const struct vision_encoder *encoder)
{
    return encoder->speed * TARGET_NS;
}

static bool is_cancelled(struct vision_pass *pass)
{
    if (pass->cancelled == NULL || !*pass->cancelled)
        return false;
    err_set(pass->err, ERR_CANCELLED, "stopped");
    return true;
}

// Takes the speed of the last submission, but at most twice the old one: the first of a
// kind compiles its kernels.
static void learn(struct vision_encoder *encoder, uint64_t cost, int64_t took_ns)
{
    double speed = (double)cost / (double)(took_ns > 0 ? took_ns : 1);

    if (speed > 2 * encoder->speed)
        speed = 2 * encoder->speed;
    encoder->speed = speed < 1e-3 ? 1e-3 : speed;
}

bool vision_flush(struct vision_pass *pass)
{
    struct vision_encoder *encoder = pass->encoder;
    int64_t start;

    if (!pass->recording)
        return true;
    pass->recording = false;
    if (is_cancelled(pass) || !gpu_record_end(encoder->recording, pass->err))
        return false;
    start = clock_ns();
    if (!gpu_run(encoder->recording, pass->err))
        return false;
    learn(encoder, pass->spent, clock_ns() - start);
    pass->done += (double)pass->spent;
    pass->spent = 0;
    if (pass->progress != NULL &&
        !pass->progress(pass->user, "looking at the picture",
                        pass->done < pass->all ? pass->done / pass->all : 1.0))
        return err_set(pass->err, ERR_CANCELLED, "stopped");
    return true;
}

bool vision_spend(struct vision_pass *pass, uint64_t cost)
{
    if (pass->recording && (double)(pass->spent + cost) > budget_of(pass->encoder) &&
        !vision_flush(pass))
        return false;
    if (!pass->recording && !gpu_record_begin(pass->encoder->recording, pass->err))
        return false;
    pass->recording = true;
    pass->spent += cost;
    return true;
}

bool vision_spend_values(struct vision_pass *pass, uint32_t width, uint32_t rows)
{
    return vision_spend(pass, (uint64_t)width * rows * VALUE_COST);
}

uint64_t vision_budget(struct vision_pass *pass, uint64_t least)
{
    double left = budget_of(pass->encoder) - (double)pass->spent;

    return left > (double)least ? (uint64_t)left : least;
}

bool vision_product(struct vision_pass *pass, const struct vision_linear *linear,
                    const struct gpu_buffer *x, const struct gpu_buffer *y,
                    uint32_t y_stride, uint32_t tokens, bool accumulate)
{
    const struct matrix *matrix = &linear->matrix;
    uint64_t range = (uint64_t)MATRIX_RANGE * matrix->columns * tokens;
    struct matrix_product product = {
        .x = x,
        .y = y,
        .y_stride = y_stride,
        .tokens = tokens,
        .bias = linear->bias.memory != NULL ? &linear->bias : NULL,
        .accumulate = accumulate,
    };

    while (product.end_row < matrix->rows) {
        uint64_t rows = vision_budget(pass, range) / range * MATRIX_RANGE;
        uint32_t left = matrix->rows - product.end_row;

        rows = rows < left ? rows : left;
        product.first_row = product.end_row;
        product.end_row += (uint32_t)rows;
        if (!vision_spend(pass, rows * matrix->columns * tokens) ||
            !matrix_multiply(pass->encoder->gpu, pass->encoder->recording, matrix,
                             &product, pass->err))
            return false;
    }
    gpu_record_barrier(pass->encoder->recording);
    return true;
}

bool vision_norm_rows(struct vision_pass *pass, const struct vision_norm *norm,
                      const struct gpu_buffer *x, const struct gpu_buffer *y,
                      uint32_t width, uint32_t stride, uint32_t rows, float epsilon)
{
    struct vision_encoder *encoder = pass->encoder;
    struct rms_norm_call rms = { .x = x,
                                 .weight = &norm->weight,
                                 .y = y,
                                 .width = width,
                                 .stride = stride,
                                 .rows = rows,
                                 .epsilon = epsilon };
    struct layer_norm_call layer = { .x = x,
                                     .weight = &norm->weight,
                                     .bias = &norm->bias,
                                     .y = y,
                                     .width = width,
                                     .stride = stride,
                                     .rows = rows,
                                     .epsilon = epsilon };
    bool ok = vision_spend_values(pass, width, rows);

    ok = ok &&
         (norm->bias.memory != NULL
              ? kernel_layer_norm(encoder->gpu, encoder->recording, &layer, pass->err)
              : kernel_rms_norm(encoder->gpu, encoder->recording, &rms, pass->err));
    if (ok)
        gpu_record_barrier(encoder->recording);
    return ok;
}

enum kernel_activation vision_kernel_activation(enum vision_activation activation)
{
    static const enum kernel_activation kernels[] = {
        [VISION_GELU] = KERNEL_GELU,
        [VISION_GELU_TANH] = KERNEL_GELU_TANH,
        [VISION_GELU_QUICK] = KERNEL_GELU_QUICK,
        [VISION_SILU] = KERNEL_SILU,
    };

    return kernels[activation];
}

bool vision_activate_rows(struct vision_pass *pass, enum vision_activation activation,
                          const struct gpu_buffer *x, uint32_t width, uint32_t stride,
                          uint32_t rows)
{
    struct vision_encoder *encoder = pass->encoder;
    struct activate_call call = { .x = x,
                                  .activation = vision_kernel_activation(activation),
                                  .width = width,
                                  .stride = stride,
                                  .items = rows };

    if (!vision_spend_values(pass, width, rows) ||
        !kernel_activate(encoder->gpu, encoder->recording, &call, pass->err))
        return false;
    gpu_record_barrier(encoder->recording);
    return true;
}

bool vision_spread_heads(struct vision_pass *pass, const struct gpu_buffer *x,
                         uint32_t stride, uint32_t column, uint32_t first,
                         uint32_t tokens, const struct gpu_buffer *angles,
                         struct head_store *store)
{
    struct vision_encoder *encoder = pass->encoder;

    if (!vision_spend_values(pass, store->heads * store->head_dim, tokens))
        return false;
    for (uint32_t part = 0; part < store->part_count; part++) {
        uint32_t head = part * store->heads_per_part, left = store->heads - head;
        struct vision_heads_call call = {
            .x = x,
            .y = &store->parts[part],
            .angles = angles,
            .heads = left < store->heads_per_part ? left : store->heads_per_part,
            .head_dim = store->head_dim,
            .stride = stride,
            .column = column + head * store->head_dim,
            .room = store->room,
            .first = first,
            .tokens = tokens,
            .split = encoder->params.projector != PROJECTOR_PIXTRAL,
        };

        if (!kernel_vision_heads(encoder->gpu, encoder->recording, &call, pass->err))
            return false;
    }
    gpu_record_barrier(encoder->recording);
    return true;
}

static uint64_t block_cost(const struct vision_attend *attend, uint32_t block)
{
    const uint32_t *b = attend->table[block];

    return (uint64_t)b[1] * (b[3] - b[2]) * attend->queries->head_dim * 2;
}

// As many heads as there are, of as many blocks as fit; or one block and as many heads as
// fit.
static bool attend_part(struct vision_pass *pass, const struct vision_attend *attend,
                        uint32_t part, struct vision_attention_call *call, uint32_t heads)
{
    struct vision_encoder *encoder = pass->encoder;
    uint64_t cost = 0;

    call->queries = &attend->queries->parts[part];
    call->keys = &attend->keys->parts[part];
    call->values = &attend->values->parts[part];
    while (call->first_block < attend->end_block) {
        uint64_t one = block_cost(attend, call->first_block);
        uint64_t budget = vision_budget(pass, one);
        uint32_t left = heads - call->first_head;

        call->heads = budget / one < left ? (uint32_t)(budget / one) : left;
        call->block_count = 1;
        cost = one * call->heads;
        while (call->heads == heads &&
               call->first_block + call->block_count < attend->end_block) {
            uint64_t more =
                block_cost(attend, call->first_block + call->block_count) * heads;

            if (cost + more > budget)
                break;
            cost += more;
            call->block_count++;
        }
        if (!vision_spend(pass, cost) ||
            !kernel_vision_attention(encoder->gpu, encoder->recording, call, pass->err))
            return false;
        call->first_head += call->heads;
        if (call->first_head == heads) {
            call->first_head = 0;
            call->first_block += call->block_count;
        }
    }
    return true;
}

bool vision_attend(struct vision_pass *pass, const struct vision_attend *attend)
{
    const struct head_store *keys = attend->keys;

    for (uint32_t part = 0; part < keys->part_count; part++) {
        uint32_t head = part * keys->heads_per_part, left = keys->heads - head;
        struct vision_attention_call call = {
            .blocks = attend->blocks,
            .y = attend->y,
            .head_dim = keys->head_dim,
            .query_room = attend->queries->room,
            .key_room = keys->room,
            .stride = attend->stride,
            .first_block = attend->first_block,
            .first_query = attend->first_query,
            .first_column = head * keys->head_dim,
            .scale = 1.0f / sqrtf((float)keys->head_dim),
        };

        if (!attend_part(pass, attend, part, &call,
                         left < keys->heads_per_part ? left : keys->heads_per_part))
            return false;
    }
    gpu_record_barrier(pass->encoder->recording);
    return true;
}
