// engine/vision/encoder_plan.c
// SPDX-License-Identifier: MIT
#include "engine/vision/encoder_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

// Qwen2-VL takes in up to 65,536.
#define MAX_PATCHES (1u << 17)

// Puts down one merged output and its patches.
static void take_output(struct vision_plan *plan, uint32_t merge, uint32_t row,
                        uint32_t column, uint32_t *taken)
{
    uint32_t *patch = plan->patch_of + (size_t)*taken * merge * merge;

    plan->output_of[(*taken)++] = row * (plan->columns / merge) + column;
    for (uint32_t y = 0; y < merge; y++)
        for (uint32_t x = 0; x < merge; x++)
            *patch++ = (row * merge + y) * plan->columns + column * merge + x;
}

// Windows of `side` merged outputs, row by row, those at the right and lower edge
// smaller. Without windows there is one that holds all.
static void order_tokens(struct vision_plan *plan, uint32_t merge, uint32_t side)
{
    uint32_t rows = plan->rows / merge, columns = plan->columns / merge, taken = 0;
    uint32_t height = side > 0 ? side : rows, width = side > 0 ? side : columns;

    for (uint32_t top = 0; top < rows; top += height) {
        for (uint32_t left = 0; left < columns; left += width) {
            for (uint32_t y = top; y < rows && y < top + height; y++)
                for (uint32_t x = left; x < columns && x < left + width; x++)
                    take_output(plan, merge, y, x, &taken);
            plan->window_ends[plan->window_count++] = taken * merge * merge;
        }
    }
    plan->window_ends[plan->window_count - 1] = plan->tokens; // with the class token
}

// Cuts the tokens into blocks that cross neither a chunk nor a window of `ends`.
static void cut_blocks(const struct vision_plan *plan, const uint32_t *ends,
                       uint32_t chunk, uint32_t most, vision_block **blocks,
                       uint32_t **first_block)
{
    uint32_t chunks = (plan->tokens + chunk - 1) / chunk, count = 0, window = 0;
    uint32_t start = 0;
    size_t room = (size_t)chunks + plan->window_count + plan->tokens / most + 1;

    *blocks = alloc_array(room, sizeof(**blocks));
    *first_block = alloc_array((size_t)chunks + 1, sizeof(**first_block));
    for (uint32_t at = 0; at < plan->tokens;) {
        uint32_t end = (at / chunk + 1) * chunk;
        uint32_t *block = (*blocks)[count];

        if (at % chunk == 0)
            (*first_block)[at / chunk] = count;
        end = ends[window] < end ? ends[window] : end;
        end = at + most < end ? at + most : end;
        block[0] = at;
        block[1] = end - at;
        block[2] = start;
        block[3] = ends[window];
        count++;
        at = end;
        if (at == ends[window]) {
            start = at;
            window++;
        }
    }
    (*first_block)[chunks] = count;
}

bool vision_plan_make(const struct vision_params *params,
                      const struct vision_weights *weights, uint32_t width,
                      uint32_t height, uint32_t chunk, uint32_t block,
                      struct vision_plan *plan, struct err *err)
{
    uint32_t merge = params->merge;
    uint32_t side = params->window / params->patch_size / merge;

    *plan = (struct vision_plan){ .rows = height / params->patch_size,
                                  .columns = width / params->patch_size };
    if (width == 0 || height == 0 || width % (params->patch_size * merge) != 0 ||
        height % (params->patch_size * merge) != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "a tile of %u x %u pixels is not whole patches", width, height);
    if ((uint64_t)plan->rows * plan->columns > MAX_PATCHES)
        return err_set(err, ERR_LIMIT,
                       "a tile of %u x %u patches, at most %u are taken in",
                       plan->columns, plan->rows, MAX_PATCHES);
    plan->patches = plan->rows * plan->columns;
    plan->tokens = plan->patches + (weights->class_embedding != NULL);
    plan->outputs = plan->patches / (merge * merge);
    plan->patch_of = alloc_array(plan->patches, sizeof(*plan->patch_of));
    plan->output_of = alloc_array(plan->outputs, sizeof(*plan->output_of));
    plan->window_ends = alloc_array(plan->outputs, sizeof(*plan->window_ends));
    order_tokens(plan, merge, side);
    cut_blocks(plan, &plan->tokens, chunk, block, &plan->blocks, &plan->first_block);
    if (side > 0)
        cut_blocks(plan, plan->window_ends, chunk, block, &plan->windowed,
                   &plan->first_windowed);
    if (!vision_plan_place(params, weights, plan, err)) {
        vision_plan_release(plan);
        return false;
    }
    return true;
}

void vision_plan_release(struct vision_plan *plan)
{
    free(plan->patch_of);
    free(plan->output_of);
    free(plan->window_ends);
    free(plan->positions);
    free(plan->angles);
    free(plan->blocks);
    free(plan->windowed);
    free(plan->first_block);
    free(plan->first_windowed);
    *plan = (struct vision_plan){ .rows = 0 };
}
